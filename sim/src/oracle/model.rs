//! Consul's keys and catalog in the plainest form: what each command must answer, and what a read at any
//! index must show.
//!
//! Written from Consul's documentation and recordings, not from the store under test. The state at every
//! index is kept whole, since a read may be of any of them.

use super::history::{Entry, Finally, Found, Instance, Outcome, ReadAnswer, Target, TxnAnswer};
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::command::{Command, Deregister, KvCommand, Register, RestorePart};
use lictor_core::command::{SessionCommand, SessionOp, Txn, TxnOp};
use lictor_core::types::{HealthCheck, KvEntry, KvOp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A session, as far as its end depends on it. Names are lower case.
#[derive(Clone, Debug)]
struct Lock {
    node: String,
    checks: Vec<String>,
    deletes: bool,
}

/// The key table at one index.
#[derive(Clone, Debug, Default)]
struct Keys {
    entries: BTreeMap<Str, Arc<Entry>>,
    /// Deleted key or prefix, with the index of its deletion, until it is reaped.
    tombstones: BTreeMap<Str, u64>,
    /// The last index that wrote or deleted anything.
    changed: u64,
}

/// The catalog at one index. Names are lower case.
#[derive(Clone, Debug, Default)]
struct Catalog {
    /// Name to ID.
    nodes: BTreeMap<String, String>,
    /// Node and service ID to name, port and ID as written.
    services: BTreeMap<(String, String), (String, u16, String)>,
    /// Node and check ID to service ID (lower case), status and ID as written.
    checks: BTreeMap<(String, String), (String, String, String)>,
    /// Node names as written.
    spelt: BTreeMap<String, String>,
}

/// From the index at which it was created, or came back, to that at which it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
}

/// The parts of an archive that have come, from the first.
#[derive(Debug)]
struct Unfinished {
    id: u64,
    of: u64,
    parts: Vec<Bytes>,
}

/// The committed log played on plain maps.
#[derive(Debug)]
pub(super) struct Model {
    /// The key table from each index at which it changed, oldest first; begins with index 0.
    keys: Vec<(u64, Keys)>,
    catalog: Vec<(u64, Catalog)>,
    /// Those that live, by ID, from each index at which they changed.
    sessions: Vec<(u64, BTreeMap<String, Arc<Lock>>)>,
    /// Names of prepared queries by ID, from each index at which they changed.
    queries: Vec<(u64, BTreeMap<String, String>)>,
    /// From which index to which each session has lived; more than once if an archive brought it back.
    lives: BTreeMap<String, Vec<Life>>,
    applied: u64,
    /// What has come of an archive.
    unfinished: Option<Unfinished>,
}

/// An instance as a health read shows it: node, ID, port, and each check with its status.
pub(super) type Shown = (String, String, u16, BTreeSet<(String, String)>);

/// What decides whether a blocking read has news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    /// `X-Consul-Index`; 0 for the catalog, whose index rules are not modelled.
    pub(super) index: u64,
    /// Whether there is anything to show.
    pub(super) present: bool,
    /// Of the catalog: what a read shows.
    pub(super) shown: Vec<Shown>,
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `true` or `false`.
    Bool(bool),
    Txn(TxnAnswer),
    /// An error; nothing was done.
    Refused,
}

impl Reply {
    /// Whether a client may have been told this.
    pub(super) fn agrees(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (_, Outcome::Unknown) => true,
            (Reply::Bool(said), Outcome::Wrote(heard)) => said == heard,
            (Reply::Txn(said), Outcome::Txn(heard)) => said == heard,
            (Reply::Refused, Outcome::Failed(_)) => true,
            _ => false,
        }
    }
}

impl Default for Model {
    fn default() -> Model {
        let (keys, catalog) = (Keys::default(), Catalog::default());
        Model {
            keys: vec![(0, keys)],
            catalog: vec![(0, catalog)],
            sessions: vec![(0, BTreeMap::new())],
            queries: vec![(0, BTreeMap::new())],
            lives: BTreeMap::new(),
            applied: 0,
            unfinished: None,
        }
    }
}

