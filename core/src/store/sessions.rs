//! Sessions: what they depend on, and what ends with them.
//!
//! A session ends when it is destroyed, when its node or one of its checks goes, and when one of its checks
//! becomes critical. The keys that it holds are then released or deleted. Time is not counted here: the leader
//! destroys what was not renewed, and every server remembers for itself how long a lost lock is kept from others.

use super::Store;
use super::key::{Key, Parts, fold, fold_str};
use super::result::Applied;
use crate::Str;
use crate::command::{SessionCommand, SessionOp};
use crate::map::Map;
use crate::types::{KvEntry, Session, status};
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Its name in the index table of a snapshot.
const TABLE: &str = "sessions";

/// Sessions, and by what they are found. Names and IDs are in lower case.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sessions {
    /// By ID.
    pub(super) by_id: Map<Str, Arc<Session>>,
    /// By node and ID.
    by_node: Map<Key<2>, ()>,
    /// By node, check and ID.
    by_check: Map<Key<3>, ()>,
    /// By ID and key: the keys that each holds.
    held: Map<Key<2>, ()>,
}

impl Sessions {
    /// The tables of these sessions and of the keys that they hold.
    pub(super) fn of(
        sessions: impl IntoIterator<Item = Session>,
        keys: impl Iterator<Item = Arc<KvEntry>>,
    ) -> Sessions {
        let mut all = Sessions::default();
        sessions.into_iter().for_each(|session| all.insert(session));
        keys.for_each(|entry| all.holds(&entry.session, &entry.key));
        all
    }

    pub(super) fn insert(&mut self, session: Session) {
        let (id, node) = (fold_str(&session.id), fold_str(&session.node));
        // What an archive has twice must not be there by half.
        self.remove(&id);
        for check in session.all_checks() {
            self.by_check.insert(Key([node.clone(), fold_str(check), id.clone()]), ());
        }
        self.by_node.insert(Key([node, id.clone()]), ());
        self.by_id.insert(id, Arc::new(session));
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Session>> {
        let session = self.by_id.remove(id)?;
        let node = fold(&session.node);
        for check in session.all_checks() {
            self.by_check.remove::<dyn Parts>(&[&*node, &*fold(check), id]);
        }
        self.by_node.remove::<dyn Parts>(&[&*node, id]);
        Some(session)
    }

    /// `session`, if it is one, holds `key` from now on.
    pub(super) fn holds(&mut self, session: &Str, key: &Str) {
        if !session.is_empty() {
            self.held.insert(Key([fold_str(session), key.clone()]), ());
        }
    }

    /// `session`, if it is one, does not hold `key` any more.
    pub(super) fn lets_go(&mut self, session: &str, key: &str) {
        if !session.is_empty() {
            self.held.remove::<dyn Parts>(&[&*fold(session), key]);
        }
    }

    /// The IDs of what depends on this check.
    fn of_check(&self, node: &str, check: &str) -> Vec<Str> {
        let all = self.by_check.range_from::<dyn Parts>(&[node, check]);
        all.map(|(key, ())| &key.0)
            .take_while(|[n, c, _]| **n == *node && **c == *check)
            .map(|[_, _, id]| id.clone())
            .collect()
    }

    fn of_node(&self, node: &str) -> Vec<Str> {
        let all = self.by_node.range_from::<dyn Parts>(&[node]);
        all.map(|(key, ())| &key.0).take_while(|[n, _]| **n == *node).map(|[_, id]| id.clone()).collect()
    }

    fn keys_of(&self, id: &str) -> Vec<Str> {
        let all = self.held.range_from::<dyn Parts>(&[id]);
        all.map(|(key, ())| &key.0).take_while(|[of, _]| **of == *id).map(|[_, key]| key.clone()).collect()
    }
}

impl Store {
    /// Creates or destroys a session. Answers with its ID; what does not exist is destroyed.
    pub(super) fn apply_session(
        &mut self,
        index: u64,
        c: &SessionCommand,
        changes: &mut ChangeSet,
    ) -> Applied {
        match c.op {
            SessionOp::Create => match self.create_session(index, &c.session, changes) {
                Ok(()) => Applied::Session(c.session.id.clone()),
                Err(text) => Applied::Error(format!("apply failed: {text}")),
            },
            SessionOp::Destroy => {
                self.end_session(index, &fold(&c.session.id), changes);
                Applied::Ok
            }
        }
    }

