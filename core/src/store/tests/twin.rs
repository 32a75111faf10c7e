//! The naive twin: plain maps, changed in the plainest way; indexes follow from comparing before and after.

use crate::command::{
    CatalogVerb, Command, Deregister, KvCommand, QueryCommand, Register, SessionCommand, SessionOp, Txn,
    TxnOp,
};
use crate::types::{HealthCheck, KvEntry, KvOp, Node, NodeService, PreparedQuery, Session};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

type Pair = (String, String);

#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Twin {
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) services: BTreeMap<Pair, NodeService>,
    pub(super) checks: BTreeMap<Pair, HealthCheck>,
    pub(super) kv: BTreeMap<String, KvEntry>,
    pub(super) tombstones: BTreeMap<String, u64>,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) sessions_index: u64,
    /// In no order, with the index of the whole.
    pub(super) queries: (Vec<PreparedQuery>, u64),
    /// nodes, services, checks, kvs, tombstones, service extinction, node extinction
    pub(super) tables: [u64; 7],
    pub(super) by_service: BTreeMap<String, u64>,
    pub(super) by_node: BTreeMap<String, u64>,
}

/// What a command may be refused for; the texts are tested elsewhere.
#[derive(Debug, PartialEq)]
pub(super) struct Refused;

fn low(s: &str) -> String {
    s.to_lowercase()
}

/// The keys at which two maps differ.
fn differing<K: Ord + Clone, V: PartialEq>(a: &BTreeMap<K, V>, b: &BTreeMap<K, V>) -> BTreeSet<K> {
    a.keys().chain(b.keys()).filter(|k| a.get(*k) != b.get(*k)).cloned().collect()
}

