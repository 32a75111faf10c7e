//! UDP: an empty datagram, and whatever comes back.
//!
//! Consul waits for the answer without a limit, so the check of a silent server keeps its first status for
//! ever. Here the wait ends with the timeout; the status stays all the same, and the next run asks again.

use super::{address, critical, go_error, passing};
use lictor_core::agent::CheckOutcome;
use std::time::Duration;
use tokio::net::UdpSocket;

pub(super) async fn probe(address: &str, limit: Duration) -> CheckOutcome {
    match tokio::time::timeout(limit, ask(address)).await {
        Ok(Ok(())) => passing(format!("UDP connect {address}: Success")),
        Ok(Err(why)) => critical(why),
        Err(_) => CheckOutcome::Nothing,
    }
}

async fn ask(address: &str) -> Result<(), String> {
    let target = address::resolve("udp", address).await?[0];
    let here = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let refused = |e| go_error::dial("udp", &target.to_string(), &e);
    let socket = UdpSocket::bind(here).await.map_err(refused)?;
    socket.connect(target).await.map_err(refused)?;
    let ends = || (socket.local_addr(), socket.peer_addr());
    socket.send(&[]).await.map_err(|e| go_error::on("write", "udp", ends(), &e))?;
    socket.recv(&mut [0]).await.map_err(|e| go_error::on("read", "udp", ends(), &e))?;
    Ok(())
}
