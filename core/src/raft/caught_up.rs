//! Whether a server that has started knows enough to be read, and what it may know at once.
//!
//! A server that comes back has applied nothing of its log: only a leader can tell how much of that is committed. Until
//! then it would show an older state than it has shown before, or none at all, and templates are blanked and keys
//! deleted by whoever believes it. So what is known to be committed is kept on disk and applied at boot; and nobody
//! reads before the server has applied what the first leader that it hears of had committed. Where no leader is heard
//! of for a while, the quorum may be gone for long: what is on disk is the best there is, and is shown to those who ask
//! for stale answers.

use super::{Raft, State};
use crate::ids::{Index, Term};
use crate::time::{Duration, Instant};

/// The commit is written at most so long after it was heard of, where nothing else is written in that time.
const NOTED_WITHIN: Duration = Duration::from_secs(2);

/// Who hears of no leader for so many election timeouts shows what it has.
const ALONE_FOR: u32 = 3;

/// How far this life of the server has come.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// It may be read, to the end of its life.
    done: bool,
    /// Where nothing was known to be committed at boot, there is nothing to show before a leader has told all of it.
    had_something: bool,
    /// When the server started.
    born: Instant,
    /// What the first leader that was heard of had committed, and its term.
    target: Option<(Index, Term)>,
    /// When the commit is to be written, if it has moved and nothing was written since.
    note_at: Option<Instant>,
}

impl CatchUp {
    /// At boot. `done`: all that the server has on disk is committed, and there is nothing else.
    pub(super) fn new(had_something: bool, done: bool, born: Instant) -> CatchUp {
        CatchUp { done, had_something, born, target: None, note_at: None }
    }
}

impl Raft {
    /// Whether this server's state may be read, also by those who do not mind that it is old.
    pub fn is_caught_up(&self) -> bool {
        self.catch_up.done
    }

    /// The leader of this term says how far it has committed.
    pub(super) fn heard_commit(&mut self, commit: Index) {
        self.catch_up.target.get_or_insert((commit, self.hard.term));
    }

    /// When this server no longer waits for a leader.
    fn alone_at(&self) -> Option<Instant> {
        let waits =
            !self.catch_up.done && self.catch_up.had_something && !matches!(self.state, State::Leader(_));
        let since = self.contact.map_or(self.catch_up.born, |contact| contact.max(self.catch_up.born));
        waits.then(|| since + self.config.election_timeout * ALONE_FOR)
    }

    /// When to look again whether the server has caught up, or to write the commit.
    pub(super) fn catch_up_deadline(&self) -> Option<Instant> {
        self.alone_at().into_iter().chain(self.catch_up.note_at).min()
    }

    pub(super) fn look_whether_caught_up(&mut self) {
        if self.catch_up.done || self.snapshots.is_restoring() {
            return;
        }
        let told = match &self.state {
            State::Leader(leader) => self.applied >= leader.first.index,
            // A new leader does not know how much of its log is committed before an entry of its own is (thesis, 6.4).
            _ => self.catch_up.target.is_some_and(|(target, term)| {
                self.applied >= target && self.log.term_at(self.applied).is_some_and(|of| of >= term)
            }),
        };
        let alone = self.alone_at().is_some_and(|at| self.now >= at);
        self.catch_up.done = told || alone || mutant!(self.config, ReadBeforeCaughtUp);
    }

    /// Writes what is committed with whatever is written now, or after a while on its own. Who votes alone needs none
    /// of it: all that it has on disk is committed.
    pub(super) fn note_commit(&mut self) {
        if self.commit <= self.hard.commit || self.is_sole_voter() {
            self.catch_up.note_at = None;
            return;
        }
        let at = *self.catch_up.note_at.get_or_insert(self.now + NOTED_WITHIN);
        if self.cursor.is_gathering() || self.now >= at {
            self.hard.commit = self.commit;
            self.cursor.write_commit(self.hard.clone());
            self.catch_up.note_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Body, Config, Entry, HardState, Image, Input, LogId, Membership, Message, Payload, Round,
    };
    use super::*;
    use crate::ids::ServerId;
    use crate::rng::{Rng, Seed};
    use alloc::vec::Vec;

    /// A follower of three that comes back with three entries, of which its disk knows so many to be committed.
    fn back(commit: u64) -> Raft {
        let members = Membership::of_voters(["a".into(), "b".into(), "c".into()]);
        let payload = |index| if index == 1 { Payload::Membership(members.clone()) } else { Payload::Noop };
        let entry = |index| Entry { index: Index(index), term: Term(2), payload: payload(index) };
        let hard = HardState { term: Term(2), voted_for: Some("b".into()), commit: Index(commit) };
        let log: Vec<Entry> = (1..4).map(entry).collect();
        let image = Image { hard, snapshot: None, log };
        let rng = Rng::new(Seed::from_u64(1));
        Raft::boot(Config::new("a".into()), image, None, rng, Instant::ZERO).expect("it starts")
    }

    fn hear(raft: &mut Raft, at: u64, body: Body) {
        let message = Message { term: Term(2), body };
        let input = Input::Message { from: ServerId::from("b"), message };
        raft.handle(Instant::ZERO + Duration::from_millis(at), input);
    }

    #[test]
    fn what_the_disk_knows_to_be_committed_is_applied_at_boot_and_not_shown_yet() {
        let raft = back(2);
        assert_eq!((raft.applied_index(), raft.is_caught_up()), (Index(2), false));
        assert_eq!(back(9).applied_index(), Index(3), "no more than there is");
    }

    #[test]
    fn an_append_says_how_much_is_missing() {
        let mut raft = back(2);
        let prev = LogId { index: Index(3), term: Term(2) };
        hear(&mut raft, 1, Body::Append { prev, commit: Index(4), entries: Vec::new() });
        assert_eq!((raft.applied_index(), raft.is_caught_up()), (Index(3), false));
        let entry = Entry { index: Index(4), term: Term(2), payload: Payload::Noop };
        hear(&mut raft, 2, Body::Append { prev, commit: Index(4), entries: Vec::from([entry]) });
        assert!(raft.is_caught_up());
    }

    #[test]
    fn a_heartbeat_that_covers_all_of_the_log_says_that_nothing_is() {
        let mut raft = back(2);
        hear(&mut raft, 1, Body::Heartbeat { round: Round(1), commit: Index(2) });
        assert!(!raft.is_caught_up(), "entry 3 may be followed by others");
        hear(&mut raft, 2, Body::Heartbeat { round: Round(2), commit: Index(3) });
        assert!(raft.is_caught_up());
    }

    #[test]
    fn without_a_leader_what_is_there_will_do_after_a_while_and_nothing_never() {
        let patience = Config::new("a".into()).election_timeout * ALONE_FOR;
        for (commit, shown) in [(2, true), (0, false)] {
            let mut raft = back(commit);
            raft.handle(Instant::ZERO + patience - Duration::from_millis(1), Input::Wake);
            assert!(!raft.is_caught_up());
            raft.handle(Instant::ZERO + patience, Input::Wake);
            assert_eq!(raft.is_caught_up(), shown);
        }
    }
}
