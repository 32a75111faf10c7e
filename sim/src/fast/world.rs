//! The world: every server, client, link and disk on one event heap.
//!
//! Time is a number that jumps from event to event. Whatever a node orders is carried out here: messages
//! go through the network as bytes, batches through the disk, requests and answers through the clients'
//! connections. After every view that a node publishes the invariants are checked: `judge`.

use super::address::Addresses;
use super::agents::Owner;
use super::archives::Archives;
use super::client::{Client, Role};
use super::detection::Detection;
use super::disk::Flushed;
use super::dns::NameServer;
use super::event::{Event, Heap};
use super::herd::Herd;
use super::invariant::{Checked, client, cluster, promise, raft, store, watch};
use super::keys::Keeper;
use super::luck::Luck;
use super::marks::{Mark, Marks};
use super::net::Net;
use super::operator::Operator;
use super::plan::Plan;
use super::rpc::{Lines, Order};
use super::server::Server;
use super::stream::Conns;
use super::trace::Trace;
use super::verdict::{Kind, Violation};
use crate::oracle::Run;
use bytes::Bytes;
use lictor_core::front::{FrontInput, FrontOutput};
use lictor_core::ids::{FrontId, ServerId, Ticket};
use lictor_core::node::{DiskBatch, Input, Output};
use lictor_core::raft::{Batch, Body, Entry};
use lictor_core::store::Store;
use std::collections::VecDeque;
use std::net::SocketAddr;

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MS;

/// More events than this within one virtual millisecond: something goes round in circles.
const MAX_EVENTS_PER_MS: u64 = 100_000;

/// What is known of one datacenter: its log, and what clients asked of it.
#[derive(Debug)]
pub(super) struct Centre {
    pub(super) run: Run,
    pub(super) seen: raft::Seen,
    founded: Option<Entry>,
    pub(super) reference: store::Reference,
    /// Archives that were restored.
    pub(super) restores: Vec<store::Restore>,
}

impl Centre {
    /// One that begins with the store of a server that has applied nothing yet. Those of `strangers` who pass its
    /// answers on promise nothing of their own.
    fn new(empty: Store, strangers: impl Iterator<Item = u32>) -> Centre {
        let run = Run { agents: strangers.collect(), ..Run::default() };
        let reference = store::Reference::new(empty);
        Centre { run, seen: raft::Seen::default(), founded: None, reference, restores: Vec::new() }
    }
}

/// The whole of a run.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: u64,
    pub(super) heap: Heap,
    pub(super) servers: Vec<Server>,
    pub(super) net: Net,
    pub(super) addresses: Addresses,
    pub(super) names: NameServer,
    pub(super) conns: Conns,
    pub(super) lines: Lines,
    /// Of each host's services.
    pub(super) owners: Vec<Owner>,
    pub(super) clients: Vec<Client>,
    pub(super) operator: Operator,
    pub(super) keeper: Keeper,
    pub(super) archives: Archives,
    pub(super) detection: Detection,
    pub(super) herd: Herd,
    /// Clients do not pause until then.
    pub(super) burst_until: u64,
    /// Clients ask nothing new.
    pub(super) quiet: bool,
    pub(super) next_req: u64,
    /// What is known of each datacenter.
    pub(super) centres: Vec<Centre>,
    pub(super) indexes: client::Indexes,
    pub(super) marks: Marks,
    pub(super) trace: Trace,
    /// The first violation; nothing happens after it.
    pub(super) violation: Option<Violation>,
    /// Events in the current virtual millisecond.
    busy: (u64, u64),
    /// Nanoseconds that servers were up, summed over servers.
    pub(super) server_ns: u64,
}

