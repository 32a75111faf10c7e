//! Probes: each run reports one outcome, in any case and in time, unless it is cancelled.
//!
//! | probe | passing | warning | critical |
//! |---|---|---|---|
//! | HTTP | 2xx | 429 | everything else |
//! | TCP | connected | | everything else |
//! | gRPC | `SERVING` | | everything else |
//! | script | exit code 0 | exit code 1 | everything else |
//!
//! Texts are Consul's, which prints Go's network errors: see [`go_error`].

mod go_error;
mod grpc;
mod http;
mod output;
mod script;
mod tcp;

use crate::driver::CheckOrder;
use lictor_core::agent::{CheckOutcome, CheckSpec, Probe};
use lictor_core::ids::RunId;
use lictor_core::node::Input;
use lictor_core::types::status;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a probe found.
type Finding = (&'static str, String);

/// Carries out check orders until the node is gone. Needs tokio's network, timers and processes.
pub async fn run(mut orders: mpsc::UnboundedReceiver<CheckOrder>, inbox: mpsc::Sender<Input>) {
    let (done_tx, mut done) = mpsc::unbounded_channel();
    let mut running: HashMap<RunId, JoinHandle<()>> = HashMap::new();
    loop {
        tokio::select! {
            biased;
            Some((run, outcome)) = done.recv() => {
                if running.remove(&run).is_some()
                    && inbox.send(Input::CheckDone { run, outcome }).await.is_err()
                {
                    return;
                }
            }
            order = orders.recv() => match order {
                Some(CheckOrder::Run(run, spec)) => {
                    let done = done_tx.clone();
                    let task = tokio::spawn(async move {
                        let outcome = probe(&spec).await;
                        let _ = done.send((run, outcome));
                    });
                    running.insert(run, task);
                }
                Some(CheckOrder::Cancel(run)) => {
                    if let Some(task) = running.remove(&run) {
                        // Dropping a script's task kills its process group.
                        task.abort();
                    }
                }
                None => return,
            },
        }
    }
}

async fn probe(spec: &Arc<CheckSpec>) -> CheckOutcome {
    let (status, output) = match &spec.probe {
        Probe::Http { .. } => http::probe(spec).await,
        Probe::Tcp { address } => tcp::probe(address, spec.timeout).await,
        Probe::Grpc { .. } => grpc::probe(spec).await,
        Probe::Script { args } => script::probe(args, spec.timeout, spec.output_max).await,
    };
    CheckOutcome { status, output }
}

/// Why a probe over TLS fails in this version: never a pass that was not earned.
const NO_TLS: &str = "checks over TLS are not built into this version";

fn critical(output: impl Into<String>) -> Finding {
    (status::CRITICAL, output.into())
}
