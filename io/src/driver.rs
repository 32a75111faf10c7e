//! The node's driver: wait, hand over one input, carry out the outputs, wait again.
//!
//! One task owns the [`Node`]; in production it has a thread to itself. Nothing here waits for
//! I/O: every order goes to a queue whose owner reports back with an input.

mod snapshot;

use crate::front::{FrontMailbox, Measure};
use crate::log::Log;
use crate::meter::Meter;
use crate::rt::{Alarm, Rt};
use crate::storage::Space;
use arc_swap::ArcSwap;
use bytes::Bytes;
use lictor_core::agent::CheckSpec;
use lictor_core::front::dump;
use lictor_core::ids::{Pool, RunId, ServerId, Ticket};
use lictor_core::node::{DiskBatch, HaltReason, Input, NetOrder, Node, Output, Reply, StopKind};
use lictor_core::time::{Instant, Now};
use lictor_core::view::View;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Inputs that may wait for the node; a front whose call finds the queue full is told "busy".
pub const INBOX: usize = 8192;

/// Queued inputs that are handled together: what they lead to shares one order for the disk and one view.
const BURST: usize = 128;

/// The newest view, shared by everything that answers reads.
pub type SharedView = Arc<ArcSwap<View>>;

/// An order for the disk task.
#[derive(Debug)]
pub struct DiskOrder {
    /// The ticket of the last batch.
    pub upto: Ticket,
    /// What to write, in order of the tickets; never empty.
    pub batches: Vec<DiskBatch>,
}

/// An order for the check task.
#[derive(Debug)]
pub enum CheckOrder {
    /// Run a probe and report its outcome.
    Run(RunId, Arc<CheckSpec>),
    /// Kill the run, report nothing.
    Cancel(RunId),
}

/// One message of raft.
#[derive(Debug)]
pub struct PeerOrder {
    /// Whom it is for.
    pub to: ServerId,
    /// Where that server takes RPC.
    pub at: SocketAddr,
    /// The message.
    pub bytes: Bytes,
}

/// Names whose addresses are wanted.
#[derive(Debug)]
pub struct Question {
    /// Its number.
    pub lookup: u64,
    /// Names or addresses, with or without a port.
    pub names: Vec<String>,
    /// The port of those without one.
    pub port: u16,
}

/// What is to be done about a call to a server.
#[derive(Debug)]
pub enum CallOrder {
    /// Make it.
    Make(ServerCall),
    /// Give it up, and report nothing.
    Cancel {
        /// Its number.
        call: u64,
        /// The server's RPC address.
        to: SocketAddr,
    },
    /// Close the connection; what is under way on it is lost.
    Drop {
        /// The server's RPC address.
        to: SocketAddr,
    },
}

impl CallOrder {
    /// The server's RPC address.
    pub fn to(&self) -> SocketAddr {
        match self {
            CallOrder::Make(call) => call.to,
            CallOrder::Cancel { to, .. } | CallOrder::Drop { to } => *to,
        }
    }
}

/// A call to a server.
#[derive(Debug)]
pub struct ServerCall {
    /// Its number.
    pub call: u64,
    /// The server's RPC address.
    pub to: SocketAddr,
    /// `Service.Method`.
    pub method: &'static str,
    /// The encoded arguments.
    pub body: Bytes,
    /// When to give up.
    pub until: Instant,
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
    /// Raft's messages to other servers; `None` where there are none.
    pub peers: Option<mpsc::UnboundedSender<PeerOrder>>,
    /// The sockets of the gossip pools; `None` without gossip.
    pub gossip: Option<mpsc::UnboundedSender<(Pool, NetOrder)>>,
    /// Names to resolve; `None` without gossip.
    pub resolve: Option<mpsc::UnboundedSender<Question>>,
    /// Calls to servers; `None` where none are made.
    pub calls: Option<mpsc::UnboundedSender<CallOrder>>,
    /// Reads the configuration files again, away from the node's thread.
    pub read_config: Arc<dyn Fn() -> Input + Send + Sync>,
    /// Adds to a report what all other threads have counted. It waits for them, so the front that asked
    /// does it.
    pub measure: Measure,
    /// How much room there is for snapshots; `None` where that is not known, or none is kept on a disk.
    pub room: Arc<dyn Fn() -> Option<Space> + Send + Sync>,
    /// Hears that this node has joined others.
    pub ready: Arc<dyn Fn() + Send + Sync>,
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
    let mut since = rt.now();
    let mut meter = Meter::new(since);
    let mut alarm = Alarm::new(rt.clone());
    loop {
        if let Some(exit) = carry_out(&rt, &mut node, &hands, &mut meter, since) {
            return exit;
        }
        alarm.set(node.poll_timeout().unwrap_or(Instant::FAR_FUTURE));
        let input = tokio::select! {
            biased;
            input = inbox.recv() => match input {
                Some(input) => input,
                None => return Exit::Abandoned,
            },
            () = alarm.rings() => Input::Wake,
        };
        since = rt.now();
        let mut next = Some(input);
        let mut room = BURST;
        while let Some(input) = next {
            meter.sees(since, &input);
            node.handle(since, input);
            room -= 1;
            next = if room > 0 { inbox.try_recv().ok() } else { None };
        }
    }
}

