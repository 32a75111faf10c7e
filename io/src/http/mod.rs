//! HTTP: listeners and connections; every answer comes from a front.

mod conn;
mod gzip;
mod limits;
mod timer;

pub use limits::ClientLimits;

use crate::front::FrontCell;
use crate::rt::Rt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Limits on what one client may send before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    /// Bytes of request line and headers; more is answered 431.
    pub max_header_bytes: usize,
    /// Bytes of body that are read for any request; more is answered 413.
    pub max_body_bytes: usize,
}

/// Accepts connections for one front until the listener fails for good.
///
/// # Errors
/// Only what binding reports. A failed accept is retried after a pause: the usual cause is a lack
/// of file descriptors, which passes.
pub async fn serve<R: Rt>(
    rt: R,
    address: SocketAddr,
    cell: Arc<FrontCell<R>>,
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
) -> io::Result<()> {
    let listener = rt.listen(address).await?;
    accept(rt, listener, cell, settings, clients).await;
    Ok(())
}

/// Accepts connections on a listener that is already bound.
pub async fn accept<R: Rt>(
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
                let later = rt.now().mono + std::time::Duration::from_millis(100);
                rt.sleep_until(later).await;
            }
        }
    }
}
