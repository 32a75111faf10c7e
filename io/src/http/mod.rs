//! HTTP: listeners and connections; every answer comes from a front.

mod access;
mod conn;
mod ending;
mod gzip;
mod limits;
mod lines;
mod names;
mod timer;

pub use limits::ClientLimits;

use crate::front::{self, FrontCell, FrontParts};
use crate::rt::Rt;
use std::sync::Arc;
use std::time::Duration;

/// Limits on what one client may send before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    /// Bytes of request line and headers; more is answered 431.
    pub max_header_bytes: usize,
    /// Bytes of body that are read for any request; more is answered 413.
    pub max_body_bytes: usize,
}

/// How long replies that are already made may take to reach their clients at the end.
const DRAIN: Duration = Duration::from_millis(100);

/// The life of one front: serves its listeners until the node is gone and the last replies had time
/// to leave. Then the caller ends the tasks that are left: connections that are idle or too slow.
pub async fn serve<R: Rt>(
    rt: R,
    parts: FrontParts<R>,
    listeners: Vec<R::Listener>,
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
) {
    for listener in listeners {
        rt.spawn(accept(rt.clone(), listener, parts.cell.clone(), settings, clients.clone()));
    }
    front::run(parts).await;
    rt.sleep_until(rt.now().mono + DRAIN).await;
}

/// Accepts connections until the runtime ends. A failed accept is retried after a pause: the usual
/// cause is a lack of file descriptors, which passes.
async fn accept<R: Rt>(
    rt: R,
    mut listener: R::Listener,
    cell: Arc<FrontCell<R>>,
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
) {
    loop {
        match rt.accept(&mut listener).await {
            Ok((stream, from)) => {
                let task =
                    conn::connection(rt.clone(), stream, from, cell.clone(), settings, clients.clone());
                rt.spawn(task);
            }
            Err(_) => {
                let later = rt.now().mono + Duration::from_millis(100);
                rt.sleep_until(later).await;
            }
        }
    }
}
