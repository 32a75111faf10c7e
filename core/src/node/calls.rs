//! Calls that wait: held for a leader, accepted by raft, or forwarded to the leader.

use crate::call::{CallError, Reply};
use crate::command::Command;
use crate::ids::{CallId, FrontId, Index, ServerId, Term};
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// Calls that may be held while there is no leader; more are refused as busy.
const MAX_HELD: usize = 8192;
/// Calls that may be under way at the leader.
const MAX_FORWARDED: usize = 8192;
/// Writes asked for by other servers that are remembered, so that a doubled message does nothing twice.
const MAX_ASKED: usize = 16_384;

/// Who waits for a call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A front.
    Front(FrontId, CallId),
    /// This node's agent.
    Agent(CallId),
    /// Another server, which forwarded it: the number is the other server's.
    Peer(ServerId, u64),
    /// Nobody: a duty of the leader.
    Duty,
}

/// What is wanted of the leader.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Work {
    /// Append this encoded command.
    Write(Bytes),
    /// Confirm an index for a read.
    Barrier {
        /// A quorum must be asked now.
        consistent: bool,
    },
}

impl Work {
    /// The work of writing `command`.
    pub(super) fn write(command: &Command) -> Work {
        Work::Write(command.encode())
    }
}

/// A call with its caller.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) from: Caller,
    pub(super) work: Work,
}

#[derive(Debug)]
struct Forwarded {
    from: Caller,
    /// How long it may be held, should there be no leader.
    hold_until: Instant,
    /// How long its answer is waited for.
    deadline: Instant,
    /// The term of the leader that it was sent to.
    term: Term,
    work: Work,
}

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Calls {
    next: u64,
    /// Proposed or asked of raft under this node's number.
    in_raft: BTreeMap<CallId, Caller>,
    /// Accepted by this leader's raft: done when the entry at the index is applied.
    by_index: BTreeMap<Index, (Term, CallId)>,
    /// Waits for a leader, oldest first.
    held: BTreeMap<u64, (Instant, Call)>,
    /// Deadlines of `held`, earliest first.
    held_until: BTreeSet<(Instant, u64)>,
    /// Sent to the leader under this node's number; no answer yet.
    forwarded: BTreeMap<u64, Forwarded>,
    /// The leader accepted it at this index: done when the entry is applied here.
    elsewhere: BTreeMap<Index, Vec<(Term, Instant, Caller)>>,
    /// Deadlines of `forwarded` and `elsewhere`, earliest first; entries may be stale.
    deadlines: BTreeMap<Instant, usize>,
    /// Writes that other servers have asked for, under their numbers.
    asked: BTreeSet<(ServerId, u64)>,
    /// The same, oldest first.
    asked_order: VecDeque<(ServerId, u64)>,
}