impl Model {
    /// Plays the next command of the log.
    pub(super) fn apply(&mut self, index: u64, command: &Command) -> Reply {
        self.applied = index;
        let reply = match command {
            Command::Kv(c) if c.op == KvOp::Lock && !self.living().contains_key(&*c.dir_ent.session) => {
                Reply::Bool(false)
            }
            Command::Kv(c) => self.on_keys(index, |keys| keys.write(index, c)),
            Command::Txn(txn) => self.on_keys(index, |keys| keys.txn(index, txn)),
            Command::ReapTombstones(c) => self.on_keys(index, |keys| {
                keys.tombstones.retain(|_, at| *at > c.reap_index);
                (Reply::Bool(true), true)
            }),
            Command::Register(c) => self.on_catalog(index, |catalog| catalog.register(c)),
            Command::Deregister(c) => self.on_catalog(index, |catalog| catalog.deregister(c)),
            // Neither a key nor the catalog.
            Command::Session(c) => self.session(index, c),
            Command::PreparedQuery(c) => {
                let mut next = in_force(&self.queries, u64::MAX).clone();
                match &*c.op {
                    "delete" => drop(next.remove(&*c.query.id)),
                    _ => drop(next.insert(c.query.id.to_string(), c.query.name.to_string())),
                }
                self.queries.push((index, next));
                Reply::Bool(true)
            }
            Command::Autopilot(_) | Command::Coordinates(_) => Reply::Bool(true),
            // Of a part nobody hears; what they are together is for `take_part` to say.
            Command::Restore(_) => Reply::Bool(true),
        };
        self.end_sessions(index);
        reply
    }

    fn session(&mut self, index: u64, c: &SessionCommand) -> Reply {
        let id = c.session.id.to_string();
        if c.op == SessionOp::Destroy {
            self.end_session(index, &id);
            return Reply::Bool(true);
        }
        let lock = Lock {
            node: c.session.node.to_lowercase(),
            checks: c.session.node_checks.iter().flatten().map(|check| check.to_lowercase()).collect(),
            deletes: &*c.session.behavior == "delete",
        };
        if self.is_over(&lock) {
            return Reply::Refused;
        }
        self.lives.entry(id.clone()).or_default().push(Life { from: index, to: None });
        self.on_sessions(index, |sessions| drop(sessions.insert(id, Arc::new(lock))));
        Reply::Bool(true)
    }

    /// Whether the catalog has ended it.
    fn is_over(&self, lock: &Lock) -> bool {
        let Some((_, catalog)) = self.catalog.last() else { return true };
        let status = |check: &String| catalog.checks.get(&(lock.node.clone(), check.clone()));
        let bad = |check: &String| status(check).is_none_or(|(_, status, _)| status == "critical");
        !catalog.nodes.contains_key(&lock.node) || lock.checks.iter().any(bad)
    }

