//! HTTP: listeners and connections; every answer comes from a front.
//!
//! | file | decides |
//! |---|---|
//! | `conn` | the life of a connection while its requests are plain |
//! | `plain` | which requests are plain, and reads them |
//! | `reply` | what is added to an answer, and its bytes |
//! | `gzip` | whether and how bodies are compressed |
//! | `general` | every other connection, by hyper |
//! | `ending`, `timer`, `lines`, `names` | what hyper is told of a connection and its answers |
//! | `limits`, `access` | what a client may hold, and what it leaves in the log |

mod access;
mod conn;
mod ending;
mod general;
mod gzip;
mod limits;
mod lines;
mod names;
pub mod plain;
mod reply;
mod timer;

pub use limits::ClientLimits;

use crate::front::{self, FrontCell, FrontParts};
use crate::rt::Rt;
use hyper::header::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;

/// Limits on what one client may send before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    /// Bytes of request line and headers; more is answered 431.
    pub max_header_bytes: usize,
    /// Bytes of body that are read for any request; more is answered 413.
    pub max_body_bytes: usize,
    /// `http_config.response_headers`; see [`response_headers`].
    pub response_headers: &'static [(&'static str, &'static str)],
}

/// `http_config.response_headers` by the names that go over the wire. What HTTP cannot carry comes back as the second
/// list, to be warned about.
///
/// The headers live as long as the process: a reload does not change them.
pub fn response_headers(
    configured: &BTreeMap<String, String>,
) -> (&'static [(&'static str, &'static str)], Vec<&str>) {
    let (mut ready, mut bad) = (Vec::new(), Vec::new());
    for (name, value) in configured {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(_), Ok(_)) => ready.push((&*canonical(name).leak(), &*value.clone().leak())),
            _ => bad.push(name.as_str()),
        }
    }
    (ready.leak(), bad)
}

/// `x-site` as Go writes it: `X-Site`.
fn canonical(name: &str) -> String {
    let part = |part: &str| match part.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + &rest.to_ascii_lowercase(),
        None => String::new(),
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

/// How long replies that are already made may take to reach their clients at the end.
const DRAIN: Duration = Duration::from_millis(100);

/// What the connections of one front share.
struct Serving<R: Rt> {
    rt: R,
    cell: Arc<FrontCell<R>>,
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
    packed: Mutex<gzip::Packed>,
    date: Mutex<reply::Date>,
}

/// The life of one front: serves its listeners and unix sockets until the node is gone and the last replies had time
/// to leave. Then the caller ends the tasks that are left: connections that are idle or too slow.
pub async fn serve<R: Rt>(
    rt: R,
    parts: FrontParts<R>,
    listeners: Vec<R::Listener>,
    sockets: Vec<UnixListener>,
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
) {
    let serving = Arc::new(Serving {
        rt: rt.clone(),
        cell: parts.cell.clone(),
        settings,
        clients,
        packed: Mutex::default(),
        date: Mutex::default(),
    });
    for listener in listeners {
        rt.spawn(accept(listener, serving.clone()));
    }
    for socket in sockets {
        rt.spawn(accept_local(socket, serving.clone()));
    }
    drop(serving);
    front::run(parts).await;
    rt.sleep_until(rt.now().mono + DRAIN).await;
}

/// Accepts connections until the runtime ends. A failed accept is retried after a pause: the usual
/// cause is a lack of file descriptors, which passes.
async fn accept<R: Rt>(mut listener: R::Listener, serving: Arc<Serving<R>>) {
    let rt = &serving.rt;
    loop {
        match rt.accept(&mut listener).await {
            Ok((stream, from)) => rt.spawn(conn::connection(serving.clone(), stream, Some(from))),
            Err(_) => pause(rt).await,
        }
    }
}

/// The same for a unix socket.
async fn accept_local<R: Rt>(socket: UnixListener, serving: Arc<Serving<R>>) {
    let rt = &serving.rt;
    loop {
        match socket.accept().await {
            Ok((stream, _)) => rt.spawn(conn::connection(serving.clone(), stream, None)),
            Err(_) => pause(rt).await,
        }
    }
}

async fn pause<R: Rt>(rt: &R) {
    rt.sleep_until(rt.now().mono + Duration::from_millis(100)).await;
}
