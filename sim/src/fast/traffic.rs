//! Requests and answers between clients and servers.

use super::client::{Role, Under};
use super::event::Event;
use super::http;
use super::invariant::client;
use super::marks::Mark;
use super::server::CENTRES;
use super::server::Waiting;
use super::verdict::{Kind, Violation};
use super::world::{MS, SECOND, World};
use crate::oracle::{Call, Operation, Outcome, TxnAnswer, Write};
use lictor_core::front::{FrontInput, HttpReply, HttpRequest};
use lictor_core::ids::ReqId;

/// How long a client waits for an answer that should come at once: longer than a server holds a request
/// while there is no leader (`rpc_hold_timeout`, 7 s).
const PATIENCE: u64 = 12 * SECOND;

impl World {
    pub(super) fn on_next(&mut self, client: usize) {
        let scripted = matches!(self.clients[client].role, Role::Script(_));
        if self.clients[client].under.is_some() || (self.quiet && !scripted) {
            return;
        }
        let Some((slot, call)) = self.clients[client].next(&self.plan.knobs) else { return };
        let waits = match &call {
            Call::Read { wait: Some(wait), .. } => wait.ns + wait.ns / 16,
            _ => 0,
        };
        let it = &mut self.clients[client];
        let round = it.round;
        self.next_req += 1;
        let life = self.servers[slot].life;
        let centre = it.centre;
        let operation = self.centres[centre].run.operations.len();
        it.under = Some(Under { operation, centre, slot, life, req: self.next_req });
        let lost = it.luck.permille(self.plan.knobs.client_loss_permille) && !self.quiet;
        let delay = it.luck.around(MS / 5);
        let abroad = self.plan.knobs.datacenter(slot) != centre;
        let request = http::request(&call, abroad.then(|| CENTRES[centre]));
        self.centres[centre].run.operations.push(Operation {
            client: it.number,
            server: slot as u32,
            begin: self.now,
            end: None,
            call,
            outcome: Outcome::Unknown,
        });
        // The clock of a slow server may make its wait longer.
        let patience = PATIENCE + waits + waits / 2;
        self.heap.push(self.now + patience, Event::GiveUp { client, round });
        let lies = self.plan.knobs.liar == 1 && client == 0 && self.clients[client].luck.ratio(1, 4);
        if lies
            && matches!(
                self.centres[centre].run.operations.last(),
                Some(Operation { call: Call::Write(Write::Put { .. }), .. })
            )
        {
            let reply = Box::new(HttpReply::text(200, "true"));
            return self.heap.push(self.now + delay, Event::Answer { client, round, reply });
        }
        if !lost {
            let request = Box::new(request);
            self.heap.push(self.now + delay, Event::Request { client, round, request });
        }
    }

    fn current(&self, client: usize, round: u64) -> Option<Under> {
        let client = &self.clients[client];
        if client.round == round { client.under } else { None }
    }

    pub(super) fn on_request(&mut self, client: usize, round: u64, request: HttpRequest) {
        let Some(under) = self.current(client, round) else { return };
        let slot = under.slot;
        if self.servers[slot].up.is_none() {
            let at = self.now + MS / 5;
            return self.heap.push(at, Event::Broken { client, round, refused: true });
        }
        self.clients[client].under = Some(Under { life: self.servers[slot].life, ..under });
        let call = &self.centres[under.centre].run.operations[under.operation].call;
        self.line(slot, || format!("client {client}: {} {}", request.method, request.target));
        if call.writes() && !self.servers[slot].shown.leads {
            self.marks.hit(Mark::Forwarded);
        }
        let up = self.servers.iter().filter(|s| s.serves() && s.is_awake()).count();
        if up * 2 <= self.plan.knobs.servers as usize {
            self.marks.hit(Mark::NoQuorum);
        }
        let blocks = match call {
            // Of what is not here nobody can be woken here.
            _ if self.centre_of(slot) != under.centre => None,
            Call::Read { target, wait: Some(wait), .. } => Some((target.clone(), wait.index)),
            _ => None,
        };
        let fresh_read = matches!(call, Call::Read { mode: crate::oracle::Mode::Default, .. });
        if fresh_read
            && self.servers[slot].shown.leads
            && let Some(process) = &self.servers[slot].up
            && process.view.raft.lease_until <= self.servers[slot].clock.now(self.now).mono
        {
            self.marks.hit(Mark::LeaseRefused);
        }
        let req = ReqId(under.req);
        self.servers[slot].waiting.insert(req, Waiting { client, round, blocks });
        self.trace.number(under.req);
        self.trace.bytes(request.target.as_bytes());
        self.feed_front(slot, FrontInput::Http { req, request });
    }