    fn end_sessions(&mut self, index: u64) {
        let over: Vec<String> =
            self.living().iter().filter(|(_, lock)| self.is_over(lock)).map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|id| self.end_session(index, id));
    }

    fn end_session(&mut self, index: u64, id: &str) {
        let Some(lock) = self.living().get(id).cloned() else { return };
        self.on_sessions(index, |sessions| drop(sessions.remove(id)));
        self.ends(index, id);
        self.on_keys(index, |keys| (Reply::Bool(true), keys.let_go(index, id, lock.deletes)));
    }

    fn ends(&mut self, index: u64, id: &str) {
        if let Some(life) = self.lives.get_mut(id).and_then(|lives| lives.last_mut()) {
            life.to = Some(index);
        }
    }

    fn living(&self) -> &BTreeMap<String, Arc<Lock>> {
        in_force(&self.sessions, u64::MAX)
    }

    fn on_sessions(&mut self, index: u64, change: impl FnOnce(&mut BTreeMap<String, Arc<Lock>>)) {
        let mut next = self.living().clone();
        change(&mut next);
        self.sessions.push((index, next));
    }

    /// The lives of the session of this ID, oldest first.
    pub(super) fn lives(&self, id: &str) -> &[Life] {
        self.lives.get(id).map_or(&[], Vec::as_slice)
    }

    /// A leader has begun: of an archive that has come in part nothing more comes.
    pub(super) fn leader_began(&mut self) {
        self.unfinished = None;
    }

    /// What there is at the newest index, as far as no client reads it.
    pub(super) fn finally(&self) -> Finally {
        let queries = in_force(&self.queries, u64::MAX);
        Finally {
            sessions: self.living().keys().cloned().collect(),
            queries: queries.values().cloned().collect(),
        }
    }

    /// The next part of an archive: the whole if it is the last one, and all before it have come. The first part of
    /// another one makes an end of this one, as does a part out of order.
    pub(super) fn take_part(&mut self, part: &RestorePart) -> Option<Vec<u8>> {
        if part.number == 0 {
            self.unfinished = Some(Unfinished { id: part.id, of: part.of, parts: Vec::new() });
        }
        let unfinished = self.unfinished.as_mut().filter(|unfinished| unfinished.id == part.id)?;
        unfinished.parts.push(part.data.clone());
        let (has, of) = (unfinished.parts.len() as u64, unfinished.of);
        let in_order = has == part.number + 1 && of == part.of;
        if in_order && has < of {
            return None;
        }
        let whole = self.unfinished.take().map(|unfinished| unfinished.parts.concat());
        whole.filter(|_| in_order)
    }

    /// Everything becomes what it was at `of`.
    pub(super) fn restore(&mut self, index: u64, of: u64) {
        let keys = in_force(&self.keys, of).clone();
        let catalog = in_force(&self.catalog, of).clone();
        let sessions = in_force(&self.sessions, of).clone();
        let before = self.living().clone();
        for id in before.keys().filter(|id| !sessions.contains_key(*id)) {
            self.ends(index, id);
        }
        for id in sessions.keys().filter(|id| !before.contains_key(*id)) {
            self.lives.entry(id.clone()).or_default().push(Life { from: index, to: None });
        }
        self.queries.push((index, in_force(&self.queries, of).clone()));
        self.keys.push((index, keys));
        self.catalog.push((index, catalog));
        self.sessions.push((index, sessions));
    }

    fn on_keys(&mut self, index: u64, change: impl FnOnce(&mut Keys) -> (Reply, bool)) -> Reply {
        let mut next = self.keys.last().map(|(_, keys)| keys.clone()).unwrap_or_default();
        let (reply, changed) = change(&mut next);
        if changed {
            self.keys.push((index, next));
        }
        reply
    }

    fn on_catalog(&mut self, index: u64, change: impl FnOnce(&mut Catalog) -> Reply) -> Reply {
        let mut next = self.catalog.last().map(|(_, catalog)| catalog.clone()).unwrap_or_default();
        let reply = change(&mut next);
        if reply != Reply::Refused {
            self.catalog.push((index, next));
        }
        reply
    }

    /// The first index in `floor..=ceiling` at which a read of `target` gives `answer`.
    pub(super) fn first_match(
        &self,
        target: &Target,
        answer: &ReadAnswer,
        floor: u64,
        ceiling: u64,
    ) -> Option<u64> {
        // What an answer shows was written at or before the state it was read from.
        let floor = if answer.index > 1 { floor.max(answer.index) } else { floor };
        match target {
            Target::Key(key) => first(&self.keys, floor, ceiling, |keys| keys.shows_key(key, answer)),
            Target::Prefix(prefix) => {
                first(&self.keys, floor, ceiling, |keys| keys.shows_prefix(prefix, answer))
            }
            Target::Health(name) => {
                first(&self.catalog, floor, ceiling, |catalog| catalog.shows(name, answer))
            }
        }
    }

    /// The first index in `floor..=ceiling` at which a transaction of reads gives `answer`.
    pub(super) fn first_txn_match(
        &self,
        txn: &Txn,
        answer: &TxnAnswer,
        floor: u64,
        ceiling: u64,
    ) -> Option<u64> {
        first(&self.keys, floor, ceiling, |keys| {
            keys.clone().txn(self.applied, txn).0 == Reply::Txn(answer.clone())
        })
    }

    /// What a blocking read of `target` compares when its server has applied `at`.
    pub(super) fn glance(&self, target: &Target, at: u64) -> Glance {
        match target {
            Target::Key(key) => {
                let keys = in_force(&self.keys, at);
                Glance {
                    index: keys.key_index(key),
                    present: keys.entries.contains_key(&**key),
                    shown: vec![],
                }
            }
            Target::Prefix(prefix) => {
                let keys = in_force(&self.keys, at);
                let present = keys.under(prefix).next().is_some();
                Glance { index: keys.prefix_index(prefix), present, shown: vec![] }
            }
            Target::Health(name) => {
                let shown = in_force(&self.catalog, at).instances(name);
                Glance { index: 0, present: true, shown }
            }
        }
    }

    /// What a read at the newest index shows, for messages.
    pub(super) fn newest(&self, target: &Target) -> String {
        let Some((_, keys)) = self.keys.last() else { return String::new() };
        match target {
            Target::Key(key) => format!("{:?} at index {}", keys.entries.get(&**key), keys.key_index(key)),
            Target::Prefix(prefix) => {
                format!("{:?} at index {}", keys.under(prefix).collect::<Vec<_>>(), keys.prefix_index(prefix))
            }
            Target::Health(name) => match self.catalog.last() {
                Some((_, catalog)) => format!("{:?}", catalog.instances(name)),
                None => String::new(),
            },
        }
    }
}