impl World {
    pub(super) fn new(plan: Plan, trace: Trace) -> World {
        let (seed, knobs) = (plan.seed, &plan.knobs.clone());
        let slots = knobs.hosts();
        let servers: Vec<Server> = (0..slots).map(|slot| Server::new(slot, seed, knobs)).collect();
        let roles = (0..knobs.clients).map(|_| Role::Worker);
        let roles = roles.chain((0..knobs.watchers).map(|_| Role::Watcher));
        let roles = roles.chain((0..knobs.holders).map(|_| Role::Holder));
        let clients = roles
            .enumerate()
            .map(|(i, role)| {
                // Clients of agents and of servers in turn.
                let home = i % (knobs.servers + knobs.agents + knobs.far_servers) as usize;
                let home = if home < knobs.servers as usize { home } else { home + knobs.spares as usize };
                let centres = 1 + u64::from(knobs.far_servers > 0);
                let centre = Luck::of(seed, "centre", i as u64).below(centres) as usize;
                Client::new(i as u32, role, home, Luck::of(seed, "client", i as u64)).of(centre)
            })
            .collect();
        let mut world = World {
            now: 0,
            heap: Heap::default(),
            servers,
            net: Net::new(seed, knobs),
            addresses: Addresses::new(slots),
            names: NameServer::new(
                Luck::of(seed, "names", 0),
                knobs.names_lag_ms * MS,
                knobs.names_lie_permille,
            ),
            conns: Conns::default(),
            lines: Lines::default(),
            owners: (0..slots as u64).map(|n| Owner::new(Luck::of(seed, "owner", n))).collect(),
            clients,
            operator: Operator::default(),
            detection: Detection::default(),
            herd: Herd::default(),
            archives: Archives::default(),
            keeper: Keeper::new(Luck::of(seed, "keeper", 0)),
            burst_until: 0,
            quiet: false,
            next_req: 0,
            centres: Vec::new(),
            indexes: client::Indexes::default(),
            marks: Marks::default(),
            trace,
            violation: None,
            busy: (0, 0),
            server_ns: 0,
            plan,
        };
        let strangers = |centre| {
            let stranger =
                move |server: &&Server| !server.serves() || knobs.datacenter(server.slot) != centre;
            world.servers.iter().filter(stranger).map(|server| server.slot as u32)
        };
        let count = 1 + usize::from(knobs.far_servers > 0);
        world.centres = (0..count).map(|centre| Centre::new(Store::default(), strangers(centre))).collect();
        for slot in 0..world.plan.knobs.late() {
            world.start(slot);
        }
        // A known bug in the store is in all of them.
        for (centre, slot) in [0, world.plan.knobs.near()].into_iter().enumerate().take(count) {
            if let Some(process) = &world.servers[slot].up {
                world.centres[centre].reference = store::Reference::new(process.node.store().clone());
            }
        }
        for client in 0..world.clients.len() {
            world.heap.push(MS * (1 + client as u64), Event::Next { client });
        }
        for (number, step) in world.plan.steps.iter().enumerate() {
            world.heap.push(step.at_ms * MS, Event::Step(number));
        }
        if world.gossips() {
            (0..slots).for_each(|slot| world.heap.push(SECOND + slot as u64 * MS, Event::Chore { slot }));
        }
        if world.plan.knobs.rotate_ms > 0 {
            world.heap.push(SECOND, Event::Keeper);
        }
        world.heap.push(200 * MS, Event::Operator);
        world.heap.push(SECOND, Event::Audit);
        world
    }

    /// The datacenter of a host.
    pub(super) fn centre_of(&self, slot: usize) -> usize {
        self.plan.knobs.datacenter(slot)
    }

    /// Lets everything happen that is due up to `end`.
    pub(super) fn run_until(&mut self, end: u64) {
        while self.violation.is_none()
            && let Some((at, event)) = self.heap.pop_until(end)
        {
            self.pass(at);
            self.dispatch(event);
            self.trace.event();
        }
        if self.violation.is_none() {
            self.pass(end);
        }
    }

