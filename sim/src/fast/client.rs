//! Clients: what they ask, and what they remember of the answers.

use super::knobs::Knobs;
use super::luck::Luck;
use crate::oracle::{
    Call, Deregistration, Found, Mode, NewSession, Outcome, Registration, Target, TxnAnswer, TxnStep, Verb,
    Wait, Write,
};
use std::collections::{BTreeMap, VecDeque};

/// What a client does.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Reads and writes at random.
    Worker,
    /// Blocking reads of one target after the other.
    Watcher,
    /// Has one session after the other, renews it for a while, and takes and gives back locks.
    Holder,
    /// These calls once, in order; each must succeed.
    Script(VecDeque<Call>),
    /// These calls once, in order, whatever comes of them.
    Once(VecDeque<Call>),
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Under {
    /// Its place in the history.
    pub(super) operation: usize,
    /// The datacenter that it is about.
    pub(super) centre: usize,
    pub(super) slot: usize,
    pub(super) life: u32,
    pub(super) req: u64,
}

/// One client; one request at a time.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) number: u32,
    pub(super) role: Role,
    home: usize,
    /// The datacenter that it asks about, wherever it asks.
    pub(super) centre: usize,
    pub(super) luck: Luck,
    count: u64,
    /// The `ModifyIndex` seen last, by key.
    modified: BTreeMap<String, u64>,
    /// Value and flags read last, by key.
    contents: BTreeMap<String, (Vec<u8>, u64)>,
    /// The `X-Consul-Index` seen last, by target.
    indexes: BTreeMap<Target, u64>,
    /// Of a holder: its session.
    session: Option<String>,
    pub(super) under: Option<Under>,
    /// Grows with every request, so that late news of an old one can be told.
    pub(super) round: u64,
    /// The last request came to nothing.
    pub(super) failed: bool,
    /// How often an unknown outcome has been forgiven.
    pub(super) forgiven: usize,
}

/// Of sessions that have one, in nanoseconds. Longer than a leader can take to notice that it is none.
pub(super) fn ttl(knobs: &Knobs) -> u64 {
    4_000_000_000 * knobs.multiplier
}

const SERVICES: [&str; 3] = ["web", "db", "cache"];
const STATUSES: [&str; 3] = ["passing", "warning", "critical"];

fn key(n: u64) -> String {
    format!("{}/{n}", if n.is_multiple_of(2) { "a" } else { "b" })
}

impl Client {
    pub(super) fn new(number: u32, role: Role, home: usize, luck: Luck) -> Client {
        Client {
            number,
            role,
            home,
            centre: 0,
            luck,
            count: 0,
            modified: BTreeMap::new(),
            contents: BTreeMap::new(),
            indexes: BTreeMap::new(),
            session: None,
            under: None,
            round: 0,
            failed: false,
            forgiven: 0,
        }
    }

    /// The same, which asks about that datacenter.
    pub(super) fn of(self, centre: usize) -> Client {
        Client { centre, ..self }
    }

    /// The next request and the server that gets it; `None` when a script is over.
    pub(super) fn next(&mut self, knobs: &Knobs) -> Option<(usize, Call)> {
        self.count += 1;
        self.round += 1;
        let call = match &mut self.role {
            Role::Script(calls) => return calls.pop_front().map(|call| (self.home, call)),
            Role::Once(calls) => return calls.pop_front().map(|call| (self.home, call)),
            Role::Watcher => self.watch(knobs),
            Role::Worker => self.work(knobs),
            Role::Holder => self.hold(knobs),
        };
        let roams = self.luck.permille(knobs.roam_permille);
        let slot = if roams { self.luck.below(knobs.hosts() as u64) as usize } else { self.home };
        Some((slot, call))
    }

    fn mode(&mut self, knobs: &Knobs) -> Mode {
        match self.luck.below(1000) {
            n if n < knobs.stale_permille => Mode::Stale,
            n if n < knobs.stale_permille + knobs.consistent_permille => Mode::Consistent,
            _ => Mode::Default,
        }
    }

    fn key(&mut self, knobs: &Knobs) -> String {
        key(self.luck.below(knobs.keys))
    }

    /// A value that no other write has.
    fn value(&mut self, knobs: &Knobs) -> Vec<u8> {
        let mut value = format!("c{}.{}", self.number, self.count).into_bytes();
        let length = self.luck.below(knobs.value_bytes.max(1) + 1) as usize;
        while value.len() < length {
            value.push(b'.');
        }
        value
    }

    fn target(&mut self, knobs: &Knobs) -> Target {
        match self.luck.below(10) {
            0..5 => Target::Key(self.key(knobs)),
            5..7 => Target::Prefix(["a/", "b/"][self.luck.below(2) as usize].into()),
            _ => Target::Health((*self.luck.pick(&SERVICES)).into()),
        }
    }

    fn watch(&mut self, knobs: &Knobs) -> Call {
        let target = match self.luck.below(4) {
            0 => self.target(knobs),
            // Mostly the same few, so that a watcher sees one change after the other.
            n => {
                let place = u64::from(self.number) + n / 2;
                match place % 3 {
                    0 => Target::Key(key(place % knobs.keys)),
                    1 => Target::Prefix("a/".into()),
                    _ => Target::Health(SERVICES[(place / 3) as usize % 3].into()),
                }
            }
        };
        let mode = self.mode(knobs);
        let index = self.indexes.get(&target).copied().unwrap_or(0);
        let ns = self.luck.between(500, 8000) * 1_000_000;
        let wait = (index > 0).then_some(Wait { index, ns });
        Call::Read { target, mode, wait }
    }