/// The state at `at`.
fn in_force<S>(states: &[(u64, S)], at: u64) -> &S {
    // The first state is of index 0.
    &states[states.partition_point(|(index, _)| *index <= at) - 1].1
}

/// The first index of a state that satisfies `shows`, among those in force within `floor..=ceiling`.
fn first<S>(states: &[(u64, S)], floor: u64, ceiling: u64, shows: impl Fn(&S) -> bool) -> Option<u64> {
    let from = states.partition_point(|(index, _)| *index <= floor).saturating_sub(1);
    states[from..]
        .iter()
        .take_while(|(index, _)| *index <= ceiling)
        .find(|(_, state)| shows(state))
        .map(|(index, _)| (*index).max(floor))
        .filter(|index| *index <= ceiling)
}

impl Keys {
    fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Entry>> + 'a {
        self.entries
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry)
    }

    fn key_index(&self, key: &str) -> u64 {
        self.entries.get(key).map_or(self.changed, |e| e.modify_index).max(1)
    }

    fn prefix_index(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.changed.max(1);
        }
        let written = self.under(prefix).map(|e| e.modify_index).max().unwrap_or(0);
        let buried =
            self.tombstones.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, at)| *at).max();
        match written.max(buried.unwrap_or(0)) {
            0 => self.changed.max(1),
            index => index,
        }
    }

    fn shows_key(&self, key: &str, answer: &ReadAnswer) -> bool {
        let Found::Keys(found) = &answer.found else { return false };
        let same = match self.entries.get(key) {
            None => found.is_empty(),
            Some(entry) => found.len() == 1 && found[0] == **entry,
        };
        same && answer.index == self.key_index(key)
    }

    fn shows_prefix(&self, prefix: &str, answer: &ReadAnswer) -> bool {
        let Found::Keys(found) = &answer.found else { return false };
        self.under(prefix).map(|e| &**e).eq(found) && answer.index == self.prefix_index(prefix)
    }

    /// The answer, and whether anything changed.
    fn write(&mut self, index: u64, c: &KvCommand) -> (Reply, bool) {
        let wanted = c.dir_ent.modify_index;
        let held = self.entries.get(&*c.dir_ent.key).map_or(0, |e| e.modify_index);
        match c.op {
            KvOp::Set => (Reply::Bool(true), self.put(index, &c.dir_ent)),
            KvOp::Cas if held == wanted => (Reply::Bool(true), self.put(index, &c.dir_ent)),
            KvOp::Delete => (Reply::Bool(true), self.remove(index, &c.dir_ent.key)),
            KvOp::DeleteCas if held == 0 || held == wanted => {
                (Reply::Bool(true), self.remove(index, &c.dir_ent.key))
            }
            KvOp::DeleteTree => (Reply::Bool(true), self.remove_tree(index, &c.dir_ent.key)),
            KvOp::Cas | KvOp::DeleteCas => (Reply::Bool(false), false),
            KvOp::Lock => {
                let session = &c.dir_ent.session;
                let (holder, count) = self
                    .entries
                    .get(&c.dir_ent.key)
                    .map_or((String::new(), 0), |e| (e.session.clone(), e.lock_index));
                if !holder.is_empty() && holder != **session {
                    return (Reply::Bool(false), false);
                }
                let lock_index = if holder.is_empty() { count + 1 } else { count };
                (Reply::Bool(true), self.put_as(index, &c.dir_ent, session, lock_index))
            }
            KvOp::Unlock => match self.entries.get(&c.dir_ent.key) {
                Some(e) if e.session == *c.dir_ent.session && !e.session.is_empty() => {
                    let count = e.lock_index;
                    (Reply::Bool(true), self.put_as(index, &c.dir_ent, "", count))
                }
                _ => (Reply::Bool(false), false),
            },
            // The others are verbs of transactions only.
            _ => (Reply::Refused, false),
        }
    }

    /// A plain write: whoever holds the key keeps it, and the count of locks begins anew.
    fn put(&mut self, index: u64, new: &KvEntry) -> bool {
        let holder = self.entries.get(&new.key).map_or(String::new(), |old| old.session.clone());
        self.put_as(index, new, &holder, 0)
    }

    fn put_as(&mut self, index: u64, new: &KvEntry, session: &str, lock_index: u64) -> bool {
        let key = new.key.clone();
        let old = self.entries.get(&key);
        if old.is_some_and(|old| {
            *old.value == *new.value
                && old.flags == new.flags
                && (&*old.session, old.lock_index) == (session, lock_index)
        }) {
            return false;
        }
        let entry = Entry {
            key: key.to_string(),
            value: new.value.to_vec(),
            flags: new.flags,
            session: session.into(),
            lock_index,
            create_index: old.map_or(index, |old| old.create_index),
            modify_index: index,
        };
        self.entries.insert(key, Arc::new(entry));
        self.changed = index;
        true
    }

    /// What a session holds that has ended is released or deleted.
    fn let_go(&mut self, index: u64, session: &str, deletes: bool) -> bool {
        let held: Vec<Str> =
            self.entries.iter().filter(|(_, e)| e.session == session).map(|(key, _)| key.clone()).collect();
        for key in &held {
            match deletes {
                true => drop(self.remove(index, key)),
                false => {
                    let Some(entry) = self.entries.get_mut(key) else { continue };
                    let old = Entry::clone(entry);
                    *entry = Arc::new(Entry { session: String::new(), modify_index: index, ..old });
                    self.changed = index;
                }
            }
        }
        !held.is_empty()
    }

    fn remove(&mut self, index: u64, key: &str) -> bool {
        let Some((key, _)) = self.entries.remove_entry(key) else { return false };
        self.tombstones.insert(key, index);
        self.changed = index;
        true
    }

    fn remove_tree(&mut self, index: u64, prefix: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|key, _| !key.starts_with(prefix));
        if self.entries.len() == before {
            return false;
        }
        if !prefix.is_empty() {
            self.tombstones.insert(Str::from(prefix), index);
        }
        self.changed = index;
        true
    }

    fn txn(&mut self, index: u64, txn: &Txn) -> (Reply, bool) {
        let before = self.clone();
        let (mut results, mut failed, mut changed) = (Vec::new(), Vec::new(), false);
        for (place, op) in txn.ops.iter().enumerate() {
            let step = match op {
                TxnOp::Kv(c) => self.step(index, c),
                // Transactions on the catalog are not part of any history.
                TxnOp::Node(..) | TxnOp::Service(..) | TxnOp::Check(..) => Err(()),
            };
            match step {
                Ok((shown, did)) => {
                    results.extend(shown);
                    changed |= did;
                }
                Err(()) => failed.push(place),
            }
        }
        if failed.is_empty() {
            return (Reply::Txn(TxnAnswer::Done(results)), changed);
        }
        *self = before;
        (Reply::Txn(TxnAnswer::RolledBack(failed)), false)
    }

    /// One step: what it shows and whether it changed anything, or that it cannot be done.
    fn step(&mut self, index: u64, c: &KvCommand) -> Result<(Vec<Entry>, bool), ()> {
        let key = &*c.dir_ent.key;
        let held = self.entries.get(key).cloned();
        let shown = |entry: &Arc<Entry>| vec![(**entry).clone()];
        let bare = |entry: &Arc<Entry>| vec![Entry { value: Vec::new(), ..(**entry).clone() }];
        match c.op {
            KvOp::Get => held.as_ref().map(|e| (shown(e), false)).ok_or(()),
            KvOp::GetOrEmpty => Ok((held.as_ref().map(shown).unwrap_or_default(), false)),
            KvOp::GetTree => Ok((self.under(key).map(|e| (**e).clone()).collect(), false)),
            KvOp::CheckNotExists => {
                if held.is_none() {
                    Ok((vec![], false))
                } else {
                    Err(())
                }
            }
            KvOp::CheckIndex => match held {
                Some(e) if e.modify_index == c.dir_ent.modify_index => Ok((bare(&e), false)),
                _ => Err(()),
            },
            _ => match self.write(index, c) {
                (Reply::Bool(true), changed) => {
                    let writes = matches!(c.op, KvOp::Set | KvOp::Cas);
                    let entry = self.entries.get(key).filter(|_| writes);
                    Ok((entry.map(bare).unwrap_or_default(), changed))
                }
                _ => Err(()),
            },
        }
    }
}

