//! One ordered stream of disk batches out of two sources: raft, which counts its own, and the agent.

use crate::ids::Ticket;
use alloc::collections::VecDeque;

/// Maps the node's tickets to raft's.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    issued: u64,
    flushed: u64,
    /// The agent's newest.
    local: u64,
    /// Raft's ticket for each of the node's that carries one, oldest first.
    raft: VecDeque<(Ticket, Ticket)>,
}

impl Tickets {
    /// The next ticket, for raft's batch `of_raft`.
    pub(super) fn issue_raft(&mut self, of_raft: Ticket) -> Ticket {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.raft.push_back((ticket, of_raft));
        ticket
    }

    /// The next ticket, for a batch without a part of raft's.
    pub(super) fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }

    /// The agent has something for the next batch, whoever else is in it.
    pub(super) fn local_in_next(&mut self) {
        self.local = self.issued + 1;
    }

    /// The agent's newest ticket, unless everything of the agent is on disk.
    pub(super) fn unflushed_local(&self) -> Option<Ticket> {
        (self.local > self.flushed).then_some(Ticket(self.local))
    }

    /// Whether `ticket` is on disk.
    pub(super) fn flushed(&self, ticket: Ticket) -> bool {
        ticket.0 <= self.flushed
    }

    /// Everything up to `upto` is on disk; returns raft's newest ticket among it. A ticket that was
    /// never issued, or an old one, is ignored.
    pub(super) fn persisted(&mut self, upto: Ticket) -> Option<Ticket> {
        let upto = upto.0.min(self.issued);
        self.flushed = self.flushed.max(upto);
        let mut newest = None;
        while let Some((ticket, of_raft)) = self.raft.front().copied() {
            if ticket.0 > upto {
                break;
            }
            newest = Some(of_raft);
            self.raft.pop_front();
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raft_hears_of_its_own_batches_only() {
        let mut t = Tickets::default();
        assert_eq!(t.issue_raft(Ticket(1)), Ticket(1));
        t.local_in_next();
        assert_eq!(t.unflushed_local(), Some(Ticket(2)), "known before it is issued");
        assert_eq!(t.issue(), Ticket(2));
        assert_eq!(t.issue_raft(Ticket(2)), Ticket(3));
        assert_eq!(t.unflushed_local(), Some(Ticket(2)));
        assert_eq!(t.persisted(Ticket(2)), Some(Ticket(1)));
        assert_eq!(t.unflushed_local(), None);
        assert_eq!(t.persisted(Ticket(2)), None);
        assert_eq!(t.persisted(Ticket(9)), Some(Ticket(2)));
    }
}