/// Carries out what the inputs that were handled at `since` lead to.
fn carry_out<R: Rt>(rt: &R, node: &mut Node, hands: &Hands, meter: &mut Meter, since: Now) -> Option<Exit> {
    let applied = node.store().applied();
    let mut next = node.poll_output();
    meter.stepped(since, rt.now(), node.store().applied() != applied);
    let mut order: Option<DiskOrder> = None;
    let mut exit = None;
    while let Some(output) = next {
        match output {
            Output::Reply { to, call, reply } => match (hands.fronts.get(to.0 as usize), reply) {
                (Some(front), Reply::Metrics(mut report)) => {
                    report.add(&meter.recorder);
                    front.report(call, report, hands.measure.clone());
                }
                (Some(front), reply) => front.reply(call, reply),
                (None, Reply::Metrics(mut report)) => {
                    report.add(&meter.recorder);
                    let (measure, view) = (hands.measure.clone(), hands.view.load_full());
                    rt.offload(move || {
                        measure(&mut report);
                        eprint!("{}", dump(&view, *report));
                    });
                }
                (None, _) => {}
            },
            // A closed queue means that the process is ending: all of these may be lost.
            Output::Peer { to, at, bytes } => {
                if let (Some(peers), Some(at)) = (&hands.peers, at) {
                    let _ = peers.send(PeerOrder { to, at, bytes });
                }
            }
            Output::Gossip { pool, order } => {
                if let Some(gossip) = &hands.gossip {
                    let _ = gossip.send((pool, order));
                }
            }
            Output::Resolve { lookup, names, port } => {
                if let Some(resolve) = &hands.resolve {
                    let _ = resolve.send(Question { lookup, names, port });
                }
            }
            Output::Rpc { call, to, method, body, until } => {
                if let Some(calls) = &hands.calls {
                    let _ = calls.send(CallOrder::Make(ServerCall { call, to, method, body, until }));
                }
            }
            Output::CancelRpc { call, to } => {
                if let Some(calls) = &hands.calls {
                    let _ = calls.send(CallOrder::Cancel { call, to });
                }
            }
            Output::DropRpc { to } => {
                if let Some(calls) = &hands.calls {
                    let _ = calls.send(CallOrder::Drop { to });
                }
            }
            Output::Persist { ticket, batch } => {
                if batch.raft.is_some() {
                    meter.writes(ticket);
                }
                match &mut order {
                    Some(order) => {
                        order.upto = ticket;
                        order.batches.push(batch);
                    }
                    None => order = Some(DiskOrder { upto: ticket, batches: vec![batch] }),
                }
            }
            Output::BuildSnapshot { at, store, .. } => snapshot::build(rt, hands, at, store),
            Output::RunCheck { run, spec } => {
                let _ = hands.checks.send(CheckOrder::Run(run, spec));
            }
            Output::CancelCheck { run } => {
                let _ = hands.checks.send(CheckOrder::Cancel(run));
            }
            Output::Publish { view, changes } => {
                // The disk works while the fronts are told.
                send(hands, &mut order);
                hands.view.store(view);
                for front in &hands.fronts {
                    front.changed(&changes);
                }
            }
            Output::ReadConfig => {
                let read = hands.read_config.clone();
                later(rt, &hands.inbox, move || read());
            }
            Output::Joined => (hands.ready)(),
            Output::Event(event) => hands.log.write(&event),
            Output::Stopped { kind, code } => exit = Some(Exit::Stopped { kind, code }),
            Output::Halt { why } => exit = Some(Exit::Halted(why)),
        }
        next = if exit.is_none() { node.poll_output() } else { None };
    }
    send(hands, &mut order);
    exit
}

/// Does work on a thread of its own, and tells the node what came of it, however long its inbox is full.
fn later<R: Rt>(rt: &R, inbox: &mpsc::Sender<Input>, work: impl FnOnce() -> Input + Send + 'static) {
    let (done, result) = oneshot::channel();
    rt.offload(move || {
        // Nobody waits: the process is ending.
        let _ = done.send(work());
    });
    let inbox = inbox.clone();
    rt.spawn(async move {
        if let Ok(input) = result.await {
            let _ = inbox.send(input).await;
        }
    });
}

fn send(hands: &Hands, order: &mut Option<DiskOrder>) {
    if let Some(order) = order.take() {
        // A closed queue means the disk task has already reported its failure.
        let _ = hands.disk.send(order);
    }
}