impl Catalog {
    fn register(&mut self, c: &Register) -> Reply {
        let node = c.node.to_lowercase();
        let service = c.service.as_ref().map(|s| s.id.to_lowercase());
        let checks = || c.check.iter().chain(&c.checks);
        let known = |check: &HealthCheck| {
            let id = check.service_id.to_lowercase();
            let at_home = check.node.is_empty() || check.node.to_lowercase() == node;
            at_home && (id.is_empty() || service.as_ref() == Some(&id) || self.has(&node, &id))
        };
        if node.is_empty() || !checks().all(known) || !self.may_take_name(&node, &c.id) {
            return Reply::Refused;
        }
        if !c.skip_node_update || !self.nodes.contains_key(&node) {
            let id = c.id.to_lowercase();
            let renamed = |(name, old): &(&String, &String)| !id.is_empty() && **old == id && **name != node;
            if let Some(old) = self.nodes.iter().find(renamed).map(|(name, _)| name.clone()) {
                self.drop_node(&old);
            }
            self.nodes.insert(node.clone(), id);
            self.spelt.insert(node.clone(), c.node.clone());
        }
        if let Some(s) = &c.service {
            let shown = (s.service.to_lowercase(), s.port, s.id.to_string());
            let port = u16::try_from(shown.1).unwrap_or(0);
            self.services.insert((node.clone(), s.id.to_lowercase()), (shown.0, port, shown.2));
        }
        for check in checks() {
            let status = if check.status.is_empty() { "critical" } else { &check.status };
            let shown = (check.service_id.to_lowercase(), status.to_string(), check.check_id.to_string());
            self.checks.insert((node.clone(), check.check_id.to_lowercase()), shown);
        }
        Reply::Bool(true)
    }