    /// A front has answered.
    pub(super) fn answer(&mut self, slot: usize, req: ReqId, reply: HttpReply) {
        if self.servers[slot].chore == Some(req) {
            return self.on_chore_done(slot, &reply);
        }
        if self.servers[slot].errand == Some(req) {
            return self.on_errand_done(slot, &reply);
        }
        let Some(Waiting { client, round, .. }) = self.servers[slot].waiting.remove(&req) else {
            let what = format!("n{} answers request {req}, for which nobody waits", slot + 1);
            return self.fail(Violation::invariant("one answer per request", what));
        };
        self.trace.bytes(&reply.body);
        let it = &mut self.clients[client];
        let delay = it.luck.around(MS / 5);
        if !self.quiet && it.luck.permille(self.plan.knobs.client_loss_permille) {
            return;
        }
        self.heap.push(self.now + delay, Event::Answer { client, round, reply: Box::new(reply) });
    }

    pub(super) fn on_answer(&mut self, client: usize, round: u64, reply: &HttpReply) {
        let Some(under) = self.current(client, round) else { return };
        let call = &self.centres[under.centre].run.operations[under.operation].call;
        match http::outcome(call, reply) {
            Ok(outcome) => {
                self.line(under.slot, || format!("client {client} hears {} {outcome:?}", reply.status));
                self.finish(client, under, outcome);
            }
            Err(why) => {
                let what = format!("{call:?}: {why}");
                self.fail(Violation::new(Kind::Linearizability, "an answer makes sense", what));
            }
        }
    }

    pub(super) fn on_broken(&mut self, client: usize, round: u64, refused: bool) {
        let Some(under) = self.current(client, round) else { return };
        let outcome = if refused { Outcome::Failed("connection refused".into()) } else { Outcome::Unknown };
        self.finish(client, under, outcome);
    }

    pub(super) fn on_give_up(&mut self, client: usize, round: u64) {
        let Some(under) = self.current(client, round) else { return };
        let server = &mut self.servers[under.slot];
        // A paused process learns of the closed connection when it answers.
        if server.life == under.life && !server.paused && server.waiting.remove(&ReqId(under.req)).is_some() {
            self.feed_front(under.slot, FrontInput::Gone { req: ReqId(under.req) });
        }
        self.clients[client].under = None;
        if matches!(self.centres[under.centre].run.operations[under.operation].call, Call::Restore(_)) {
            self.marks.hit(Mark::RestoreUnknown);
        }
        self.script_must_succeed(client, under, &Outcome::Unknown);
        self.rest(client);
    }

    fn finish(&mut self, client: usize, under: Under, outcome: Outcome) {
        let operation = &mut self.centres[under.centre].run.operations[under.operation];
        operation.end = Some(self.now);
        operation.outcome = outcome;
        let operation = &self.centres[under.centre].run.operations[under.operation];
        note_marks(&mut self.marks, operation, &self.centres[under.centre].run.operations);
        if self.plan.knobs.datacenter(under.slot) != under.centre {
            match &operation.outcome {
                Outcome::Failed(why) if why.contains("No path to datacenter") => self.marks.hit(Mark::NoPath),
                Outcome::Failed(_) | Outcome::Unknown => {}
                _ => self.marks.hit(Mark::AnsweredAbroad),
            }
        }
        self.clients[client].learn(&operation.call, &operation.outcome);
        self.clients[client].under = None;
        self.clients[client].failed = matches!(operation.outcome, Outcome::Failed(_) | Outcome::Unknown);
        if let (Call::Read { target, mode, .. }, Outcome::Read(answer)) =
            (&operation.call, &operation.outcome)
        {
            let restored = self.centres[under.centre].restores.last().map(|restore| restore.at);
            let times = (operation.begin, restored);
            let checked = client::index_never_runs_back(
                &mut self.indexes,
                operation.client,
                target,
                *mode,
                answer,
                times,
            );
            self.check(checked);
        }
        self.on_archive(under.centre, under.operation);
        let outcome = self.centres[under.centre].run.operations[under.operation].outcome.clone();
        self.script_must_succeed(client, under, &outcome);
        self.rest(client);
    }

