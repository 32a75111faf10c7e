//! One ordered stream of disk batches out of two sources: raft, which counts its own, and the agent.

use crate::ids::Ticket;
use alloc::collections::VecDeque;

/// Maps the node's tickets to raft's.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    issued: u64,
    flushed: u64,
    /// Raft's ticket for each of the node's that carries one, oldest first.
    raft: VecDeque<(Ticket, Ticket)>,
}

impl Tickets {
    /// The next ticket; `raft` is raft's own number if the batch is raft's.
    pub(super) fn issue(&mut self, raft: Option<Ticket>) -> Ticket {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        if let Some(of_raft) = raft {
            self.raft.push_back((ticket, of_raft));
        }
        ticket
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
        assert_eq!(t.issue(Some(Ticket(1))), Ticket(1));
        assert_eq!(t.issue(None), Ticket(2));
        assert_eq!(t.issue(Some(Ticket(2))), Ticket(3));
        assert_eq!(t.persisted(Ticket(2)), Some(Ticket(1)));
        assert_eq!(t.persisted(Ticket(2)), None);
        assert_eq!(t.persisted(Ticket(9)), Some(Ticket(2)));
    }
}
