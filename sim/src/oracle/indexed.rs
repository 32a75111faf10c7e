//! The index-ordered judge: takes the committed log at its word and holds every answer against it.
//!
//! Linear time, so it runs after every simulation. It plays the log on a plain model and demands:
//!
//! - every write in the log was asked for, by one operation, after that operation began and before it was
//!   answered; every acknowledged write is in the log; a write that was refused is not;
//! - every write was answered as the model answers it;
//! - real-time order (Herlihy and Wing 1990): if A ended before B began, B stands behind A, where A is an
//!   acknowledged write or a `default` or `consistent` read, and B too;
//! - every read shows the state at one index (no torn answer, no value that never was), not of the future;
//! - a server never shows less than it has shown or acknowledged before, in whatever mode, until it
//!   restarts (the promise of `lictor_core::node`: whoever has been answered can read it). A client agent asks now
//!   one server, now another, and promises nothing of its own.
//!
//! - an archive takes the place of everything in one step, when the last of its parts stands in the log, and what is
//!   there then is what was there at the index at which it was saved; a restore that was refused has changed nothing.
//!
//! It believes the log. That the log is one and the same everywhere is for the invariants to show, and
//! [`super::linear`] asks the same questions without it.

use super::history::*;
use super::model::{Model, Reply};
use super::violation::Violation;
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::command::{Command, KvCommand, Register, RestorePart, SessionOp, Txn, TxnOp};
use lictor_core::types::{KvEntry, KvOp};
use std::collections::BTreeMap;

/// How much there was to judge, so that a sweep can tell a judge from a spectator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Reads that were answered and found right.
    pub reads: usize,
    /// Writes that were answered and found right.
    pub writes: usize,
    /// Writes of unknown outcome that the log holds.
    pub unknown_applied: usize,
    /// Writes of unknown outcome that the log does not hold.
    pub unknown_lost: usize,
}

/// Judges `run`.
pub fn check(run: &Run) -> Result<Summary, Violation> {
    let mut judge = Judge::new(run);
    judge.play_log()?;
    super::sessions::check(run, &judge.model)?;
    judge.follow_time()?;
    if let Some(there) = &run.finally {
        let expected = judge.model.finally();
        if *there != expected {
            let what = format!("{there:?}, and by the log {expected:?}");
            return Err(Violation::new("in the end there is what the log gives", what, []));
        }
    }
    Ok(judge.summary)
}

struct Judge<'a> {
    run: &'a Run,
    model: Model,
    /// Per operation: where the log holds it.
    place: Vec<Option<u64>>,
    /// Per operation: what its index must be above (writes) or not below (reads).
    floor: Vec<u64>,
    /// Catalog writes of the log: index, time, command.
    catalog: Vec<&'a Committed>,
    summary: Summary,
}