    fn work(&mut self, knobs: &Knobs) -> Call {
        match self.luck.below(100) {
            0..24 => {
                let key = self.key(knobs);
                let again = self.luck.permille(knobs.repeat_permille);
                let known = self.contents.get(&key).filter(|_| again).cloned();
                let (value, flags) = known.unwrap_or_else(|| (self.value(knobs), self.luck.below(3)));
                Call::Write(Write::Put { key, value, flags })
            }
            24..36 => {
                let (key, value) = (self.key(knobs), self.value(knobs));
                let index = self.modified.get(&key).copied().unwrap_or(0);
                Call::Write(Write::Cas { key, value, flags: 0, index })
            }
            36..42 => Call::Write(Write::Delete { key: self.key(knobs) }),
            42..44 => {
                let key = self.key(knobs);
                let index = self.modified.get(&key).copied().unwrap_or(1);
                Call::Write(Write::DeleteCas { key, index })
            }
            44..46 => Call::Write(Write::DeleteTree { prefix: self.luck.pick(&["a/", "b/"]).to_string() }),
            46..53 => self.txn(knobs),
            53..59 => Call::Write(Write::Register(self.registration())),
            59..62 => {
                let r = self.registration();
                let (service_id, check_id) = match self.luck.below(4) {
                    0 => (String::new(), r.check_id),
                    1 if r.service_id.is_empty() => (String::new(), String::new()),
                    _ => (r.service_id, String::new()),
                };
                Call::Write(Write::Deregister(Deregistration { node: r.node, service_id, check_id }))
            }
            62..68 => self.watch(knobs),
            _ => Call::Read { target: self.target(knobs), mode: self.mode(knobs), wait: None },
        }
    }

    fn hold(&mut self, knobs: &Knobs) -> Call {
        let key = format!("l/{}", self.luck.below(3));
        let Some(session) = self.session.clone() else {
            let r = self.registration();
            let bound = self.luck.ratio(1, 2);
            return Call::Write(Write::CreateSession(NewSession {
                name: format!("c{}.{}", self.number, self.count),
                node: r.node,
                check: if bound { r.check_id } else { String::new() },
                ttl: if self.luck.ratio(2, 3) { ttl(knobs) } else { 0 },
                deletes: self.luck.ratio(1, 4),
            }));
        };
        match self.luck.below(100) {
            0..30 => Call::Write(Write::Acquire { key, value: self.value(knobs), session }),
            30..45 => Call::Write(Write::Release { key, value: self.value(knobs), session }),
            45..65 => Call::Renew { session },
            65..90 => Call::Read { target: Target::Key(key), mode: self.mode(knobs), wait: None },
            90..95 => {
                self.session = None;
                Call::Write(Write::DestroySession { session })
            }
            // Forgotten: it ends by itself, or never.
            _ => {
                self.session = None;
                Call::Read { target: Target::Key(key), mode: self.mode(knobs), wait: None }
            }
        }
    }

    fn registration(&mut self) -> Registration {
        let host = self.luck.below(4);
        let service = *self.luck.pick(&SERVICES);
        let port = 8000 + self.luck.below(2) as u16;
        let with_check = self.luck.ratio(2, 3);
        let id = format!("{service}-{port}");
        Registration {
            node: format!("h{host}"),
            address: format!("10.0.0.{host}"),
            check_id: if with_check { format!("{id}:ttl") } else { String::new() },
            status: if with_check { self.luck.pick(&STATUSES).to_string() } else { String::new() },
            service_id: id,
            service: service.into(),
            port,
        }
    }

    fn txn(&mut self, knobs: &Knobs) -> Call {
        let count = self.luck.between(1, 4);
        let only_reads = self.luck.ratio(1, 4);
        let steps = (0..count).map(|i| self.step(knobs, only_reads, i)).collect();
        Call::Txn { steps, mode: self.mode(knobs) }
    }

    fn step(&mut self, knobs: &Knobs, only_reads: bool, place: u64) -> TxnStep {
        let key = self.key(knobs);
        let index = self.modified.get(&key).copied().unwrap_or(1);
        let verb = match self.luck.below(if only_reads { 4 } else { 10 }) {
            0 | 1 => Verb::Get,
            2 => Verb::CheckIndex,
            3 => Verb::CheckNotExists,
            4 => Verb::Cas,
            5 => Verb::Delete,
            6 => Verb::DeleteCas,
            _ => Verb::Set,
        };
        let writes = matches!(verb, Verb::Set | Verb::Cas);
        let mut value = if writes { self.value(knobs) } else { Vec::new() };
        if writes {
            value.push(b'0' + place as u8);
        }
        let indexed = matches!(verb, Verb::Cas | Verb::DeleteCas | Verb::CheckIndex);
        TxnStep { verb, key, value, flags: 0, index: if indexed { index } else { 0 } }
    }

    /// Remembers what an answer said.
    pub(super) fn learn(&mut self, call: &Call, outcome: &Outcome) {
        match (call, outcome) {
            (Call::Read { target, .. }, Outcome::Read(answer)) => {
                self.indexes.insert(target.clone(), answer.index);
                if let Found::Keys(entries) = &answer.found {
                    for entry in entries {
                        self.modified.insert(entry.key.clone(), entry.modify_index);
                        self.contents.insert(entry.key.clone(), (entry.value.clone(), entry.flags));
                    }
                    if let (Target::Key(key), true) = (target, entries.is_empty()) {
                        self.modified.remove(key);
                        self.contents.remove(key);
                    }
                }
            }
            (Call::Txn { .. }, Outcome::Txn(TxnAnswer::Done(entries))) => {
                for entry in entries {
                    self.modified.insert(entry.key.clone(), entry.modify_index);
                }
            }
            (_, Outcome::Session(id)) => self.session = Some(id.clone()),
            (_, Outcome::Renewed(false)) => self.session = None,
            _ => {}
        }
    }
}
