//! Signals become inputs: SIGINT and SIGTERM stop, SIGHUP reloads, SIGUSR1 shows metrics. SIGUSR2 and SIGALRM would
//! end a process that does not look after them, and are ignored.

use crate::log::Log;
use lictor_core::event::{Event, Level};
use lictor_core::ids::{CallId, FrontId};
use lictor_core::node::{Input, Request, StopKind};
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// No front has this number: of a reload by signal the log tells, and metrics go to standard error.
const NOBODY: FrontId = FrontId(u64::MAX);

/// Handlers, installed before anything that a signal should interrupt.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    metrics: Signal,
    ignored: [Signal; 2],
}

impl Signals {
    /// Installs the handlers. Needs a runtime.
    pub(super) fn install() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            metrics: signal(SignalKind::user_defined1())?,
            ignored: [signal(SignalKind::user_defined2())?, signal(SignalKind::alarm())?],
        })
    }

    /// Passes signals on until the node is gone.
    pub(super) async fn pass_on(mut self, inbox: mpsc::Sender<Input>, log: Arc<Log>) {
        let [user, alarm] = &mut self.ignored;
        loop {
            let input = tokio::select! {
                biased;
                _ = self.interrupt.recv() => Input::Stop(StopKind::Interrupt),
                _ = self.terminate.recv() => Input::Stop(StopKind::Terminate),
                _ = self.hangup.recv() => {
                    log.write(&Event::new(Level::Info, "agent", "Caught").with("signal", "hangup"));
                    Input::Call { from: NOBODY, call: CallId(0), request: Request::Reload }
                }
                _ = self.metrics.recv() => {
                    Input::Call { from: NOBODY, call: CallId(0), request: Request::Metrics }
                }
                _ = user.recv() => continue,
                _ = alarm.recv() => continue,
            };
            if inbox.send(input).await.is_err() {
                return;
            }
        }
    }
}
