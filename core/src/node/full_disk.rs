//! A data directory without room: writes are refused before the disk is full, and reads go on.
//!
//! A leader refuses for the whole cluster, so it hands over to another server, which may have room. Whether it has is
//! not known here: where all disks are full, leadership goes round, slowly.

use super::Node;
use super::calls::Caller;
use crate::agent::AgentInput;
use crate::event::{Event, Level};
use crate::raft::{self, Role};
use crate::time::{Duration, Instant, Now};

/// Between two attempts of one server to hand over.
const PAUSE: Duration = Duration::from_secs(30);

/// What a node knows of its disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Writes are refused.
    pub(super) full: bool,
    handed_over: Option<Instant>,
}

impl Node {
    pub(super) fn disk_full(&mut self, now: Now, full: bool) {
        if full == self.disk.full {
            return;
        }
        self.disk.full = full;
        self.to_agent.push_back(AgentInput::DiskFull(full));
        let event = if full {
            Event::new(
                Level::Error,
                "agent.server",
                "the data directory's file system is nearly full: writes are refused, reads go on; \
                 free some space and they resume by themselves",
            )
        } else {
            Event::new(Level::Info, "agent.server", "the data directory has space again: writes are accepted")
        };
        self.log(event);
        self.hand_over_if_full(now);
    }

    /// Hands leadership over where this server cannot use it.
    pub(super) fn hand_over_if_full(&mut self, now: Now) {
        let leads = self.raft.role() == Role::Leader && self.raft.status().membership.voters.len() > 1;
        let rested = self.disk.handed_over.is_none_or(|at| now.mono.since(at) >= PAUSE);
        if !self.disk.full || !leads || !rested {
            return;
        }
        self.disk.handed_over = Some(now.mono);
        let text = "handing leadership over, because the data directory's file system is nearly full";
        self.log(Event::new(Level::Warn, "agent.server", text));
        let call = self.calls.for_raft(Caller::Duty);
        self.to_raft.push_back(raft::Input::TransferLeadership { call, to: None });
    }
}