    /// After the healing every request of a script must be answered well. A write through a client agent may have
    /// gone down a connection whose other end had moved away without a word, one to each server: nobody can say what
    /// became of it.
    fn script_must_succeed(&mut self, client: usize, under: Under, outcome: &Outcome) {
        let scripted = matches!(self.clients[client].role, Role::Script(_));
        let agent = under.slot >= self.plan.knobs.slots() || under.centre != self.centre_of(under.slot);
        let forgiven = self.clients[client].forgiven;
        if scripted && agent && *outcome == Outcome::Unknown && forgiven < self.plan.knobs.slots() {
            let call = self.centres[under.centre].run.operations[under.operation].call.clone();
            self.clients[client].forgiven += 1;
            if let Role::Script(calls) = &mut self.clients[client].role {
                calls.push_front(call);
            }
            return;
        }
        if scripted && matches!(outcome, Outcome::Failed(_) | Outcome::Unknown | Outcome::Wrote(false)) {
            let call = &self.centres[under.centre].run.operations[under.operation].call;
            let what = format!("n{}: {call:?} -> {outcome:?}", under.slot + 1);
            self.fail(Violation::new(Kind::Liveness, "a healed server serves", what));
        }
    }

    fn rest(&mut self, client: usize) {
        let failed = self.clients[client].failed;
        let think = match &self.clients[client].role {
            Role::Script(_) | Role::Once(_) => MS,
            _ if failed => 200 * MS,
            _ if self.now < self.burst_until => MS,
            Role::Watcher => MS * 5,
            Role::Worker | Role::Holder => {
                let mean = self.plan.knobs.think_ms * MS;
                self.clients[client].luck.around(mean)
            }
        };
        self.heap.push(self.now + think, Event::Next { client });
    }
}

fn note_marks(marks: &mut super::marks::Marks, op: &Operation, history: &[Operation]) {
    match (&op.call, &op.outcome) {
        (Call::Write(Write::Cas { .. } | Write::DeleteCas { .. }), Outcome::Wrote(false)) => {
            marks.hit(Mark::CasRefused);
        }
        (Call::Write(Write::Acquire { .. }), Outcome::Wrote(true)) => marks.hit(Mark::LockTaken),
        (_, Outcome::Renewed(false)) => marks.hit(Mark::SessionGone),
        (Call::Txn { .. }, Outcome::Txn(TxnAnswer::RolledBack(_))) => marks.hit(Mark::RolledBack),
        (Call::Restore(_), Outcome::Unknown) => marks.hit(Mark::RestoreUnknown),
        (call, Outcome::Unknown) if call.writes() => marks.hit(Mark::UnknownWrite),
        (_, Outcome::Failed(text)) if text.contains("No cluster leader") => marks.hit(Mark::NoLeader),
        (_, Outcome::Failed(text)) if text.contains("nearly full") => marks.hit(Mark::DiskFullRefused),
        (Call::Read { wait: Some(wait), target, .. }, Outcome::Read(answer)) => {
            if answer.index <= wait.index {
                return marks.hit(Mark::TimedOut);
            }
            marks.hit(Mark::Woken);
            let deletes = |o: &&Operation| {
                matches!((&o.call, target), (Call::Write(Write::Delete { key }), crate::oracle::Target::Prefix(p)) if key.starts_with(&**p))
                    || matches!(
                        (&o.call, target),
                        (Call::Write(Write::Deregister(_)), crate::oracle::Target::Health(_))
                    )
            };
            let last = history.iter().rev().skip(1).take(8).find(|o| o.call.writes() && o.begin > op.begin);
            if last.as_ref().is_some_and(deletes) {
                marks.hit(Mark::WokenByDelete);
            }
        }
        _ => {}
    }
}