impl Calls {
    /// Numbers start at a random place, so that an answer to a number of an earlier life of this
    /// server matches nothing.
    pub(super) fn new(start: u64) -> Calls {
        Calls { next: start >> 1, ..Calls::default() }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A number for raft under which `from` waits.
    pub(super) fn for_raft(&mut self, from: Caller) -> CallId {
        let call = CallId(self.number());
        self.in_raft.insert(call, from);
        call
    }

    /// Raft accepted `call`.
    pub(super) fn accepted(&mut self, call: CallId, index: Index, term: Term) -> Option<&Caller> {
        self.by_index.insert(index, (term, call));
        self.in_raft.get(&call)
    }

    /// Raft has decided about `call` otherwise than by applying it.
    pub(super) fn take(&mut self, call: CallId) -> Option<Caller> {
        self.in_raft.remove(&call)
    }

    /// The entry at `index` is applied: who waits for it, and whether it is the entry they meant.
    pub(super) fn applied(&mut self, index: Index, term: Term) -> Vec<(Caller, bool)> {
        let mut done = Vec::new();
        if let Some((accepted_in, call)) = self.by_index.remove(&index)
            && let Some(caller) = self.in_raft.remove(&call)
        {
            done.push((caller, accepted_in == term));
        }
        for (accepted_in, _, caller) in self.elsewhere.remove(&index).unwrap_or_default() {
            done.push((caller, accepted_in == term));
        }
        done
    }

    /// Leadership ended: the outcome of everything accepted is unknown to its callers.
    pub(super) fn abandon_accepted(&mut self) -> Vec<Caller> {
        let accepted = core::mem::take(&mut self.by_index);
        accepted.into_values().filter_map(|(_, call)| self.in_raft.remove(&call)).collect()
    }

    /// A snapshot replaced the store up to `index`: what was awaited at or below it is unknown.
    pub(super) fn jumped(&mut self, index: Index) -> Vec<Caller> {
        let mut lost: Vec<Caller> = Vec::new();
        let later = self.elsewhere.split_off(&Index(index.0 + 1));
        for (_, waiting) in core::mem::replace(&mut self.elsewhere, later) {
            lost.extend(waiting.into_iter().map(|(_, _, caller)| caller));
        }
        lost
    }

    /// Holds a call until a leader is known or the deadline comes; gives it back when too many wait.
    pub(super) fn hold(&mut self, deadline: Instant, call: Call) -> Result<(), Call> {
        if self.held.len() >= MAX_HELD {
            return Err(call);
        }
        let id = self.number();
        self.held.insert(id, (deadline, call));
        self.held_until.insert((deadline, id));
        Ok(())
    }

    /// Takes out every held call, because a leader is known now.
    pub(super) fn release(&mut self) -> Vec<(Instant, Call)> {
        self.held_until.clear();
        core::mem::take(&mut self.held).into_values().collect()
    }

    /// Whether `from` asks for the write it numbers `id` for the first time. Messages may come twice, and a
    /// write that is done twice could undo what others wrote in between; nor may the copy be refused, since
    /// the refusal would stand for the original.
    ///
    /// This is a memory of the last [`MAX_ASKED`] writes and of this process: a copy that comes after as many
    /// other writes, or after a restart, is not known again and would be done a second time.
    pub(super) fn asks_first(&mut self, from: &ServerId, id: u64) -> bool {
        if !self.asked.insert((from.clone(), id)) {
            return false;
        }
        self.asked_order.push_back((from.clone(), id));
        if self.asked_order.len() > MAX_ASKED
            && let Some(oldest) = self.asked_order.pop_front()
        {
            self.asked.remove(&oldest);
        }
        true
    }

    /// Whether anybody waits for work that raft or the leader has taken on.
    pub(super) fn under_way(&self) -> bool {
        !self.by_index.is_empty() || !self.forwarded.is_empty() || !self.elsewhere.is_empty()
    }

    /// Remembers a call that goes to the leader; the number to send with it, or the call back when
    /// too many are under way.
    pub(super) fn forward(
        &mut self,
        hold_until: Instant,
        deadline: Instant,
        term: Term,
        call: Call,
    ) -> Result<(u64, Work), Call> {
        if self.forwarded.len() >= MAX_FORWARDED {
            return Err(call);
        }
        let id = self.number();
        let work = call.work.clone();
        self.forwarded.insert(id, Forwarded { from: call.from, hold_until, deadline, term, work });
        *self.deadlines.entry(deadline).or_default() += 1;
        Ok((id, call.work))
    }

    /// The leader has answered a forwarded call: who waits, and until when.
    pub(super) fn answered(&mut self, id: u64) -> Option<(Caller, Instant)> {
        self.forwarded.remove(&id).map(|f| (f.from, f.deadline))
    }

    /// Whom a call was forwarded to does not lead, and has done nothing: the call, and how long it may be held.
    pub(super) fn refused(&mut self, id: u64) -> Option<(Instant, Call)> {
        self.forwarded.remove(&id).map(|f| (f.hold_until, Call { from: f.from, work: f.work }))
    }

    /// A leader of `term` is known: what an earlier one was sent and did not answer. Writes may have been carried out,
    /// so nobody but their callers may decide to try again; barriers are simply asked anew.
    pub(super) fn outlived(&mut self, term: Term) -> (Vec<Caller>, Vec<(Instant, Call)>) {
        let old: Vec<u64> = self.forwarded.iter().filter(|(_, f)| f.term < term).map(|(id, _)| *id).collect();
        let (mut writes, mut barriers) = (Vec::new(), Vec::new());
        for f in old.into_iter().filter_map(|id| self.forwarded.remove(&id)) {
            match f.work {
                Work::Write(_) => writes.push(f.from),
                work @ Work::Barrier { .. } => barriers.push((f.hold_until, Call { from: f.from, work })),
            }
        }
        (writes, barriers)
    }

    /// No leader is known any more. Barriers that it was sent are given back, to be held; of writes, word is waited
    /// for until `until` at the latest, for it may have been cut off, and the next one may never be seen here.
    pub(super) fn leaderless(&mut self, until: Instant) -> Vec<(Instant, Call)> {
        let mut barriers = Vec::new();
        self.forwarded.retain(|_, f| match &f.work {
            Work::Write(_) => {
                f.deadline = f.deadline.min(until);
                true
            }
            barrier @ Work::Barrier { .. } => {
                let work = barrier.clone();
                barriers.push((f.hold_until, Call { from: f.from.clone(), work }));
                false
            }
        });
        for (_, deadline, _) in self.elsewhere.values_mut().flatten() {
            *deadline = (*deadline).min(until);
        }
        if !self.forwarded.is_empty() || !self.elsewhere.is_empty() {
            *self.deadlines.entry(until).or_default() += 1;
        }
        barriers
    }

    /// The leader accepted a forwarded write at `index`; its result comes from applying it here.
    pub(super) fn await_index(&mut self, index: Index, term: Term, deadline: Instant, from: Caller) {
        self.elsewhere.entry(index).or_default().push((term, deadline, from));
        *self.deadlines.entry(deadline).or_default() += 1;
    }

    /// Calls whose time is over, with the reply each gets.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Caller, Reply)> {
        let mut over = Vec::new();
        while let Some(&(at, id)) = self.held_until.first()
            && at <= now
        {
            self.held_until.pop_first();
            if let Some((_, call)) = self.held.remove(&id) {
                over.push((call.from, Reply::Failed(CallError::NoLeader)));
            }
        }
        let due: Vec<Instant> = self.deadlines.range(..=now).map(|(at, _)| *at).collect();
        if due.is_empty() {
            return over;
        }
        for at in due {
            self.deadlines.remove(&at);
        }
        let ids: Vec<u64> =
            self.forwarded.iter().filter(|(_, f)| f.deadline <= now).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(f) = self.forwarded.remove(&id) {
                let error = match f.work {
                    Work::Write(_) => CallError::Unknown,
                    Work::Barrier { .. } => CallError::NoLeader,
                };
                over.push((f.from, Reply::Failed(error)));
            }
        }
        for waiting in self.elsewhere.values_mut() {
            waiting.retain(|(_, deadline, caller)| {
                let stays = *deadline > now;
                if !stays {
                    over.push((caller.clone(), Reply::Failed(CallError::Unknown)));
                }
                stays
            });
        }
        self.elsewhere.retain(|_, waiting| !waiting.is_empty());
        over
    }

    /// The earliest deadline.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let held = self.held_until.first().map(|(at, _)| *at);
        let sent = self.deadlines.keys().next().copied();
        held.into_iter().chain(sent).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_leader_did_not_answer_is_unknown_if_it_writes_and_asked_again_if_it_reads() {
        let mut calls = Calls::new(0);
        let (until, front) = (Instant(9), |n| Caller::Front(FrontId(0), CallId(n)));
        let write = |n| Call { from: front(n), work: Work::Write(Bytes::from_static(b"x")) };
        let read = |n| Call { from: front(n), work: Work::Barrier { consistent: true } };
        for (term, call) in [(1, write(1)), (1, read(2)), (2, write(3))] {
            calls.forward(until, until, Term(term), call).expect("there is room");
        }
        let (writes, barriers) = calls.outlived(Term(2));
        assert_eq!(writes, [front(1)]);
        assert_eq!(barriers, [(until, read(2))]);
        assert_eq!(calls.outlived(Term(2)), (Vec::new(), Vec::new()), "the third went to this leader");
    }

    #[test]
    fn what_was_refused_by_one_who_does_not_lead_comes_back_whole_and_once() {
        let mut calls = Calls::new(0);
        let write = Call { from: Caller::Agent(CallId(1)), work: Work::Write(Bytes::from_static(b"x")) };
        let (id, _) = calls.forward(Instant(5), Instant(100), Term(1), write.clone()).expect("there is room");
        assert_eq!(calls.refused(id), Some((Instant(5), write)));
        assert_eq!(calls.refused(id), None);
        assert!(!calls.under_way());
    }

    #[test]
    fn without_a_leader_what_it_was_sent_is_held_if_it_reads_and_soon_unknown_if_it_writes() {
        let mut calls = Calls::new(0);
        let front = |n| Caller::Front(FrontId(0), CallId(n));
        let read = Call { from: front(1), work: Work::Barrier { consistent: false } };
        let write = |n| Call { from: front(n), work: Work::Write(Bytes::from_static(b"x")) };
        for call in [read.clone(), write(2), write(3)] {
            calls.forward(Instant(5), Instant(100), Term(1), call).expect("there is room");
        }
        let (caller, deadline) = calls.answered(3).expect("under way");
        calls.await_index(Index(7), Term(1), deadline, caller);
        assert_eq!(calls.leaderless(Instant(20)), [(Instant(5), read)]);
        assert_eq!(calls.leaderless(Instant(30)), [], "and no later than was said first");
        assert!(calls.expire(Instant(19)).is_empty());
        let unknown = |n| (front(n), Reply::Failed(CallError::Unknown));
        assert_eq!(calls.expire(Instant(20)), [unknown(2), unknown(3)]);
    }

    #[test]
    fn the_held_wait_for_their_own_time_each_and_go_on_in_the_order_they_came() {
        let mut calls = Calls::new(0);
        let front = |n| Caller::Front(FrontId(0), CallId(n));
        let write = |n| Call { from: front(n), work: Work::Write(Bytes::from_static(b"x")) };
        for (until, n) in [(70, 1), (6, 2), (71, 3)] {
            calls.hold(Instant(until), write(n)).expect("there is room");
        }
        assert_eq!(calls.poll_timeout(), Some(Instant(6)));
        assert_eq!(calls.expire(Instant(6)), [(front(2), Reply::Failed(CallError::NoLeader))]);
        assert_eq!(calls.release(), [(Instant(70), write(1)), (Instant(71), write(3))]);
        assert_eq!(calls.poll_timeout(), None);
    }

    #[test]
    fn a_doubled_message_asks_once_and_memory_is_bounded() {
        let mut calls = Calls::new(0);
        let (a, b) = (ServerId::from("a"), ServerId::from("b"));
        assert!(calls.asks_first(&a, 7));
        assert!(!calls.asks_first(&a, 7));
        assert!(calls.asks_first(&b, 7));
        for id in 0..2 * MAX_ASKED as u64 {
            calls.asks_first(&a, 100 + id);
        }
        assert_eq!((calls.asked.len(), calls.asked_order.len()), (MAX_ASKED, MAX_ASKED));
    }
}
