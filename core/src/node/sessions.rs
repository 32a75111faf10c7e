//! Sessions: their IDs, their renewal, and locks that nobody can take for a while.

use super::Node;
use super::calls::{Caller, Work};
use super::forward::Frame;
use crate::Str;
use crate::call::{CallError, Reply};
use crate::command::{Command, SessionOp};
use crate::ids::Index;
use crate::metrics::Metric;
use crate::server::lock_delay;
use crate::time::{Duration, Now};
use alloc::format;

impl Node {
    /// Gives a session that is to be created its ID.
    pub(super) fn identified(&mut self, mut command: Command) -> Command {
        if let Command::Session(c) = &mut command
            && c.op == SessionOp::Create
        {
            c.session.id = Str::from(self.ids.uuid());
            while self.store.session(&c.session.id).is_some() {
                c.session.id = Str::from(self.ids.uuid());
            }
        }
        command
    }

    /// Has a session live on. For the leader, which counts the time.
    pub(super) fn renew(&mut self, now: Now, from: Caller, id: &str) {
        let leased = self.raft.lease_until().is_some_and(|until| until > now.mono);
        let reply = match self.store.session(id).cloned() {
            // Another may lead already: what it has created is not here, and what it has not heard of ends there.
            _ if !self.leader.active() || !leased => Reply::Failed(CallError::NoLeader),
            None => Reply::Session(None),
            Some(session) => {
                // To be counted; nothing is waited for.
                self.metrics.time(now, Metric::SessionRenew, Duration::ZERO);
                match mutant!(self, RenewsNothing) || self.leader.session_renewed(now.mono, &session) {
                    true => Reply::Session(Some(session)),
                    false => {
                        let why = format!("Session '{id}' was not renewed in time and is about to end");
                        Reply::Failed(CallError::Refused(why))
                    }
                }
            }
        };
        self.answer(from, reply);
    }

    /// What sessions that were created or have ended mean to the duties of the leader and to those who want locks.
    pub(super) fn heed_sessions(&mut self) {
        let now = self.now.mono;
        for (key, delay) in core::mem::take(&mut self.changes.freed) {
            self.lock_delays.add(now, key, delay);
        }
        let blind = mutant!(self, WatchesNoRestoredSessions) && self.changes.all;
        if !mutant!(self, WatchesNoNewSessions) && !blind {
            self.leader.sessions_changed(now, &self.store, &self.changes);
        }
    }

    /// Refuses a write that locks what nobody can lock now. Whether it did.
    pub(super) fn refuse_locking(&mut self, now: Now, from: &Caller, work: &Work) -> bool {
        let Work::Write(command) = work else { return false };
        let Some(places) = self.lock_delays.refused(now.mono, command) else { return false };
        match from {
            Caller::Peer(server, id) => self.send(server.clone(), Frame::Delayed { id: *id, places }),
            from => self.answer_delayed(from.clone(), work, &places),
        }
        true
    }

    /// The answer to a write of which these operations lock what nobody can lock now. It has no index.
    pub(super) fn answer_delayed(&mut self, from: Caller, work: &Work, places: &[u32]) {
        let Work::Write(command) = work else { return };
        if let Ok(command) = Command::decode(command) {
            let result = lock_delay::refusal(&command, places);
            self.answer(from, Reply::Applied { index: Index(0), result });
        }
    }
}