impl<'a> Judge<'a> {
    fn new(run: &'a Run) -> Judge<'a> {
        let count = run.operations.len();
        Judge {
            run,
            model: Model::default(),
            place: vec![None; count],
            floor: vec![0; count],
            catalog: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Plays the log and finds out whose each write is.
    fn play_log(&mut self) -> Result<(), Violation> {
        let mut asked = self.asked();
        let mut last = 0;
        let mut begun = self.run.begun.iter().peekable();
        for committed in &self.run.log {
            let Committed { index, at, command } = committed;
            if *index <= last {
                return Err(Violation::new("log order", format!("index {index} after {last}"), []));
            }
            last = *index;
            while begun.next_if(|begun| **begun < *index).is_some() {
                self.model.leader_began();
            }
            let reply = self.model.apply(*index, command);
            match command {
                // A leader's, who changes the address of a node that has moved.
                Command::Txn(txn) if txn.ops.iter().all(|op| matches!(op, TxnOp::Node(..))) => {}
                Command::Kv(_) | Command::Txn(_) => {
                    let same = asked.get_mut(&command.encode());
                    let owner = same.and_then(|ops| self.take_owner(ops, *at, &reply));
                    let Some(owner) = owner else { return Err(self.unowned(committed, &reply)) };
                    self.place[owner] = Some(*index);
                }
                // Agents and leaders write to the catalog too; clients' writes are looked up later.
                Command::Register(_) | Command::Deregister(_) => self.catalog.push(committed),
                Command::ReapTombstones(_) | Command::Autopilot(_) | Command::Coordinates(_) => {}
                // Clients' ones are looked up later too; who else may end a session, `super::sessions` says.
                Command::Session(_) => self.catalog.push(committed),
                Command::PreparedQuery(_) => self.catalog.push(committed),
                Command::Restore(part) => self.play_part(committed, part)?,
            }
        }
        Ok(())
    }

    /// A part of an archive; with the last one it must be one that somebody wanted restored.
    fn play_part(&mut self, committed: &Committed, part: &RestorePart) -> Result<(), Violation> {
        let Some(state) = self.model.take_part(part) else { return Ok(()) };
        let Committed { index, at, .. } = committed;
        let fits = |(i, op): &(usize, &Operation)| {
            matches!(&op.call, Call::Restore(saved) if *saved.state == *state && saved.index == part.index)
                && self.place[*i].is_none()
                && !matches!(op.outcome, Outcome::Failed(_))
                && (op.begin <= *at && *at <= deadline(op))
        };
        let found = self.run.operations.iter().enumerate().filter(fits).min_by_key(|(_, op)| deadline(op));
        let Some((owner, Operation { call: Call::Restore(saved), .. })) = found else {
            let what = format!(
                "index {index} restores an archive of {} bytes, which nobody wanted then",
                state.len()
            );
            return Err(Violation::new("a restore has an operation", what, []));
        };
        if *index <= part.index {
            let what = format!("it stands at index {index}, the archive goes to {}", part.index);
            return Err(Violation::new(
                "a restore is above what it restores",
                what,
                [&self.run.operations[owner]],
            ));
        }
        self.place[owner] = Some(*index);
        self.model.restore(*index, saved.of);
        Ok(())
    }

    /// Operations by the bytes of their command, each group's earliest end last.
    fn asked(&self) -> BTreeMap<Bytes, Vec<usize>> {
        let mut asked: BTreeMap<Bytes, Vec<usize>> = BTreeMap::new();
        for (i, op) in self.run.operations.iter().enumerate() {
            if !matches!(op.outcome, Outcome::Failed(_))
                && let Some(command) = command_of(&op.call)
            {
                asked.entry(command.encode()).or_default().push(i);
            }
        }
        for ops in asked.values_mut() {
            ops.sort_by_key(|i| std::cmp::Reverse(deadline(&self.run.operations[*i])));
        }
        asked
    }

    /// The operation with the earliest end that may stand in the log at time `at` with this reply.
    fn take_owner(&self, ops: &mut Vec<usize>, at: u64, reply: &Reply) -> Option<usize> {
        let fits = |i: &usize| {
            let op = &self.run.operations[*i];
            op.begin <= at && at <= deadline(op) && reply.agrees(&op.outcome)
        };
        let place = ops.iter().rposition(fits)?;
        Some(ops.remove(place))
    }

    fn unowned(&self, committed: &Committed, reply: &Reply) -> Violation {
        let Committed { index, at, command } = committed;
        let same = self.run.operations.iter().filter(|op| command_of(&op.call).as_ref() == Some(command));
        let what = format!(
            "index {index} applied at {:.3} ms holds {command:?}, which by then answers {reply:?}; \
             of the operations that asked for it none is left that can be this one",
            *at as f64 / 1e6
        );
        Violation::new("a committed write has no operation", what, same)
    }

    /// Walks through the history as it happened, raising the floors.
    fn follow_time(&mut self) -> Result<(), Violation> {
        let mut events: Vec<(u64, Step, usize)> = Vec::with_capacity(self.run.operations.len() * 2);
        for (i, op) in self.run.operations.iter().enumerate() {
            events.push((op.begin, Step::Begin, i));
            events.extend(op.end.map(|end| (end, Step::End, i)));
        }
        events.extend(self.run.restarts.iter().enumerate().map(|(i, r)| (r.at, Step::Restart, i)));
        events.sort();
        let mut seen = Seen::default();
        let mut asked_of = vec![Server::default(); self.run.operations.len()];
        for (at, step, i) in events {
            match step {
                Step::Restart => {
                    let server = seen.servers.entry(self.run.restarts[i].server).or_default();
                    *server = Server { life: server.life + 1, shown: 0 };
                }
                Step::Begin => {
                    let op = &self.run.operations[i];
                    asked_of[i] = *seen.servers.entry(op.server).or_default();
                    // Everybody's promises bind a fresh read, its server's a read of any mode.
                    self.floor[i] = if is_stale(&op.call) { 0 } else { seen.all };
                }
                Step::End => {
                    let op = &self.run.operations[i];
                    let server = *seen.servers.entry(op.server).or_default();
                    // Across a restart nobody knows which life answered.
                    let same_life = server.life == asked_of[i].life && !self.run.agents.contains(&op.server);
                    if same_life {
                        self.floor[i] = self.floor[i].max(asked_of[i].shown);
                    }
                    let Some(index) = self.index_of(at, i)? else { continue };
                    if !is_stale(&op.call) {
                        seen.all = seen.all.max(index);
                    }
                    if same_life {
                        let shown = server.shown.max(index);
                        seen.servers.insert(op.server, Server { shown, ..server });
                    }
                }
            }
        }
        for (op, place) in self.run.operations.iter().zip(&self.place) {
            if op.outcome == Outcome::Unknown && op.call.writes() {
                match place {
                    Some(_) => self.summary.unknown_applied += 1,
                    None => self.summary.unknown_lost += 1,
                }
            }
        }
        Ok(())
    }

    /// The index at which an answered operation took effect: of those that explain a read, the first.
    /// Higher ones would only bind later reads more.
    fn index_of(&mut self, at: u64, i: usize) -> Result<Option<u64>, Violation> {
        let op = &self.run.operations[i];
        let index = match (&op.call, &op.outcome) {
            (_, Outcome::Failed(_) | Outcome::Unknown) => return Ok(None),
            (Call::Renew { .. }, _) => return Ok(None),
            (Call::Save { .. }, Outcome::Saved(saved)) => self.saved_at(i, saved, at)?,
            (Call::Write(write), _) if is_looked_up(write) => self.catalog_place(write, op, self.floor[i])?,
            (call, _) if call.writes() => self.written_at(i)?,
            (Call::Read { target, .. }, Outcome::Read(answer)) => {
                let found = self.model.first_match(target, answer, self.floor[i], self.applied_by(at));
                found.ok_or_else(|| self.unexplained(i, target, at))?
            }
            (Call::Txn { steps, .. }, Outcome::Txn(answer)) => {
                let (floor, ceiling) = (self.floor[i], self.applied_by(at));
                let found = self.model.first_txn_match(&txn_of(steps), answer, floor, ceiling);
                let what = format!("no index in {floor}..={ceiling} gives this answer");
                found.ok_or_else(|| Violation::new("an impossible transaction of reads", what, [op]))?
            }
            _ => return Err(Violation::new("an answer of the wrong kind", String::new(), [op])),
        };
        match op.call.writes() {
            true => self.summary.writes += 1,
            false => self.summary.reads += 1,
        }
        Ok(Some(index))
    }

    /// Where the log stood when an archive was made.
    fn saved_at(&self, i: usize, saved: &Saved, at: u64) -> Result<u64, Violation> {
        let place = self.run.log.partition_point(|c| c.index <= saved.of);
        let last = place.checked_sub(1).map(|place| &self.run.log[place]);
        let index = last.map_or(0, |c| c.index);
        let op = &self.run.operations[i];
        if saved.of < self.floor[i] {
            let what = format!("it is of index {}, index {} was known before", saved.of, self.floor[i]);
            return Err(Violation::new("a stale archive", what, [op]));
        }
        if last.is_some_and(|c| c.at > at) {
            let what = format!("it is of index {}, and {index} was applied later", saved.of);
            return Err(Violation::new("an archive of the future", what, [op]));
        }
        Ok(index)
    }

    /// Where the log holds an acknowledged write.
    fn written_at(&self, i: usize) -> Result<u64, Violation> {
        let op = &self.run.operations[i];
        let Some(index) = self.place[i] else {
            return Err(Violation::new(
                "an acknowledged write is lost",
                "the log does not hold it".into(),
                [op],
            ));
        };
        if index <= self.floor[i] {
            let what = format!(
                "it stands at index {index}, but index {} had been seen before it began",
                self.floor[i]
            );
            return Err(Violation::new("real-time order of writes", what, [op]));
        }
        Ok(index)
    }

    /// Where the log may hold an acknowledged catalog write: equal ones cannot be told apart.
    fn catalog_place(&self, write: &Write, op: &Operation, floor: u64) -> Result<u64, Violation> {
        let fits = |c: &&&Committed| {
            c.index > floor && op.begin <= c.at && c.at <= deadline(op) && is_write_of(write, op, &c.command)
        };
        let found = self.catalog.iter().find(fits).map(|c| c.index);
        let what = format!("the log does not hold it behind index {floor}");
        found.ok_or_else(|| Violation::new("an acknowledged write is lost", what, [op]))
    }

    /// The last index that any server had applied at `at`.
    fn applied_by(&self, at: u64) -> u64 {
        let place = self.run.log.partition_point(|c| c.at <= at);
        place.checked_sub(1).map_or(0, |place| self.run.log[place].index)
    }

    fn unexplained(&self, i: usize, target: &Target, at: u64) -> Violation {
        let op = &self.run.operations[i];
        let Outcome::Read(answer) = &op.outcome else {
            return Violation::new("an answer of the wrong kind", String::new(), [op]);
        };
        let (floor, ceiling) = (self.floor[i], self.applied_by(at));
        let earlier = self.model.first_match(target, answer, 0, floor);
        let later = self.model.first_match(target, answer, ceiling, u64::MAX);
        let (rule, why) = match (earlier, later) {
            (Some(index), _) if is_stale(&op.call) => (
                "a server went back",
                format!("the answer is of index {index}, this server had shown {floor} before"),
            ),
            (Some(index), _) => (
                "a stale read",
                format!("the answer is of index {index}, index {floor} was known before it began"),
            ),
            (None, Some(index)) => (
                "a read of the future",
                format!("the answer is of index {index}, no server had applied more than {ceiling}"),
            ),
            (None, None) => {
                ("a read of what never was", format!("no index up to {ceiling} gives this answer"))
            }
        };
        let what = format!("{target:?}: {why}; the newest state is {}", self.model.newest(target));
        let writers = self.run.operations.iter().enumerate().filter(|(w, o)| {
            self.place[*w].is_some_and(|p| p <= floor) && touches(&o.call, target) && o.end <= Some(op.begin)
        });
        let last = writers.max_by_key(|(w, _)| self.place[*w]).map(|(_, o)| o);
        Violation::new(rule, what, last.into_iter().chain([op]))
    }
}

/// What has been shown up to now.
#[derive(Default)]
struct Seen {
    /// The highest index of an acknowledged write or a fresh read.
    all: u64,
    servers: BTreeMap<u32, Server>,
}

/// What a server has shown.
#[derive(Clone, Copy, Default)]
struct Server {
    /// How often it has restarted.
    life: u32,
    /// The highest index since.
    shown: u64,
}

/// In this order at equal times: what happens at the same moment is concurrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    End,
    Restart,
}

/// Until when it can have taken effect.
fn deadline(op: &Operation) -> u64 {
    match op.outcome {
        Outcome::Unknown => u64::MAX,
        _ => op.end.unwrap_or(u64::MAX),
    }
}

/// Writes that are not told by their bytes in the log.
fn is_looked_up(write: &Write) -> bool {
    matches!(
        write,
        Write::Register(_)
            | Write::Deregister(_)
            | Write::CreateSession(_)
            | Write::DestroySession { .. }
            | Write::CreateQuery { .. }
    )
}

/// Reads for which any state will do that their server has not gone beyond.
fn is_stale(call: &Call) -> bool {
    match call {
        Call::Read { mode, .. } => *mode == Mode::Stale,
        Call::Save { stale } => *stale,
        Call::Write(_) | Call::Renew { .. } | Call::Restore(_) => false,
        Call::Txn { mode, .. } => *mode == Mode::Stale && !call.writes(),
    }
}

/// The log entry that a write of keys becomes; `None` for reads and for the catalog.
pub(super) fn command_of(call: &Call) -> Option<Command> {
    let kv = |op, key: &str, value: &[u8], flags, index| {
        Some(Command::Kv(kv_command(op, key, value, flags, index)))
    };
    let lock = |op, key: &str, value: &[u8], session: &str| {
        let mut command = kv_command(op, key, value, 0, 0);
        command.dir_ent.session = Str::from(session);
        Some(Command::Kv(command))
    };
    match call {
        Call::Read { .. } | Call::Renew { .. } | Call::Save { .. } | Call::Restore(_) => None,
        Call::Txn { steps, .. } => call.writes().then(|| Command::Txn(txn_of(steps))),
        Call::Write(write) => match write {
            Write::Put { key, value, flags } => kv(KvOp::Set, key, value, *flags, 0),
            Write::Cas { key, value, flags, index } => kv(KvOp::Cas, key, value, *flags, *index),
            Write::Delete { key } => kv(KvOp::Delete, key, &[], 0, 0),
            Write::DeleteCas { key, index } => kv(KvOp::DeleteCas, key, &[], 0, *index),
            Write::DeleteTree { prefix } => kv(KvOp::DeleteTree, prefix, &[], 0, 0),
            Write::Acquire { key, value, session } => lock(KvOp::Lock, key, value, session),
            Write::Release { key, value, session } => lock(KvOp::Unlock, key, value, session),
            Write::Register(_) | Write::Deregister(_) => None,
            Write::CreateSession(_) | Write::DestroySession { .. } | Write::CreateQuery { .. } => None,
        },
    }
}

fn kv_command(op: KvOp, key: &str, value: &[u8], flags: u64, index: u64) -> KvCommand {
    let entry = KvEntry {
        key: Str::from(key),
        value: Bytes::copy_from_slice(value),
        flags,
        modify_index: index,
        ..KvEntry::default()
    };
    KvCommand { op, dir_ent: entry }
}

pub(super) fn txn_of(steps: &[TxnStep]) -> Txn {
    let op = |s: &TxnStep| {
        let verb = match s.verb {
            Verb::Set => KvOp::Set,
            Verb::Cas => KvOp::Cas,
            Verb::Get => KvOp::Get,
            Verb::GetTree => KvOp::GetTree,
            Verb::CheckIndex => KvOp::CheckIndex,
            Verb::CheckNotExists => KvOp::CheckNotExists,
            Verb::Delete => KvOp::Delete,
            Verb::DeleteTree => KvOp::DeleteTree,
            Verb::DeleteCas => KvOp::DeleteCas,
        };
        TxnOp::Kv(kv_command(verb, &s.key, &s.value, s.flags, s.index))
    };
    Txn { ops: steps.iter().map(op).collect() }
}

fn is_write_of(write: &Write, op: &Operation, command: &Command) -> bool {
    match (write, command) {
        (Write::CreateSession(new), Command::Session(c)) => {
            c.op == SessionOp::Create
                && *c.session.name == *new.name
                && op.outcome == Outcome::Session(c.session.id.to_string())
        }
        (Write::DestroySession { session }, Command::Session(c)) => {
            c.op == SessionOp::Destroy && *c.session.id == **session
        }
        (Write::CreateQuery { name }, Command::PreparedQuery(c)) => *c.query.name == **name,
        (Write::Register(r), Command::Register(c)) => is_registration(r, c),
        (Write::Deregister(d), Command::Deregister(c)) => {
            c.node == d.node && c.service_id == d.service_id && c.check_id == d.check_id
        }
        _ => false,
    }
}

fn is_registration(r: &Registration, c: &Register) -> bool {
    let service = match &c.service {
        Some(s) => *s.id == *r.service_id && *s.service == *r.service && s.port == i64::from(r.port),
        None => r.service_id.is_empty(),
    };
    let mut checks = c.check.iter().chain(&c.checks);
    let check = match checks.next() {
        Some(check) => *check.check_id == *r.check_id && (*check.status == *r.status),
        None => r.check_id.is_empty(),
    };
    c.node == r.node && service && check
}

/// Whether a write may change what `target` shows.
fn touches(call: &Call, target: &Target) -> bool {
    let within = |key: &str| match target {
        Target::Key(k) => k == key,
        Target::Prefix(p) => key.starts_with(&**p),
        Target::Health(_) => false,
    };
    let tree = |prefix: &str| match target {
        Target::Key(k) => k.starts_with(prefix),
        Target::Prefix(p) => p.starts_with(prefix) || prefix.starts_with(&**p),
        Target::Health(_) => false,
    };
    match call {
        Call::Read { .. } | Call::Renew { .. } | Call::Save { .. } => false,
        Call::Restore(_) => true,
        Call::Write(Write::CreateSession(_) | Write::CreateQuery { .. }) => false,
        // It may hold anything.
        Call::Write(Write::DestroySession { .. }) => !matches!(target, Target::Health(_)),
        Call::Write(Write::DeleteTree { prefix }) => tree(prefix),
        Call::Write(
            Write::Put { key, .. }
            | Write::Cas { key, .. }
            | Write::Acquire { key, .. }
            | Write::Release { key, .. }
            | Write::Delete { key }
            | Write::DeleteCas { key, .. },
        ) => within(key),
        Call::Write(Write::Register(_) | Write::Deregister(_)) => matches!(target, Target::Health(_)),
        Call::Txn { steps, .. } => {
            steps.iter().any(|s| if s.verb == Verb::DeleteTree { tree(&s.key) } else { within(&s.key) })
        }
    }
}
