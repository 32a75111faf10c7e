//! Probes: each run reports one outcome, in any case and in time, unless it is cancelled.
//!
//! | probe | passing | warning | critical |
//! |---|---|---|---|
//! | HTTP | 2xx | 429 | everything else |
//! | TCP, with TLS or without | connected | | everything else |
//! | UDP | any answer | | refused; silence changes nothing |
//! | gRPC | `SERVING` | | everything else |
//! | H2 ping | acknowledged | | everything else |
//! | script, Docker | exit code 0 | exit code 1 | everything else |
//!
//! Texts are Consul's, which prints Go's network errors: see [`go_error`].

mod address;
mod docker;
use crate::go_error;
mod grpc;
mod h2ping;
mod http;
mod output;
mod script;
mod tcp;
mod tls;
mod udp;

use crate::driver::CheckOrder;
use lictor_core::agent::{CheckOutcome, CheckSpec, Probe};
use lictor_core::ids::RunId;
use lictor_core::node::Input;
use lictor_core::types::status;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long an outcome may wait for others, so that the node is woken once for all that ran together.
const GATHER: Duration = Duration::from_millis(5);

/// Carries out check orders until the node is gone. Needs tokio's network, timers and processes.
pub async fn run(mut orders: mpsc::UnboundedReceiver<CheckOrder>, inbox: mpsc::Sender<Input>) {
    let (done_tx, mut done) = mpsc::unbounded_channel();
    let mut running: HashMap<RunId, JoinHandle<()>> = HashMap::new();
    let mut gathered: Vec<Input> = Vec::new();
    let gather = sleep(Duration::ZERO);
    tokio::pin!(gather);
    loop {
        tokio::select! {
            biased;
            Some((run, outcome)) = done.recv() => {
                if running.remove(&run).is_some() {
                    if gathered.is_empty() {
                        gather.as_mut().reset(Instant::now() + GATHER);
                    }
                    gathered.push(Input::CheckDone { run, outcome });
                }
                if !running.is_empty() {
                    continue;
                }
            }
            order = orders.recv() => {
                match order {
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
                }
                continue;
            }
            () = &mut gather, if !gathered.is_empty() => {}
        }
        for input in gathered.drain(..) {
            if inbox.send(input).await.is_err() {
                return;
            }
        }
    }
}

async fn probe(spec: &Arc<CheckSpec>) -> CheckOutcome {
    let (limit, output_max) = (spec.timeout, spec.output_max);
    match &spec.probe {
        Probe::Http { .. } => http::probe(spec).await,
        Probe::Tcp { address, tls } => tcp::probe(address, tls.as_ref(), limit).await,
        Probe::Udp { address } => udp::probe(address, limit).await,
        Probe::Grpc { address, service, tls } => grpc::probe(address, service, tls.as_ref(), limit).await,
        Probe::H2Ping { address, tls } => h2ping::probe(address, tls.as_ref(), limit).await,
        Probe::Script { args } => script::probe(args, limit, output_max).await,
        Probe::Docker { container, args } => docker::probe(container, args, limit, output_max).await,
    }
}

fn found(status: &'static str, output: impl Into<String>) -> CheckOutcome {
    CheckOutcome::Found { status, output: output.into() }
}

fn passing(output: impl Into<String>) -> CheckOutcome {
    found(status::PASSING, output)
}

fn critical(output: impl Into<String>) -> CheckOutcome {
    found(status::CRITICAL, output)
}

#[cfg(test)]
mod tests;
