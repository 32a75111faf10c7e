//! The operator: changes the membership one server at a time, and replaces lost servers.

use super::action::Change as Asked;
use super::event::Event;
use super::marks::Mark;
use super::server::server_id;
use super::world::{MS, World};
use lictor_core::ids::{CallId, FrontId, ServerId};
use lictor_core::node::{CallError, Input, Reply, Request};
use lictor_core::raft::Change;
use std::collections::VecDeque;

/// How often the operator looks.
const EVERY: u64 = 200 * MS;
/// How long an answer may take before the operator asks again.
const PATIENCE: u64 = 3000 * MS;
/// How often a change from the plan is tried.
const TRIES: u32 = 20;

/// One thing to get done.
#[derive(Clone, Debug)]
struct Task {
    request: Request,
    /// `None`: until it is done.
    tries_left: Option<u32>,
}

/// What is to be done, in order, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Operator {
    tasks: VecDeque<Task>,
    under: Option<(usize, CallId, u64)>,
    calls: u64,
    /// Disks lost whose servers are not replaced yet.
    replacing: Vec<ServerId>,
}

impl Operator {
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// How many of the voters have lost their disk and are not replaced yet.
    pub(super) fn lost_voters(&self, members: &lictor_core::raft::Membership) -> usize {
        self.replacing.iter().filter(|id| members.is_voter(id)).count()
    }

    /// The server that was asked is gone.
    pub(super) fn server_ended(&mut self, slot: usize) {
        self.under.take_if(|(asked, ..)| *asked == slot);
    }
}

impl World {
    pub(super) fn ask_for(&mut self, change: Asked, slot: usize) {
        let id = self.servers[slot].id.clone();
        let change = match change {
            Asked::Add => Change::AddVoter(id),
            Asked::Learn => Change::AddLearner(id),
            Asked::Promote => Change::Promote(id),
            Asked::Demote => Change::Demote(id),
            Asked::Remove => Change::Remove(id),
        };
        self.enqueue(Request::Membership(change), Some(TRIES));
    }

    pub(super) fn ask_for_transfer(&mut self, slot: Option<usize>) {
        let to = slot.map(|slot| self.servers[slot].id.clone());
        self.enqueue(Request::TransferLeadership(to), Some(1));
    }

    /// The leader tells a successor to take over at once, and does not hear that it has: it goes on leading until it
    /// notices that nobody answers.
    pub(super) fn overrule(&mut self) {
        let Some(leader) = self.leader() else { return };
        self.ask(leader, Request::TransferLeadership(None));
        (0..self.servers.len())
            .filter(|other| *other != leader)
            .for_each(|other| self.net.cut(other, leader));
    }

    fn enqueue(&mut self, request: Request, tries_left: Option<u32>) {
        self.operator.tasks.push_back(Task { request, tries_left });
    }

    /// The running server that leads the newest term, as it sees itself.
    pub(super) fn leader(&self) -> Option<usize> {
        self.leader_of(0)
    }

    /// The same in that datacenter.
    pub(super) fn leader_of(&self, centre: usize) -> Option<usize> {
        let here = |slot| self.centre_of(slot) == centre;
        let leads = |s: &&super::server::Server| here(s.slot) && s.is_awake() && s.shown.leads;
        self.servers.iter().filter(leads).max_by_key(|s| s.shown.term).map(|s| s.slot)
    }

    /// The fault atlas: a disk may be lost when the operator is idle, a leader knows the membership to be
    /// committed, and the disks lost so far with this one are a minority of its voters. A disk lost
    /// beyond that could hold the only copy of something acknowledged.
    pub(super) fn can_lose(&self, slot: usize) -> bool {
        let Some(leader) = self.leader() else { return false };
        let Some(process) = &self.servers[leader].up else { return false };
        let status = &process.view.raft.status;
        let voters = &status.membership.voters;
        let lost = self.operator.replacing.iter().filter(|id| voters.contains(*id)).count();
        let committed = status.membership_index <= status.commit_index;
        let id = &self.servers[slot].id;
        committed && self.operator.is_idle() && voters.contains(id) && (lost + 1) * 2 < voters.len()
    }

    /// Takes the lost server out and puts the one with the new disk in its place.
    pub(super) fn replace_member(&mut self, gone: ServerId, slot: usize) {
        self.operator.replacing.push(gone.clone());
        self.enqueue(Request::Membership(Change::Remove(gone)), None);
        let new = server_id(slot, self.servers[slot].incarnation);
        self.enqueue(Request::Membership(Change::AddVoter(new)), None);
        self.heap.push(self.now + 500 * MS, Event::Operator);
        self.start(slot);
    }

