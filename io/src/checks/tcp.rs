//! TCP: connect and close; with TLS, after the handshake.

use super::{address, critical, go_error, passing, tls};
use lictor_core::agent::{CheckOutcome, ProbeTls};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

pub(super) async fn probe(address: &str, with_tls: Option<&ProbeTls>, limit: Duration) -> CheckOutcome {
    let deadline = Instant::now() + limit;
    let stream = match dial(address, deadline).await {
        Ok(stream) => stream,
        Err(why) => return critical(why),
    };
    let Some(options) = with_tls else { return passing(format!("TCP connect {address}: Success")) };
    match timeout_at(deadline, tls::handshake(stream, options, address, &[])).await {
        Ok(Ok(_)) => passing(format!("TCP+TLS connect {address}: Success")),
        Ok(Err(why)) => critical(why),
        Err(_) => critical(go_error::DEADLINE),
    }
}

/// A connection, or Go's words for why there is none. Each of several addresses gets its share of the
/// time; what is told is why the first one failed.
pub(super) async fn dial(address: &str, deadline: Instant) -> Result<TcpStream, String> {
    let late = || format!("dial tcp {address}: i/o timeout");
    let found = timeout_at(deadline, address::resolve("tcp", address)).await.map_err(|_| late())??;
    let mut why = None;
    for (n, target) in found.iter().enumerate() {
        let share = deadline.saturating_duration_since(Instant::now()) / (found.len() - n) as u32;
        let failed = match timeout(share, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => go_error::dial("tcp", &target.to_string(), &e),
            Err(_) => format!("dial tcp {target}: i/o timeout"),
        };
        why.get_or_insert(failed);
    }
    Err(why.unwrap_or_else(late))
}
