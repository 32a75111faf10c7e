//! Raft's properties over all servers and all their lives.
//!
//! "Thesis" is Ongaro, "Consensus: bridging theory and practice" (2014); its figure 3.2 lists the first five.

use super::{Checked, hold};
use crate::fast::disk::{Platter, Shadow};
use lictor_core::ids::ServerId;
use lictor_core::raft::{Entry, HardState, Membership, Payload};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What has been seen so far. Hash maps are only looked up, never walked.
#[derive(Debug, Default)]
pub(in crate::fast) struct Seen {
    leaders: BTreeMap<u64, ServerId>,
    /// Everything ever committed; index 1 comes first.
    committed: Vec<Entry>,
    /// The term in which each was first seen committed.
    committed_in: Vec<u64>,
    /// Every entry that ever stood in any log, with the term of the one before it.
    positions: HashMap<(u64, u64), (u64, Entry)>,
    votes: HashMap<(ServerId, u64), ServerId>,
    /// Who told a server that it would be voted for in a term.
    pre_votes: HashMap<(ServerId, u64), BTreeSet<ServerId>>,
}

impl Seen {
    /// How many entries are committed.
    pub(in crate::fast) fn committed(&self) -> u64 {
        self.committed.len() as u64
    }

    /// The committed entry at `index`.
    pub(in crate::fast) fn entry(&self, index: u64) -> Option<&Entry> {
        self.committed.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }

    /// `voter` has told `candidate` that it would vote for it in `term`.
    pub(in crate::fast) fn pre_voted(&mut self, voter: &ServerId, candidate: &ServerId, term: u64) {
        self.pre_votes.entry((candidate.clone(), term)).or_default().insert(voter.clone());
    }

    /// The newest term that had a leader.
    pub(in crate::fast) fn newest_term(&self) -> u64 {
        self.leaders.keys().next_back().copied().unwrap_or(0)
    }
}

/// Election safety: at most one leader in a term (thesis, figure 3.2). True when this leader is news.
pub(in crate::fast) fn election_safety(
    seen: &mut Seen,
    term: u64,
    leader: &ServerId,
) -> Result<bool, super::Violation> {
    match seen.leaders.get(&term) {
        Some(other) if other == leader => return Ok(false),
        Some(other) => {
            hold!(false, "election safety", "term {term} has two leaders: {other} and {leader}");
        }
        None => {}
    }
    seen.leaders.insert(term, leader.clone());
    Ok(true)
}

/// Nobody forces a new term upon the others without having asked whether an election could be won: most
/// voters said yes, or the leader itself asked for it (thesis, section 9.6; 3.10 for the transfer).
pub(in crate::fast) fn asks_before_it_stands(
    seen: &Seen,
    id: &ServerId,
    term: u64,
    members: &Membership,
) -> Checked {
    let granted = seen.pre_votes.get(&(id.clone(), term));
    let would = members.voters.iter().filter(|v| *v == id || granted.is_some_and(|g| g.contains(*v))).count();
    hold!(
        would > members.voters.len() / 2,
        "asks before it stands",
        "{id} stands for election in term {term}, and {would} of {} voters would vote for it",
        members.voters.len()
    );
    Ok(())
}

/// One vote per term, and terms only grow, on every disk (thesis, section 3.3 and figure 3.1).
pub(in crate::fast) fn one_vote_per_term(
    seen: &mut Seen,
    id: &ServerId,
    before: &HardState,
    new: &HardState,
) -> Checked {
    hold!(
        new.term >= before.term,
        "terms only grow",
        "the disk of {id} goes from term {} to {}",
        before.term,
        new.term
    );
    if let Some(vote) = &new.voted_for {
        let first = seen.votes.entry((id.clone(), new.term.0)).or_insert_with(|| vote.clone());
        hold!(
            first == vote,
            "one vote per term",
            "{id} voted for {first} and for {vote} in term {}",
            new.term
        );
    }
    Ok(())
}

/// Log matching: two entries with the same index and term are equal, and so are all before them (thesis,
/// figure 3.2). By induction it is enough that the entry before has the same term.
pub(in crate::fast) fn log_matching(
    seen: &mut Seen,
    shadow: &Shadow,
    id: &ServerId,
    entry: &Entry,
) -> Checked {
    let (last, before) = shadow.last();
    let (index, term) = (entry.index.0, entry.term.0);
    hold!(index == last + 1, "log without gaps", "{id} appends {index} behind {last}");
    hold!(term >= before, "terms grow along the log", "{id} appends term {term} behind term {before}");
    if index == 1 && matches!(entry.payload, Payload::Membership(_)) {
        // Whoever founds writes it without a vote; it counts when it is on disk, and is compared then.
        return Ok(());
    }
    let (known_before, known) =
        seen.positions.entry((index, term)).or_insert_with(|| (before, entry.clone()));
    hold!(
        *known_before == before && known == entry,
        "log matching",
        "{id} holds at index {index} term {term} another entry than someone else, or another term before it \
         ({before} instead of {known_before})"
    );
    Ok(())
}

