//! Frames of other servers, and to them.

use super::Node;
use super::calls::{Call, Caller, Work};
use super::forward::{Frame, Refusal};
use super::output::Output;
use crate::call::{CallError, Reply};
use crate::command::Command;
use crate::event::{Event, Level};
use crate::ids::ServerId;
use crate::raft::{self, Role};
use crate::time::Now;
use bytes::Bytes;

impl Node {
    pub(super) fn send(&mut self, to: ServerId, frame: Frame) {
        let output = self.to_peer(to, &frame);
        self.outputs.push_back(output);
    }

    /// A frame on its way to where the server is known to be.
    pub(super) fn to_peer(&self, to: ServerId, frame: &Frame) -> Output {
        let at = self.addresses.get(&to).copied();
        Output::Peer { to, at, bytes: frame.encode() }
    }

    /// Takes what another server sent.
    pub(super) fn peer(&mut self, now: Now, from: ServerId, bytes: Bytes) {
        match Frame::decode(bytes) {
            None => self.log(
                Event::new(Level::Warn, "agent.server.raft", "dropped a malformed message")
                    .with("from", &*from),
            ),
            Some(Frame::Raft { cluster, .. }) if self.is_stranger(now, &from, cluster) => {}
            Some(Frame::Raft { message, .. }) => {
                self.log_vote("from", &from, &message);
                self.received(now, &message);
                self.to_raft.push_back(raft::Input::Message { from, message });
            }
            Some(Frame::Ask { id, work }) => {
                if matches!(work, Work::Write(_)) && !self.calls.asks_first(&from, id) {
                    return;
                }
                let from = Caller::Peer(from, id);
                // What cannot be read would stop every server when it is applied, and again after each restart.
                let readable = match &work {
                    Work::Write(command) => Command::decode(command).is_ok(),
                    Work::Barrier { .. } => true,
                };
                if !readable {
                    let text = "refused a command that this version cannot read";
                    let Caller::Peer(server, id) = from else { return };
                    self.log(Event::new(Level::Error, "agent.server", text).with("from", &*server));
                    return self.send(server, Frame::Refused { id, why: Refusal::Unreadable });
                }
                if self.raft.role() == Role::Leader {
                    self.lead(now, Call { from, work });
                } else {
                    self.answer(from, Reply::Failed(CallError::NotLeader { leader: None }));
                }
            }
            Some(Frame::Accepted { id, index, term }) => {
                if let Some((caller, deadline)) = self.calls.answered(id) {
                    if index.0 > self.store.log_index() {
                        self.calls.await_index(index, term, deadline, caller);
                    } else {
                        // Applied before we knew whose it was: its result is gone.
                        self.answer(caller, Reply::Failed(CallError::Unknown));
                    }
                }
            }
            Some(Frame::Founding(message)) => self.about_founding(now, from, message),
            Some(Frame::Barrier { id, index }) => {
                if let Some((caller, _)) = self.calls.answered(id) {
                    self.answer(caller, Reply::Barrier { index });
                }
            }
            Some(Frame::Delayed { id, places }) => {
                if let Some((_, Call { from, work })) = self.calls.refused(id) {
                    self.answer_delayed(from, &work, &places);
                }
            }
            Some(Frame::Refused { id, why }) => self.refused(now, id, why),
        }
    }

    /// Whom a call was forwarded to has not done it, or does not know whether it will be.
    fn refused(&mut self, now: Now, id: u64, why: Refusal) {
        let error = match why {
            Refusal::NotLeader => {
                // Whoever leads next is asked, if there is word of it soon.
                if let Some((hold_until, call)) = self.calls.refused(id) {
                    self.hold(now, hold_until, call);
                }
                return;
            }
            Refusal::Unreadable => {
                CallError::Refused("the leader is of a version that cannot read this command".into())
            }
            Refusal::Busy => CallError::Busy,
            Refusal::TooLarge => CallError::TooLarge,
            Refusal::DiskFull => CallError::DiskFull,
            Refusal::Unknown => CallError::Unknown,
        };
        if let Some((caller, _)) = self.calls.answered(id) {
            self.answer(caller, Reply::Failed(error));
        }
    }
}