    fn pass(&mut self, at: u64) {
        let up = self.servers.iter().filter(|s| s.up.is_some()).count() as u64;
        self.server_ns += up * (at - self.now);
        self.now = at;
        self.trace.number(at);
        let ms = at / MS;
        self.busy = if self.busy.0 == ms { (ms, self.busy.1 + 1) } else { (ms, 1) };
        if self.busy.1 > MAX_EVENTS_PER_MS {
            let what = format!("{MAX_EVENTS_PER_MS} events within one millisecond");
            self.fail(Violation::new(Kind::Liveness, "time goes on", what));
        }
    }

    /// The first violation ends the run.
    pub(super) fn fail(&mut self, violation: Violation) {
        if self.violation.is_none() {
            self.violation = Some(Violation { at: self.now, ..violation });
        }
    }

    pub(super) fn check(&mut self, checked: Checked) {
        if let Err(violation) = checked {
            self.fail(violation);
        }
    }

    fn dispatch(&mut self, event: Event) {
        if let Some(slot) = self.addressee(&event)
            && self.servers[slot].paused
        {
            return self.servers[slot].backlog.push(event);
        }
        match event {
            Event::Peer { sender, from, slot, to, life, bytes }
                if self.servers[slot].id == to && self.lives(slot, life) =>
            {
                self.on_peer((sender, slot), from, bytes);
            }
            Event::PeerLost { from, slot, life } if self.lives(slot, life) => {
                self.feed(slot, Input::PeerLost { from });
            }
            Event::Packet(packet) => self.on_packet(*packet),
            Event::Knock { conn, tries } => self.on_knock(conn, tries),
            Event::Pump { conn, from } => self.on_pump(conn, from),
            Event::Line { conn, end } => self.on_line(conn, end),
            Event::Resolved { slot, life, lookup, found } => self.on_resolved(slot, life, lookup, found),
            Event::Chore { slot } => self.on_chore(slot),
            Event::Wake { slot, life } if self.lives(slot, life) => {
                self.servers[slot].wake_at = u64::MAX;
                self.wake(slot);
            }
            Event::Flushed { slot, life } if self.lives(slot, life) => self.on_flushed(slot),
            Event::Built { slot, life, at, store } if self.lives(slot, life) => {
                let data = store.encode_snapshot();
                self.feed(slot, Input::SnapshotBuilt { at, data });
            }
            Event::Worked { slot, life, req, work } if self.lives(slot, life) => {
                self.feed_front(slot, FrontInput::Worked { req, worked: work.run() });
            }
            Event::Die { slot, life, step } if self.lives(slot, life) && !self.quiet => self.die(slot, step),
            Event::Peer { .. } | Event::PeerLost { .. } => {}
            Event::Wake { .. } | Event::Flushed { .. } | Event::Built { .. } | Event::Die { .. } => {}
            Event::Worked { .. } => {}
            Event::Request { client, round, request } => self.on_request(client, round, *request),
            Event::Answer { client, round, reply } => self.on_answer(client, round, &reply),
            Event::Broken { client, round, refused } => self.on_broken(client, round, refused),
            Event::GiveUp { client, round } => self.on_give_up(client, round),
            Event::Next { client } => self.on_next(client),
            Event::Step(number) => self.on_step(number),
            Event::Operator => self.on_operator(),
            Event::Keeper => self.on_keeper(),
            Event::Audit => self.audit(),
        }
    }

