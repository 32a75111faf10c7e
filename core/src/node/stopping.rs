//! The end of a node: hand over, tell the others, then stop.
//!
//! | step | ends when |
//! |---|---|
//! | leadership goes to another voter, if this node leads | it is transferred, or 2 s are over |
//! | both pools are left, if this node leaves | both have spread the word, or 10 s are over |
//! | what was accepted is carried out, and nothing more is accepted | nothing is under way, or 1 s is over |

use super::Node;
use super::calls::Caller;
use super::input::StopKind;
use super::output::Output;
use crate::call::{CallError, Reply};
use crate::event::{Event, Level};
use crate::gossip::Input;
use crate::ids::Pool;
use crate::raft::{self, Role};
use crate::time::{Duration, Instant, Now};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

const HANDOVER: Duration = Duration::from_secs(2);
const LEAVING: Duration = Duration::from_secs(10);
const DRAINING: Duration = Duration::from_secs(1);

/// How far it is.
#[derive(Debug)]
pub(super) struct Stopping {
    kind: StopKind,
    leaves: bool,
    /// A signal came while it was leaving.
    cut_short: bool,
    step: Step,
    until: Instant,
    /// Who asked for it; they hear when the pools are left.
    asked: Vec<Caller>,
}

#[derive(Debug)]
enum Step {
    HandOver,
    Leave { pools: BTreeSet<Pool> },
    Drain,
}

impl Stopping {
    /// Whether the others are told that it is meant.
    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }
}

/// The signal's name as Go prints it; `None` for what is no signal.
fn signal(kind: StopKind) -> Option<&'static str> {
    match kind {
        StopKind::Interrupt => Some("interrupt"),
        StopKind::Terminate => Some("terminated"),
        StopKind::Leave => None,
    }
}

impl Node {
    /// Whether nothing new is begun any more.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stopping, Some(Stopping { step: Step::Drain, .. }))
    }

    /// Consul's exit codes: leaving is 0, unless a second signal cuts it short; a server that is interrupted does not
    /// leave and exits 1.
    pub(super) fn stop(&mut self, now: Now, kind: StopKind, asked: Option<Caller>) {
        let leaves = match kind {
            StopKind::Leave => true,
            StopKind::Interrupt => !self.config.skip_leave_on_interrupt,
            StopKind::Terminate => self.config.leave_on_terminate,
        };
        if let Some(stopping) = &mut self.stopping {
            // Asked twice: whoever asks again does not want to wait.
            stopping.until = now.mono;
            if let (Some(signal), true, false) = (signal(kind), stopping.leaves, stopping.cut_short) {
                stopping.cut_short = true;
                let event = Event::new(Level::Info, "agent", "Caught second signal, Exiting");
                self.log(event.with("signal", signal));
            }
            let Some(stopping) = &mut self.stopping else { return };
            stopping.asked.extend(asked);
            return self.go_on_stopping(now);
        }
        if let Some(signal) = signal(kind) {
            self.log(Event::new(Level::Info, "agent", "Caught").with("signal", signal));
        }
        let text = match leaves {
            true => "Gracefully shutting down agent...",
            false => "Graceful shutdown disabled. Exiting",
        };
        self.log(Event::new(Level::Info, "agent", text));
        let leads = self.raft.role() == Role::Leader && self.raft.status().membership.voters.len() > 1;
        let until = now.mono + HANDOVER;
        self.stopping = Some(Stopping {
            kind,
            leaves,
            cut_short: false,
            step: Step::HandOver,
            until,
            asked: asked.into_iter().collect(),
        });
        if leads {
            let call = self.calls.for_raft(Caller::Duty);
            self.to_raft.push_back(raft::Input::TransferLeadership { call, to: None });
        }
    }

    pub(super) fn stopping_until(&self) -> Option<Instant> {
        self.stopping.as_ref().map(|stopping| stopping.until)
    }

    /// A pool has been left.
    pub(super) fn pool_left(&mut self, pool: Pool) {
        if let Some(Stopping { step: Step::Leave { pools }, .. }) = &mut self.stopping {
            pools.remove(&pool);
        }
    }

    /// Takes the next steps that are due. Called when everything that has come is settled.
    pub(super) fn go_on_stopping(&mut self, now: Now) {
        loop {
            let leads = self.raft.role() == Role::Leader && self.raft.status().membership.voters.len() > 1;
            let Some(stopping) = &mut self.stopping else { return };
            let late = stopping.until <= now.mono;
            match &mut stopping.step {
                Step::HandOver if leads && !late => return,
                Step::HandOver if stopping.leaves => {
                    let pools = [Pool::Lan, Pool::Wan].into_iter();
                    let pools: BTreeSet<Pool> =
                        pools.filter(|pool| self.pools.get(*pool).is_some()).collect();
                    stopping.until = now.mono + LEAVING;
                    stopping.step = Step::Leave { pools: pools.clone() };
                    for pool in pools {
                        let call = self.calls.for_raft(Caller::Duty);
                        self.pools.handle(now.mono, pool, Input::Leave { call });
                    }
                    return;
                }
                Step::Leave { pools } if !pools.is_empty() && !late => return,
                Step::HandOver | Step::Leave { .. } => {
                    stopping.step = Step::Drain;
                    stopping.until = now.mono + DRAINING;
                    let (leaves, cut_short) = (stopping.leaves, stopping.cut_short);
                    if leaves {
                        self.forget_members();
                    }
                    // Nobody has begun with what waits for a leader.
                    for (_, call) in self.calls.release() {
                        self.answer(call.from, Reply::Failed(CallError::NoLeader));
                    }
                    if leaves && !cut_short {
                        self.log(Event::new(Level::Info, "agent", "Graceful exit completed"));
                    }
                    self.log(Event::new(Level::Info, "agent", "Requesting shutdown"));
                    self.answer_who_asked();
                }
                Step::Drain => {
                    let quiet = !self.calls.under_way()
                        && !self.router.owes_soon()
                        && self.records.is_empty()
                        && self.after_flush.is_empty();
                    if !quiet && !late {
                        return;
                    }
                    let (kind, code) = (stopping.kind, u8::from(!stopping.leaves || stopping.cut_short));
                    self.answer_who_asked();
                    self.stopping = None;
                    self.halted = true;
                    // The last answers too leave after the view that shows their effect.
                    self.publish();
                    self.outputs.append(&mut self.replies);
                    return self.outputs.push_back(Output::Stopped { kind, code });
                }
            }
        }
    }

    fn answer_who_asked(&mut self) {
        let asked = self.stopping.as_mut().map(|stopping| core::mem::take(&mut stopping.asked));
        for caller in asked.into_iter().flatten() {
            self.answer(caller, Reply::Done);
        }
    }
}