    fn has(&self, node: &str, service_id: &str) -> bool {
        self.services.contains_key(&(node.to_string(), service_id.to_string()))
    }

    /// A name may not pass to another ID while its owner's `serfHealth` is not critical.
    fn may_take_name(&self, node: &str, id: &str) -> bool {
        let id = id.to_lowercase();
        let Some(owner) = self.nodes.get(node) else { return true };
        if id.is_empty() || *owner == id || (owner.is_empty() && !self.nodes.values().any(|o| *o == id)) {
            return true;
        }
        let serf = self.checks.get(&(node.to_string(), "serfhealth".to_string()));
        serf.is_none_or(|(_, status, _)| status == "critical")
    }

    fn deregister(&mut self, c: &Deregister) -> Reply {
        let node = c.node.to_lowercase();
        let (service, check) = (c.service_id.to_lowercase(), c.check_id.to_lowercase());
        if !service.is_empty() {
            if self.services.remove(&(node.clone(), service.clone())).is_some() {
                self.checks.retain(|(n, _), (of, ..)| *n != node || *of != service);
            }
        } else if !check.is_empty() {
            self.checks.remove(&(node, check));
        } else {
            self.drop_node(&node);
        }
        Reply::Bool(true)
    }

    fn drop_node(&mut self, node: &str) {
        self.nodes.remove(node);
        self.spelt.remove(node);
        self.services.retain(|(n, _), _| n != node);
        self.checks.retain(|(n, _), _| n != node);
    }

    fn instances(&self, name: &str) -> Vec<Shown> {
        let name = name.to_lowercase();
        let of = self.services.iter().filter(|(_, (service, ..))| *service == name);
        of.map(|((node, id), (_, port, spelt))| {
            let checks = self
                .checks
                .iter()
                .filter(|((n, _), (service, ..))| n == node && (service.is_empty() || service == id));
            let checks = checks.map(|(_, (_, status, id))| (id.clone(), status.clone())).collect();
            (self.spelt.get(node).cloned().unwrap_or_default(), spelt.clone(), *port, checks)
        })
        .collect()
    }

    fn shows(&self, name: &str, answer: &ReadAnswer) -> bool {
        let Found::Instances(found) = &answer.found else { return false };
        let shown = |i: &Instance| {
            (i.node.clone(), i.service_id.clone(), i.port, i.checks.iter().cloned().collect::<BTreeSet<_>>())
        };
        let mut found: Vec<_> = found.iter().map(shown).collect();
        let mut expected = self.instances(name);
        found.sort();
        expected.sort();
        found == expected
    }
}