    /// The server that an event waits for while it is paused.
    fn addressee(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Peer { slot, .. } => Some(*slot),
            Event::Wake { slot, .. } | Event::Flushed { slot, .. } | Event::Built { slot, .. } => Some(*slot),
            Event::Worked { slot, .. } => Some(*slot),
            Event::PeerLost { slot, .. } | Event::Resolved { slot, .. } | Event::Chore { slot } => {
                Some(*slot)
            }
            Event::Packet(packet) => Some(packet.slot),
            Event::Pump { conn, from } => self.conns.receiver(*conn, *from),
            Event::Line { conn, end } => self.lines.host(*conn, *end),
            Event::Request { client, round, .. } => {
                let client = &self.clients[*client];
                client.under.filter(|_| client.round == *round).map(|under| under.slot)
            }
            _ => None,
        }
    }

    fn lives(&self, slot: usize, life: u32) -> bool {
        self.servers[slot].life == life && self.servers[slot].up.is_some()
    }

    /// A connection does not outlive the process at its end, so the receiver is still the one that was meant. A message
    /// in flight when the link is cut does not get through either.
    fn on_peer(&mut self, (sender, slot): (usize, usize), from: ServerId, bytes: Bytes) {
        if self.net.is_open(sender, slot) {
            self.trace.bytes(&bytes);
            self.feed(slot, Input::Peer { from, bytes });
        }
    }

    fn wake(&mut self, slot: usize) {
        let server = &mut self.servers[slot];
        let now = server.clock.now(self.now);
        let Some(process) = &mut server.up else { return };
        if process.front.poll_timeout().is_some_and(|at| at <= now.mono) {
            process.front.handle(now, &process.view, FrontInput::Wake);
        }
        if process.node.poll_timeout().is_some_and(|at| at <= now.mono) {
            process.node.handle(now, Input::Wake);
        }
        self.settle(slot);
    }

    fn on_flushed(&mut self, slot: usize) {
        let server = &mut self.servers[slot];
        let before = server.disk.platter.hard.clone();
        let Some(flushed) = server.disk.finish() else { return };
        match flushed {
            Flushed::Upto(upto, batches) => {
                self.written(slot, before, &batches);
                if let Some(delay) = self.servers[slot].disk.start() {
                    let life = self.servers[slot].life;
                    self.heap.push(self.now + delay, Event::Flushed { slot, life });
                }
                self.feed(slot, Input::Persisted { upto });
            }
            Flushed::Failed(ticket) => {
                let error = String::from("Input/output error (os error 5)");
                self.feed(slot, Input::PersistFailed { ticket, error });
            }
        }
    }

    /// Batches have reached a disk.
    pub(super) fn written(
        &mut self,
        slot: usize,
        mut before: lictor_core::raft::HardState,
        batches: &[DiskBatch],
    ) {
        let id = self.servers[slot].id.clone();
        let centre = self.centre_of(slot);
        for batch in batches {
            if let Some(Batch { hard: Some(hard), .. }) = &batch.raft {
                let checked = raft::one_vote_per_term(&mut self.centres[centre].seen, &id, &before, hard);
                self.check(checked);
                before = hard.clone();
            }
            // What never came to the disk was founded by nobody: no vote for it counted.
            for entry in batch.raft.iter().flat_map(|raft| &raft.append) {
                let founded = &mut self.centres[centre].founded;
                let alone = founded.is_none();
                let checked = cluster::founded_once(founded, &id, entry);
                if alone && founded.is_some() {
                    self.marks.hit(Mark::Founded);
                }
                self.check(checked);
            }
        }
    }

    /// Hands one input to a node and carries out everything that follows.
    pub(super) fn feed(&mut self, slot: usize, input: Input) {
        let server = &mut self.servers[slot];
        let now = server.clock.now(self.now);
        let Some(process) = &mut server.up else { return };
        process.node.handle(now, input);
        self.settle(slot);
    }

    /// Hands one input to a front and carries out everything that follows.
    pub(super) fn feed_front(&mut self, slot: usize, input: FrontInput) {
        let server = &mut self.servers[slot];
        let now = server.clock.now(self.now);
        let Some(process) = &mut server.up else { return };
        process.front.handle(now, &process.view, input);
        self.settle(slot);
    }

    /// Carries out what a node and its front have ordered, until both are quiet.
    pub(super) fn settle(&mut self, slot: usize) {
        let Some(mut process) = self.servers[slot].up.take() else { return };
        let now = self.servers[slot].clock.now(self.now);
        let mut inputs = VecDeque::new();
        let mut alive = true;
        while alive && self.violation.is_none() {
            if let Some(output) = process.front.poll_output() {
                match output {
                    FrontOutput::HttpReply { req, reply } => self.answer(slot, req, reply),
                    FrontOutput::Call { call, request } => {
                        inputs.push_back(Input::Call { from: FrontId(0), call, request });
                    }
                    FrontOutput::RpcReply { req, reply } => self.rpc_reply(slot, req, &reply),
                    FrontOutput::Work { req, work } => self.work(slot, req, work),
                    FrontOutput::Event(_) | FrontOutput::Stream { .. } => {}
                }
            } else if let Some(output) = process.node.poll_output() {
                match output {
                    Output::Publish { view, changes } => {
                        let before = std::mem::replace(&mut process.view, view);
                        self.on_view(slot, &process);
                        let parked = self.parked_at_a_restore(slot, &before, &process);
                        process.front.handle(now, &process.view, FrontInput::Changed(changes));
                        let checked =
                            watch::a_restore_wakes(&parked, &before.store, &self.servers[slot], &process);
                        self.check(checked);
                    }
                    Output::Reply { to: FrontId(0), call, reply } => {
                        process.front.handle(now, &process.view, FrontInput::Reply { call, reply });
                    }
                    Output::Halt { .. } | Output::Stopped { .. } => {
                        self.on_end(slot, &output);
                        alive = false;
                    }
                    other => self.carry_out(slot, other),
                }
            } else if !inputs.is_empty() {
                // Together, as the driver hands over what has queued.
                inputs.drain(..).for_each(|input| process.node.handle(now, input));
            } else {
                break;
            }
        }
        if !alive {
            return self.ended(slot);
        }
        let Centre { reference, restores, .. } = &self.centres[self.centre_of(slot)];
        let checked = watch::no_lost_wakeup(reference, restores, &self.servers[slot], &process)
            .and_then(|()| watch::nothing_is_forgotten(&self.servers[slot], &process));
        self.check(checked);
        let deadlines = [process.node.poll_timeout(), process.front.poll_timeout()];
        self.servers[slot].up = Some(process);
        if let Some(at) = deadlines.into_iter().flatten().min() {
            let server = &mut self.servers[slot];
            let at = server.clock.global_of(at).max(self.now);
            if at < server.wake_at && at < u64::MAX / 2 {
                server.wake_at = at;
                self.heap.push(at, Event::Wake { slot, life: server.life });
            }
        }
    }

    fn carry_out(&mut self, slot: usize, output: Output) {
        match output {
            Output::Peer { to, at, bytes } => self.send(slot, to, at, bytes),
            Output::Persist { ticket, batch } => self.persist(slot, ticket, batch),
            Output::BuildSnapshot { at, store, .. } => {
                let life = self.servers[slot].life;
                let delay = MS + store.applied() % 7 * MS;
                self.heap.push(self.now + delay, Event::Built { slot, life, at, store });
            }
            Output::Reply { call, reply, .. } => self.on_operator_reply(slot, call, reply),
            Output::Event(event) => {
                if event.message.contains("is taken: the node at") {
                    self.servers[slot].refused = Some(event.message.to_string());
                }
                if event.message.starts_with("a snapshot from the leader cannot be read") {
                    self.marks.hit(Mark::SnapshotRefused);
                }
                self.line(slot, || {
                    let fields: Vec<String> = event.fields.iter().map(|(k, v)| format!(" {k}={v}")).collect();
                    format!("log {}{}", event.message, fields.concat())
                });
            }
            // No checks are configured, and nobody asks for a reload.
            Output::RunCheck { .. } | Output::CancelCheck { .. } | Output::ReadConfig | Output::Joined => {}
            Output::Publish { .. } | Output::Halt { .. } | Output::Stopped { .. } => {}
            Output::Gossip { pool, order } => self.net_order(slot, pool, order),
            Output::Resolve { lookup, names, port } => self.resolve(slot, lookup, &names, port),
            Output::Rpc { call, to, method, body, until } => {
                self.call_server(slot, Order { call, to, method, body, until });
            }
            // It is answered to nobody.
            Output::CancelRpc { .. } => {}
            Output::DropRpc { to } => self.drop_line(slot, to),
        }
    }

    fn send(&mut self, slot: usize, to: ServerId, at: Option<SocketAddr>, bytes: Bytes) {
        let Some(target) = self.peer_at(&to, at) else { return };
        self.servers[slot].spoke_to.insert(target);
        let mut bytes = bytes;
        if let Some(message) = promise::raft_message(&bytes) {
            let checked = self.check_message(slot, &to, &message);
            self.check(checked);
            bytes = self.perhaps_spoil(bytes, &message.body);
        }
        let fate = self.net.send(self.now, slot, target);
        let (life, from) = (self.servers[target].life, self.servers[slot].id.clone());
        match (fate.first, fate.second) {
            (None, _) => self.marks.hit(Mark::MessageLost),
            (Some(at), second) => {
                if let Some(again) = second {
                    self.marks.hit(Mark::MessageTwice);
                    let event = Event::Peer {
                        sender: slot,
                        from: from.clone(),
                        slot: target,
                        to: to.clone(),
                        life,
                        bytes: bytes.clone(),
                    };
                    self.heap.push(again, event);
                }
                self.heap
                    .push(at, Event::Peer { sender: slot, from, slot: target, to: to.clone(), life, bytes });
            }
        }
    }

    /// A piece of a snapshot may be damaged on its way, beyond doubt: its bytes begin no value of msgpack.
    fn perhaps_spoil(&self, bytes: Bytes, body: &Body) -> Bytes {
        let Body::Snapshot { chunk, .. } = body else { return bytes };
        let permille = self.plan.knobs.spoil_permille;
        if self.quiet || !Luck::of(self.plan.seed, "spoil", self.now).permille(permille) {
            return bytes;
        }
        let mut spoilt = bytes.to_vec();
        let from = spoilt.len() - chunk.len();
        spoilt[from..].fill(0xc1);
        Bytes::from(spoilt)
    }

    fn persist(&mut self, slot: usize, ticket: Ticket, batch: DiskBatch) {
        if let Some(raft_batch) = &batch.raft {
            let checked = self.shadow(slot, raft_batch);
            self.check(checked);
        }
        let server = &mut self.servers[slot];
        if let Some(delay) = server.disk.persist(ticket, batch) {
            let life = server.life;
            if let Some(step) = server.doomed.take() {
                let at = self.now + Luck::of(self.plan.seed, "doom", step).below(delay);
                self.heap.push(at, Event::Die { slot, life, step });
            }
            self.heap.push(self.now + delay, Event::Flushed { slot, life });
        }
    }

    /// The server's log changes as `batch` says.
    fn shadow(&mut self, slot: usize, batch: &Batch) -> Checked {
        let server = &mut self.servers[slot];
        let Centre { seen, .. } = &mut self.centres[self.plan.knobs.datacenter(slot)];
        if let Some(from) = batch.truncate_from {
            server.shadow.truncate_from(from);
        }
        for entry in &batch.append {
            raft::log_matching(seen, &server.shadow, &server.id, entry)?;
            server.shadow.append(entry.clone());
        }
        if let Some((meta, _)) = &batch.snapshot {
            server.shadow.install(meta);
        }
        Ok(())
    }

    /// Writes a line of the column log.
    pub(super) fn line(&self, slot: usize, event: impl FnOnce() -> String) {
        let server = &self.servers[slot];
        self.trace.line(self.now, slot, || {
            let shown = server.shown;
            // While its outputs are carried out a process is out of its place; a dead one has shown nothing.
            let role = match (server.up.is_some() || shown.term > 0, server.paused, shown.leads) {
                (_, true, _) => "P",
                (_, _, true) => "L",
                (false, ..) => "-",
                _ => "F",
            };
            let position = format!("{}/{}/{}", server.shadow.last().0, shown.commit, shown.applied);
            format!(
                "n{:<4}{role:<4} {:<5} {position:<20} {:<4} {:<4} {}",
                server.slot + 1,
                shown.term,
                server.disk.backlog(),
                server.waiting.len(),
                event()
            )
        });
    }
}