    /// Where servers gossip, the leader itself takes the lost server out and lets the new one in.
    pub(super) fn await_replacement(&mut self, gone: ServerId, slot: usize) {
        self.operator.replacing.push(gone);
        self.start(slot);
    }

    /// Forgets lost servers that are members no more.
    fn look_at_replacements(&mut self) {
        let Some(process) = self.leader().and_then(|slot| self.servers[slot].up.as_ref()) else { return };
        let status = &process.view.raft.status;
        if status.membership_index > status.commit_index {
            return;
        }
        let replaced = |id: &ServerId| !status.membership.contains(id);
        let count = self.operator.replacing.iter().filter(|id| replaced(id)).count();
        if count > 0 {
            self.marks.hit(Mark::DiskReplaced);
        }
        self.operator.replacing.retain(|id| status.membership.contains(id));
    }

    pub(super) fn on_operator(&mut self) {
        self.heap.push(self.now + EVERY, Event::Operator);
        if self.gossips() {
            self.look_at_replacements();
        }
        if self.operator.under.is_some_and(|(.., asked)| self.now < asked + PATIENCE) {
            return;
        }
        self.operator.under = None;
        let Some(leader) = self.leader() else { return };
        let Some(task) = self.operator.tasks.front_mut() else { return };
        match &mut task.tries_left {
            Some(0) => {
                self.operator.tasks.pop_front();
                return;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let request = task.request.clone();
        // A second operator, who does not wait for the first: refused while that change is under way.
        let hasty = self.operator.tasks.get(1).map(|task| task.request.clone());
        self.operator.under = Some((leader, CallId(self.operator.calls + 1), self.now));
        self.ask(leader, request);
        if let Some(request @ Request::Membership(_)) = hasty {
            self.ask(leader, request);
        }
    }

    fn ask(&mut self, leader: usize, request: Request) {
        self.operator.calls += 1;
        let call = CallId(self.operator.calls);
        self.line(leader, || format!("operator asks {request:?}"));
        self.feed(leader, Input::Call { from: FrontId(1), call, request });
    }

    pub(super) fn on_operator_reply(&mut self, slot: usize, call: CallId, reply: Reply) {
        if self.operator.under.is_none_or(|(asked, under, _)| (asked, under) != (slot, call)) {
            return;
        }
        self.operator.under = None;
        let Some(task) = self.operator.tasks.front().cloned() else { return };
        let settled = match &reply {
            Reply::Applied { .. } | Reply::Done => {
                self.on_done(&task);
                true
            }
            // In this order the second of two equal changes is no news; the others will never succeed.
            Reply::Failed(CallError::Refused(why)) => {
                why.contains("this role already")
                    || why.contains("no such server")
                    || why.contains("last voter")
            }
            _ => false,
        };
        let once = matches!(task.request, Request::TransferLeadership(_));
        if settled || once {
            self.operator.tasks.pop_front();
            if let Request::Membership(Change::Remove(id)) = &task.request {
                self.operator.replacing.retain(|gone| gone != id);
            }
        }
        self.line(slot, || format!("operator hears {reply:?}"));
    }

    fn on_done(&mut self, task: &Task) {
        match &task.request {
            Request::TransferLeadership(_) => self.marks.hit(Mark::Transferred),
            Request::Membership(change) => {
                self.marks.hit(Mark::MembershipChanged);
                if !self.net.is_whole() {
                    self.marks.hit(Mark::MembershipUnderPartition);
                }
                if let Change::AddVoter(id) = change
                    && self.servers.iter().any(|s| s.id == *id && s.incarnation > 0)
                {
                    self.marks.hit(Mark::DiskReplaced);
                }
            }
            _ => {}
        }
    }

    /// After the faults: every founder's place votes again, nobody else does.
    pub(super) fn restore_membership(&mut self) {
        let Some(process) = self.leader().and_then(|slot| self.servers[slot].up.as_ref()) else { return };
        if !self.operator.is_idle() {
            return;
        }
        let membership = process.view.raft.status.membership.clone();
        let founders = self.plan.knobs.servers as usize;
        let wanted: Vec<ServerId> = self.servers.iter().take(founders).map(|s| s.id.clone()).collect();
        let missing = wanted.iter().find(|id| !membership.voters.contains(*id));
        let surplus =
            membership.voters.iter().chain(&membership.learners).find(|id| !wanted.contains(id)).cloned();
        let change = match (missing, surplus) {
            (Some(id), _) => Change::AddVoter(id.clone()),
            (None, Some(id)) => Change::Remove(id),
            (None, None) => return,
        };
        self.enqueue(Request::Membership(change), Some(3));
    }
}