impl Twin {
    pub(super) fn apply(&mut self, index: u64, command: &Command) -> Result<bool, Refused> {
        let before = self.clone();
        let answer = match command {
            Command::Register(c) => self.register(index, c).map(|()| true),
            Command::Deregister(c) => {
                self.step(index, |twin| twin.deregister(c));
                Ok(true)
            }
            Command::Kv(c) => self.kv(index, c),
            Command::ReapTombstones(c) => {
                self.tombstones.retain(|_, at| *at > c.reap_index);
                Ok(true)
            }
            Command::Txn(c) => self.txn(index, c),
            Command::Session(c) => self.session(index, c),
            Command::PreparedQuery(c) => self.query(index, c).map(|()| true),
            Command::Autopilot(_) | Command::Coordinates(_) | Command::Restore(_) => {
                unreachable!("they have tests of their own")
            }
        };
        if answer.is_err() {
            *self = before;
        }
        let (bound, ended): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.queries.0).into_iter().partition(|q| self.has_session(&q.session));
        self.queries = (bound, if ended.is_empty() { self.queries.1 } else { index });
        answer
    }

    fn query(&mut self, index: u64, c: &QueryCommand) -> Result<(), Refused> {
        let same = |query: &PreparedQuery| low(&query.id) == low(&c.query.id);
        let old = self.queries.0.iter().position(same);
        if c.op != "create" && old.is_none() {
            return Err(Refused);
        }
        if let (Some(old), "delete") = (old, &*c.op) {
            self.queries.0.remove(old);
            self.queries.1 = index;
            return Ok(());
        }
        let named = |query: &PreparedQuery| low(&query.name) == low(&c.query.name) && !same(query);
        let empty = c.query.name.is_empty();
        let clash = |query: &PreparedQuery| {
            named(query) && (!empty || (query.is_template() && c.query.is_template()))
        };
        let shadows = self.queries.0.iter().any(|query| !empty && low(&query.id) == low(&c.query.name));
        if empty && !c.query.is_template() && c.query.session.is_empty() {
            return Err(Refused);
        }
        if shadows || self.queries.0.iter().any(clash) || !self.has_session(&c.query.session) {
            return Err(Refused);
        }
        let created = old.map_or(index, |old| self.queries.0.remove(old).create_index);
        self.queries.0.push(PreparedQuery { create_index: created, modify_index: index, ..c.query.clone() });
        self.queries.1 = index;
        Ok(())
    }

    fn has_session(&self, id: &str) -> bool {
        id.is_empty() || self.sessions.contains_key(&low(id))
    }

    /// What is executed under a name: the longest prefix wins, a whole name over all.
    pub(super) fn resolve(&self, name: &str) -> Option<&PreparedQuery> {
        let all = || self.queries.0.iter();
        let id = all().find(|query| low(&query.id) == low(name));
        let whole = all().find(|query| !query.name.is_empty() && low(&query.name) == low(name));
        let begins = |query: &&PreparedQuery| query.is_template() && low(name).starts_with(&low(&query.name));
        let prefix = all().filter(begins).max_by_key(|query| query.name.len());
        id.or(whole).or(prefix)
    }

    /// Makes a change and raises every index that it concerns.
    fn step(&mut self, index: u64, change: impl FnOnce(&mut Twin)) {
        let before = self.clone();
        change(self);
        self.end_sessions(index);
        if before.sessions != self.sessions {
            self.sessions_index = index;
        }
        let nodes = differing(&before.nodes, &self.nodes);
        let services = differing(&before.services, &self.services);
        let checks = differing(&before.checks, &self.checks);
        let service_gone = services.iter().any(|k| !self.services.contains_key(k));
        let node_check_gone =
            checks.iter().any(|k| !self.checks.contains_key(k) && before.checks[k].service_id.is_empty());
        let raised = [
            !nodes.is_empty() || !services.is_empty(),
            !services.is_empty() || node_check_gone,
            !checks.is_empty() || service_gone,
            before.kv != self.kv,
            before.tombstones != self.tombstones,
            false,
            nodes.iter().any(|k| !self.nodes.contains_key(k)),
        ];
        for (table, raised) in self.tables.iter_mut().zip(raised) {
            if raised {
                *table = index;
            }
        }
        self.raise_nodes(index, &nodes, &services);
        self.raise_services(index, &before, &nodes, &services, &checks);
    }

    fn raise_nodes(&mut self, index: u64, nodes: &BTreeSet<String>, services: &BTreeSet<Pair>) {
        for name in nodes.iter().chain(services.iter().map(|(node, _)| node)) {
            if self.nodes.contains_key(name) {
                self.by_node.insert(name.clone(), index);
            } else {
                self.by_node.remove(name);
            }
        }
    }

    fn raise_services(
        &mut self,
        index: u64,
        before: &Twin,
        nodes: &BTreeSet<String>,
        services: &BTreeSet<Pair>,
        checks: &BTreeSet<Pair>,
    ) {
        let shows = |twin: &Twin, key: &Pair| {
            checks.iter().any(|c| {
                twin.checks.get(c).is_some_and(|check| {
                    c.0 == key.0 && (check.service_id.is_empty() || low(&check.service_id) == key.1)
                })
            })
        };
        let mut names = BTreeSet::new();
        for twin in [before, &*self] {
            for (key, service) in &twin.services {
                if nodes.contains(&key.0) || services.contains(key) || shows(before, key) || shows(self, key)
                {
                    names.insert(low(&service.service));
                }
            }
        }
        for name in names {
            if self.services.values().any(|s| low(&s.service) == name) {
                self.by_service.insert(name, index);
            } else {
                self.by_service.remove(&name);
                self.tables[5] = index;
            }
        }
    }

    fn register(&mut self, index: u64, c: &Register) -> Result<(), Refused> {
        let name = low(&c.node);
        if !c.skip_node_update || !self.nodes.contains_key(&name) {
            self.set_node(
                index,
                Node {
                    id: c.id.as_str().into(),
                    node: c.node.as_str().into(),
                    address: c.address.as_str().into(),
                    datacenter: c.datacenter.as_str().into(),
                    meta: c.node_meta.clone().into(),
                    ..Node::default()
                },
            )?;
        }
        if let Some(service) = &c.service {
            self.set_service(index, &c.node, service.clone())?;
        }
        for check in c.check.iter().chain(&c.checks) {
            let known = check.service_id.is_empty()
                || self.services.contains_key(&(name.clone(), low(&check.service_id)));
            if !known || (!check.node.is_empty() && low(&check.node) != name) {
                return Err(Refused);
            }
            let mut check = check.clone();
            if check.node.is_empty() {
                check.node = self.nodes[&name].node.clone();
            }
            self.set_check(index, check)?;
        }
        Ok(())
    }

    fn set_node(&mut self, index: u64, mut node: Node) -> Result<(), Refused> {
        let name = low(&node.node);
        let by_id = self.nodes.values().find(|n| !n.id.is_empty() && low(&n.id) == low(&node.id)).cloned();
        if let Some(taken) =
            self.nodes.get(&name).filter(|n| !node.id.is_empty() && low(&n.id) != low(&node.id))
        {
            let alive = self
                .checks
                .get(&(name.clone(), "serfhealth".to_string()))
                .is_some_and(|c| &*c.status != "critical");
            if alive && !(taken.id.is_empty() && by_id.is_none()) {
                return Err(Refused);
            }
        }
        let old = by_id.clone().or_else(|| self.nodes.get(&name).cloned());
        (node.create_index, node.modify_index) = (index, index);
        if let Some(old) = old {
            node.create_index = old.create_index;
            if node == (Node { modify_index: index, ..old.clone() }) {
                node.modify_index = old.modify_index;
            }
        }
        self.step(index, |twin| {
            if let Some(old) = by_id.filter(|old| low(&old.node) != name) {
                twin.drop_node(&low(&old.node));
            }
            twin.nodes.insert(name, node);
        });
        Ok(())
    }

    fn set_service(&mut self, index: u64, node: &str, mut service: NodeService) -> Result<(), Refused> {
        let key = (low(node), low(&service.id));
        if !self.nodes.contains_key(&key.0) {
            return Err(Refused);
        }
        (service.create_index, service.modify_index) = (index, index);
        let old = self.services.get(&key).cloned();
        if let Some(old) = &old {
            service.create_index = old.create_index;
            if service == (NodeService { modify_index: index, ..old.clone() }) {
                service.modify_index = old.modify_index;
            }
        }
        let renamed = old.is_some_and(|old| old.service != service.service);
        self.step(index, |twin| {
            twin.services.insert(key.clone(), service);
        });
        if renamed {
            let followers: alloc::vec::Vec<HealthCheck> = self
                .checks
                .iter()
                .filter(|(k, c)| k.0 == key.0 && low(&c.service_id) == key.1 && !c.service_id.is_empty())
                .map(|(_, c)| c.clone())
                .collect();
            for check in followers {
                self.set_check(index, check)?;
            }
        }
        Ok(())
    }

    fn set_check(&mut self, index: u64, mut check: HealthCheck) -> Result<(), Refused> {
        let key = (low(&check.node), low(&check.check_id));
        if !self.nodes.contains_key(&key.0) {
            return Err(Refused);
        }
        if check.status.is_empty() {
            check.status = "critical".into();
        }
        if !check.service_id.is_empty() {
            let service = self.services.get(&(key.0.clone(), low(&check.service_id))).ok_or(Refused)?;
            check.service_name = service.service.clone();
            check.service_tags = service.tags.clone();
        }
        (check.create_index, check.modify_index) = (index, index);
        if let Some(old) = self.checks.get(&key) {
            check.create_index = old.create_index;
            if check == (HealthCheck { modify_index: index, ..old.clone() }) {
                check.modify_index = old.modify_index;
            }
        }
        self.step(index, |twin| {
            twin.checks.insert(key, check);
        });
        Ok(())
    }

    fn deregister(&mut self, c: &Deregister) {
        let node = low(&c.node);
        if !c.service_id.is_empty() {
            self.drop_service(&(node, low(&c.service_id)));
        } else if !c.check_id.is_empty() {
            self.checks.remove(&(node, low(&c.check_id)));
        } else {
            self.drop_node(&node);
        }
    }

    fn drop_service(&mut self, key: &Pair) {
        if self.services.remove(key).is_some() {
            self.checks.retain(|k, c| k.0 != key.0 || c.service_id.is_empty() || low(&c.service_id) != key.1);
        }
    }

    fn drop_node(&mut self, name: &str) {
        self.nodes.remove(name);
        self.services.retain(|k, _| k.0 != name);
        self.checks.retain(|k, _| k.0 != name);
    }

    fn session(&mut self, index: u64, c: &SessionCommand) -> Result<bool, Refused> {
        let id = low(&c.session.id);
        if c.op == SessionOp::Destroy {
            self.step(index, |twin| {
                let gone = twin.sessions.remove(&id);
                gone.iter().for_each(|session| twin.let_go(index, session));
            });
            return Ok(true);
        }
        let (create_index, modify_index) = (index, index);
        let behavior =
            if c.session.behavior.is_empty() { "release".into() } else { c.session.behavior.clone() };
        let session = Session { create_index, modify_index, behavior, ..c.session.clone() };
        if id.is_empty() || self.sessions.contains_key(&id) || self.is_over(&session) {
            return Err(Refused);
        }
        self.step(index, |twin| drop(twin.sessions.insert(id, session)));
        Ok(true)
    }

    /// Whether it may not be any more: its node or a check is not there, or a check is critical.
    fn is_over(&self, session: &Session) -> bool {
        let node = low(&session.node);
        let bad = |id| self.checks.get(&(node.clone(), low(id))).is_none_or(|c| &*c.status == "critical");
        !self.nodes.contains_key(&node) || session.all_checks().any(|id| bad(id))
    }

    fn end_sessions(&mut self, index: u64) {
        let over: alloc::vec::Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| self.is_over(s))
            .map(|(id, s)| (id.clone(), s.clone()))
            .collect();
        for (id, session) in over {
            self.sessions.remove(&id);
            self.let_go(index, &session);
        }
    }

    fn let_go(&mut self, index: u64, session: &Session) {
        for (key, mut entry) in self.kv.clone() {
            if low(&entry.session) != low(&session.id) {
                continue;
            }
            (entry.session, entry.modify_index) = ("".into(), index);
            match &*session.behavior {
                "delete" => {
                    self.kv.remove(&key);
                    self.tombstones.insert(key, index);
                }
                _ => drop(self.kv.insert(key, entry)),
            }
        }
    }

    fn kv(&mut self, index: u64, c: &KvCommand) -> Result<bool, Refused> {
        let key = c.dir_ent.key.to_string();
        let current = self.kv.get(&key).map_or(0, |e| e.modify_index);
        match c.op {
            KvOp::Set => {
                self.set_key(index, &c.dir_ent);
                Ok(true)
            }
            KvOp::Cas => {
                let may = current == c.dir_ent.modify_index;
                if may {
                    self.set_key(index, &c.dir_ent);
                }
                Ok(may)
            }
            KvOp::Delete => {
                self.drop_key(index, &key);
                Ok(true)
            }
            KvOp::DeleteCas => {
                let may = current == 0 || current == c.dir_ent.modify_index;
                if may {
                    self.drop_key(index, &key);
                }
                Ok(may)
            }
            KvOp::DeleteTree => {
                self.step(index, |twin| {
                    let before = twin.kv.len();
                    twin.kv.retain(|k, _| !k.starts_with(&key));
                    if twin.kv.len() < before && !key.is_empty() {
                        twin.tombstones.insert(key, index);
                    }
                });
                Ok(true)
            }
            KvOp::Lock => {
                let session = &c.dir_ent.session;
                if session.is_empty() || !self.sessions.contains_key(&low(session)) {
                    return Err(Refused);
                }
                let (holder, locked) =
                    self.kv.get(&key).map_or(("".into(), 0), |e| (e.session.clone(), e.lock_index));
                let lock_index = if holder.is_empty() { locked + 1 } else { locked };
                let may = holder.is_empty() || holder == *session;
                if may {
                    self.put_key(index, KvEntry { lock_index, ..c.dir_ent.clone() });
                }
                Ok(may)
            }
            KvOp::Unlock if !c.dir_ent.session.is_empty() => {
                let Some(held) = self.kv.get(&key).filter(|e| e.session == c.dir_ent.session) else {
                    return Ok(false);
                };
                let released =
                    KvEntry { lock_index: held.lock_index, session: "".into(), ..c.dir_ent.clone() };
                self.put_key(index, released);
                Ok(true)
            }
            _ => Err(Refused),
        }
    }

    fn set_key(&mut self, index: u64, new: &KvEntry) {
        let session = self.kv.get(&*new.key).map_or("".into(), |old| old.session.clone());
        self.put_key(index, KvEntry { session, ..new.clone() });
    }

    fn put_key(&mut self, index: u64, mut new: KvEntry) {
        (new.create_index, new.modify_index) = (index, index);
        if let Some(old) = self.kv.get(&*new.key) {
            new.create_index = old.create_index;
            if new == (KvEntry { modify_index: index, ..old.clone() }) {
                new.modify_index = old.modify_index;
            }
        }
        self.step(index, |twin| {
            twin.kv.insert(new.key.to_string(), new);
        });
    }

    fn drop_key(&mut self, index: u64, key: &str) {
        self.step(index, |twin| {
            if twin.kv.remove(key).is_some() {
                twin.tombstones.insert(key.to_string(), index);
            }
        });
    }

    fn txn(&mut self, index: u64, txn: &Txn) -> Result<bool, Refused> {
        let mut refused = false;
        for op in &txn.ops {
            refused |= self.op(index, op) != Ok(true);
        }
        if refused { Err(Refused) } else { Ok(true) }
    }

    fn op(&mut self, index: u64, op: &TxnOp) -> Result<bool, Refused> {
        match op {
            TxnOp::Kv(c) if c.dir_ent.key.is_empty() && c.op != KvOp::DeleteTree => Err(Refused),
            TxnOp::Kv(c) => {
                let held = self.kv.get(&*c.dir_ent.key);
                match c.op {
                    KvOp::Get => Ok(held.is_some()),
                    KvOp::GetOrEmpty | KvOp::GetTree => Ok(true),
                    KvOp::CheckIndex => Ok(held.is_some_and(|e| e.modify_index == c.dir_ent.modify_index)),
                    KvOp::CheckSession => Ok(held.is_some_and(|e| e.session == c.dir_ent.session)),
                    KvOp::CheckNotExists => Ok(held.is_none()),
                    _ => self.kv(index, c),
                }
            }
            TxnOp::Node(verb, node) => {
                let held = match node.id.is_empty() {
                    true => self.nodes.get(&low(&node.node)),
                    false => self.nodes.values().find(|n| low(&n.id) == low(&node.id)),
                }
                .cloned();
                match allowed(*verb, held.as_ref().map(|n| n.modify_index), node.modify_index)? {
                    Then::Read => Ok(true),
                    Then::Write => self.set_node(index, (**node).clone()).map(|()| true),
                    Then::Remove => {
                        self.step(index, |twin| held.iter().for_each(|n| twin.drop_node(&low(&n.node))));
                        Ok(true)
                    }
                }
            }
            TxnOp::Service(verb, node, service) => {
                let key = (low(node), low(&service.id));
                let held = self.services.get(&key).map(|s| s.modify_index);
                match allowed(*verb, held, service.modify_index)? {
                    Then::Read => Ok(true),
                    Then::Write => self.set_service(index, node, (**service).clone()).map(|()| true),
                    Then::Remove => {
                        self.step(index, |twin| twin.drop_service(&key));
                        Ok(true)
                    }
                }
            }
            TxnOp::Check(verb, check) => {
                let key = (low(&check.node), low(&check.check_id));
                let held = self.checks.get(&key).map(|c| c.modify_index);
                match allowed(*verb, held, check.modify_index)? {
                    Then::Read => Ok(true),
                    Then::Write => self.set_check(index, (**check).clone()).map(|()| true),
                    Then::Remove => {
                        self.step(index, |twin| {
                            twin.checks.remove(&key);
                        });
                        Ok(true)
                    }
                }
            }
        }
    }
}

enum Then {
    Read,
    Write,
    Remove,
}

fn allowed(verb: CatalogVerb, held: Option<u64>, wanted: u64) -> Result<Then, Refused> {
    match verb {
        CatalogVerb::Get if held.is_some() => Ok(Then::Read),
        CatalogVerb::Set => Ok(Then::Write),
        CatalogVerb::Cas if held.unwrap_or(0) == wanted => Ok(Then::Write),
        CatalogVerb::Delete => Ok(Then::Remove),
        CatalogVerb::DeleteCas if held == Some(wanted) => Ok(Then::Remove),
        _ => Err(Refused),
    }
}
