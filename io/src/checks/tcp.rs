//! TCP: connect and close.

use super::{Finding, critical, go_error};
use lictor_core::types::status;
use std::time::Duration;
use tokio::net::TcpStream;

pub(super) async fn probe(address: &str, timeout: Duration) -> Finding {
    match connect(address, timeout).await {
        Ok(_) => (status::PASSING, format!("TCP connect {address}: Success")),
        Err(text) => critical(text),
    }
}

/// A connection, or Go's words for why there is none.
pub(super) async fn connect(address: &str, timeout: Duration) -> Result<TcpStream, String> {
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(go_error::dial(address, &e)),
        Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
    }
}