    fn create_session(&mut self, index: u64, new: &Session, changes: &mut ChangeSet) -> Result<(), String> {
        if new.id.is_empty() {
            return Err("Missing session ID".into());
        }
        let behavior = match &*new.behavior {
            "" | Session::RELEASE => Session::RELEASE,
            Session::DELETE => Session::DELETE,
            other => return Err(format!("Invalid session behavior: {other}")),
        };
        if self.session(&new.id).is_some() {
            return Err(format!("Session ID '{}' is in use", new.id));
        }
        if self.node(&new.node).is_none() {
            return Err("Missing node registration".into());
        }
        for id in new.all_checks() {
            let check =
                self.check(&new.node, id).ok_or_else(|| format!("Missing check '{id}' registration"))?;
            if &*check.status == status::CRITICAL {
                return Err(format!("Check '{id}' is in {} state", check.status));
            }
        }
        let mut session = new.clone();
        session.behavior = behavior.into();
        (session.create_index, session.modify_index) = (index, index);
        self.touch_session(index, &session, changes);
        self.sessions.insert(session);
        Ok(())
    }

    /// Ends a session, given in lower case, and lets go of what it holds. Unknown is fine.
    fn end_session(&mut self, index: u64, id: &str, changes: &mut ChangeSet) {
        let Some(session) = self.sessions.remove(id) else { return };
        self.touch_session(index, &session, changes);
        let delay = session.delay();
        for key in self.sessions.keys_of(id) {
            match &*session.behavior {
                _ if mutant!(self, KeepsLocksOfTheEnded) => {}
                Session::DELETE => self.kv_delete(index, &key, changes),
                _ => self.kv_release(index, &key, changes),
            }
            if delay > Duration::ZERO {
                changes.freed.insert(key, delay);
            }
        }
        self.end_queries_of(index, id, changes);
    }

    /// A check became critical or went: what depends on it ends. Both names in lower case.
    pub(super) fn end_sessions_of_check(
        &mut self,
        index: u64,
        node: &str,
        check: &str,
        changes: &mut ChangeSet,
    ) {
        for id in self.sessions.of_check(node, check) {
            self.end_session(index, &id, changes);
        }
    }

    /// A node goes, given in lower case.
    pub(super) fn end_sessions_of_node(&mut self, index: u64, node: &str, changes: &mut ChangeSet) {
        for id in self.sessions.of_node(node) {
            self.end_session(index, &id, changes);
        }
    }

    fn touch_session(&mut self, index: u64, session: &Session, changes: &mut ChangeSet) {
        self.index.other.insert(Str::from(TABLE), index);
        changes.touch_session(&fold_str(&session.id), &fold_str(&session.node));
    }

    /// The session of this ID.
    pub fn session(&self, id: &str) -> Option<&Arc<Session>> {
        self.sessions.by_id.get(&*fold(id))
    }

    /// Every session, by ID.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.by_id.values()
    }

    /// Those of one node, by ID.
    pub fn node_sessions(&self, node: &str) -> impl Iterator<Item = &Arc<Session>> + use<'_> {
        let ids = self.sessions.of_node(&fold(node));
        ids.into_iter().filter_map(|id| self.sessions.by_id.get(&id))
    }

    /// `X-Consul-Index` of sessions, of one as of all.
    pub fn sessions_index(&self) -> u64 {
        self.index.other.get(TABLE).copied().unwrap_or(0)
    }
}