/// Leader completeness: whatever was committed is in the log of the leaders of all later terms (thesis, figure 3.2);
/// one of an earlier term may hear of its election when it is over.
pub(in crate::fast) fn leader_completeness(
    seen: &Seen,
    shadow: &Shadow,
    leader: &ServerId,
    term: u64,
    from: u64,
) -> Checked {
    let committed = seen.committed.iter().zip(&seen.committed_in).skip(from.max(shadow.base()) as usize);
    for (entry, _) in committed.filter(|(_, committed_in)| **committed_in < term) {
        let mine = shadow.get(entry.index.0);
        hold!(
            mine.is_some_and(|e| e.term == entry.term),
            "leader completeness",
            "{leader} leads term {term} without the committed entry {} of term {}",
            entry.index,
            entry.term
        );
    }
    Ok(())
}

/// State machine safety: what is committed at an index is the same everywhere and for ever (thesis, figure
/// 3.2). `upto` is what the server now holds for committed, in `term`, `from` what it held before. Entries that are
/// news to everybody are remembered.
pub(in crate::fast) fn committed_for_ever(
    seen: &mut Seen,
    shadow: &Shadow,
    id: &ServerId,
    from: u64,
    (term, upto): (u64, u64),
) -> Checked {
    for index in from.max(shadow.base()) + 1..=upto {
        let mine = shadow.get(index);
        hold!(mine.is_some(), "commit within the log", "{id} commits {index}, which its log does not hold");
        let Some(mine) = mine else { continue };
        match seen.entry(index) {
            Some(theirs) => hold!(
                theirs == mine,
                "state machine safety",
                "index {index} is committed with term {} elsewhere and with term {} at {id}",
                theirs.term,
                mine.term
            ),
            None => {
                hold!(
                    index == seen.committed() + 1,
                    "commit without gaps",
                    "{id} commits {index} behind {}",
                    seen.committed()
                );
                seen.committed.push(mine.clone());
                seen.committed_in.push(term);
            }
        }
    }
    Ok(())
}

/// A leader counts replicas of entries of its own term only; older ones are committed with them (raft paper,
/// figure 8 and section 5.4.2).
pub(in crate::fast) fn commits_its_own_term(log: &Shadow, id: &ServerId, term: u64, commit: u64) -> Checked {
    if let Some(entry) = log.get(commit) {
        hold!(
            entry.term.0 == term,
            "commits count entries of the own term",
            "{id} leads term {term} and commits up to {commit}, an entry of term {}",
            entry.term
        );
    }
    Ok(())
}

/// A leader does not begin a change of the membership before the one before it is committed (thesis, 4.1).
pub(in crate::fast) fn one_change_at_a_time(log: &Shadow, id: &ServerId, term: u64, commit: u64) -> Checked {
    let changes = log.memberships_after(commit);
    let (mut pending, mut own) = (0, 0);
    for entry in changes {
        pending += 1;
        own += u32::from(entry.term.0 == term);
    }
    hold!(
        own == 0 || pending == 1,
        "one change at a time",
        "{id} leads term {term} and has {pending} changes of the membership after {commit}, {own} of them its own"
    );
    Ok(())
}

/// An entry is committed only when a majority holds it on disk (thesis, section 3.6).
/// `lost` voters had a disk that is gone by now: what they acknowledged before counts, as the leader counted it.
pub(in crate::fast) fn committed_on_quorum<'a>(
    entry: &Entry,
    members: &Membership,
    lost: usize,
    platters: impl Iterator<Item = (&'a ServerId, &'a Platter)>,
) -> Checked {
    let holders =
        platters.filter(|(id, platter)| members.is_voter(id) && platter.holds(entry)).count() + lost;
    hold!(
        holders * 2 > members.voters.len(),
        "committed on a quorum of disks",
        "entry {} of term {} is committed, and {holders} of {} voters hold it on disk",
        entry.index,
        entry.term,
        members.voters.len()
    );
    Ok(())
}

/// Within a life neither term nor commit nor applied run backwards, and none overtakes the other (raft/mod.rs).
pub(in crate::fast) fn nothing_runs_backwards(
    id: &ServerId,
    before: crate::fast::server::Shown,
    now: crate::fast::server::Shown,
) -> Checked {
    hold!(now.term >= before.term, "term grows", "{id} goes from term {} to {}", before.term, now.term);
    hold!(
        now.commit >= before.commit,
        "commit grows",
        "{id} goes from commit {} to {}",
        before.commit,
        now.commit
    );
    hold!(
        now.applied >= before.applied,
        "applied grows",
        "{id} goes from applied {} to {}",
        before.applied,
        now.applied
    );
    hold!(
        now.applied <= now.commit,
        "applied within commit",
        "{id} applied {} of commit {}",
        now.applied,
        now.commit
    );
    Ok(())
}
