//! Signals become inputs: SIGINT and SIGTERM stop, SIGHUP reloads.

use lictor_core::ids::{CallId, FrontId};
use lictor_core::node::{Input, Request, StopKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// No front has this number, so the reply to a reload by signal goes nowhere; the log tells.
const NOBODY: FrontId = FrontId(u64::MAX);

/// Handlers, installed before anything that a signal should interrupt.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Installs the handlers. Needs a runtime.
    pub(super) fn install() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Passes signals on until the node is gone.
    pub(super) async fn pass_on(mut self, inbox: mpsc::Sender<Input>) {
        loop {
            let input = tokio::select! {
                biased;
                _ = self.interrupt.recv() => Input::Stop(StopKind::Interrupt),
                _ = self.terminate.recv() => Input::Stop(StopKind::Terminate),
                _ = self.hangup.recv() => {
                    Input::Call { from: NOBODY, call: CallId(0), request: Request::Reload }
                }
            };
            if inbox.send(input).await.is_err() {
                return;
            }
        }
    }
}
