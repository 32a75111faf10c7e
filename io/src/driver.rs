//! The node's driver: wait, hand over one input, carry out the outputs, wait again.
//!
//! One task owns the [`Node`]; in production it has a thread to itself. Nothing here waits for
//! I/O: every order goes to a queue whose owner reports back with an input.

use crate::front::{FrontMailbox, Measure};
use crate::log::Log;
use crate::meter::Meter;
use crate::rt::Rt;
use arc_swap::ArcSwap;
use lictor_core::agent::CheckSpec;
use lictor_core::ids::{RunId, ServerId, Ticket};
use lictor_core::node::{DiskBatch, HaltReason, Input, Node, Output, Reply, StopKind};
use lictor_core::time::Instant;
use lictor_core::view::View;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Inputs that may wait for the node; a front whose call finds the queue full is told "busy".
pub const INBOX: usize = 8192;

/// Queued inputs that are handled before the task yields to its runtime.
const BURST: usize = 128;

/// The newest view, shared by everything that answers reads.
pub type SharedView = Arc<ArcSwap<View>>;

/// An order for the disk task.
#[derive(Debug)]
pub struct DiskOrder {
    /// Its ticket.
    pub ticket: Ticket,
    /// What to write.
    pub batch: DiskBatch,
}

/// An order for the check task.
#[derive(Debug)]
pub enum CheckOrder {
    /// Run a probe and report its outcome.
    Run(RunId, Arc<CheckSpec>),
    /// Kill the run, report nothing.
    Cancel(RunId),
}

/// Where the node's outputs go.
pub struct Hands {
    /// Into the disk task. Raft bounds what is in flight.
    pub disk: mpsc::UnboundedSender<DiskOrder>,
    /// Into the check task. The agent runs each check at most once at a time.
    pub checks: mpsc::UnboundedSender<CheckOrder>,
    /// The fronts, by number.
    pub fronts: Vec<Arc<FrontMailbox>>,
    /// The newest view.
    pub view: SharedView,
    /// Back into the node, for work that is offloaded.
    pub inbox: mpsc::Sender<Input>,
    /// To other servers; `None` where there are none.
    pub peers: Option<mpsc::UnboundedSender<(ServerId, bytes::Bytes)>>,
    /// Reads the configuration files again, away from the node's thread.
    pub read_config: Arc<dyn Fn() -> Input + Send + Sync>,
    /// Adds to a report what all other threads have counted. It waits for them, so the front that asked
    /// does it.
    pub measure: Measure,
    /// The log.
    pub log: Arc<Log>,
}

/// Why the driver returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// As asked. Everything persisted has been handed to the disk.
    Stopped {
        /// Why.
        kind: StopKind,
        /// Exit code.
        code: u8,
    },
    /// The node stopped itself.
    Halted(HaltReason),
    /// Every sender of inputs is gone.
    Abandoned,
}

/// Drives `node` until it stops.
pub async fn drive<R: Rt>(rt: R, mut node: Node, mut inbox: mpsc::Receiver<Input>, hands: Hands) -> Exit {
    let mut meter = Meter::new(rt.now());
    loop {
        if let Some(exit) = carry_out(&rt, &mut node, &hands, &mut meter) {
            return exit;
        }
        let deadline = node.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        let input = tokio::select! {
            biased;
            input = inbox.recv() => match input {
                Some(input) => input,
                None => return Exit::Abandoned,
            },
            () = rt.sleep_until(deadline) => Input::Wake,
        };
        step(&rt, &mut node, &mut meter, input);
        for _ in 0..BURST {
            let Ok(input) = inbox.try_recv() else { break };
            if let Some(exit) = carry_out(&rt, &mut node, &hands, &mut meter) {
                return exit;
            }
            step(&rt, &mut node, &mut meter, input);
        }
    }
}

fn step<R: Rt>(rt: &R, node: &mut Node, meter: &mut Meter, input: Input) {
    let (from, applied) = (rt.now(), node.store().applied());
    meter.sees(from, &input);
    node.handle(from, input);
    meter.stepped(from, rt.now(), node.store().applied() != applied);
}

fn carry_out<R: Rt>(rt: &R, node: &mut Node, hands: &Hands, meter: &mut Meter) -> Option<Exit> {
    while let Some(output) = node.poll_output() {
        match output {
            Output::Reply { to, call, reply } => {
                let Some(front) = hands.fronts.get(to.0 as usize) else { continue };
                match reply {
                    Reply::Metrics(mut report) => {
                        report.add(&meter.recorder);
                        front.report(call, report, hands.measure.clone());
                    }
                    reply => front.reply(call, reply),
                }
            }
            Output::Peer { to, bytes } => {
                if let Some(peers) = &hands.peers {
                    // A closed queue means the process is ending: raft messages may be lost.
                    let _ = peers.send((to, bytes));
                }
            }
            Output::Persist { ticket, batch } => {
                if batch.raft.is_some() {
                    meter.writes(ticket);
                }
                // A closed queue means the disk task has already reported its failure.
                let _ = hands.disk.send(DiskOrder { ticket, batch });
            }
            Output::BuildSnapshot { at, store, .. } => {
                let inbox = hands.inbox.clone();
                rt.offload(move || {
                    let data = store.encode_snapshot();
                    // Full: raft asks again; closed: the process is ending.
                    let _ = inbox.try_send(Input::SnapshotBuilt { at, data });
                });
            }
            Output::RunCheck { run, spec } => {
                let _ = hands.checks.send(CheckOrder::Run(run, spec));
            }
            Output::CancelCheck { run } => {
                let _ = hands.checks.send(CheckOrder::Cancel(run));
            }
            Output::Publish { view, changes } => {
                hands.view.store(view);
                for front in &hands.fronts {
                    front.changed(&changes);
                }
            }
            Output::ReadConfig => {
                let (inbox, read) = (hands.inbox.clone(), hands.read_config.clone());
                rt.offload(move || {
                    let _ = inbox.try_send(read());
                });
            }
            Output::Event(event) => hands.log.write(&event),
            Output::Stopped { kind, code } => return Some(Exit::Stopped { kind, code }),
            Output::Halt { why } => return Some(Exit::Halted(why)),
        }
    }
    None
}
