//! The server port: what a connection is about, by its first byte.

use crate::log::Log;
use crate::peers;
use crate::rt::Rt;
use lictor_core::event::{Event, Level};
use lictor_core::ids::ServerId;
use lictor_core::node::Input;
use lictor_core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// How long a connection may take to say what it is about, as Consul's `rpc_handshake_timeout`.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Takes connections until the process ends.
pub async fn serve<R: Rt>(
    rt: R,
    mut listener: R::Listener,
    own: ServerId,
    inbox: mpsc::Sender<Input>,
    log: Arc<Log>,
) {
    while !inbox.is_closed() {
        match rt.accept(&mut listener).await {
            Ok((connection, from)) => {
                rt.spawn(one(rt.clone(), connection, from, own.clone(), inbox.clone(), log.clone()));
            }
            Err(_) => rt.sleep_until(rt.now().mono + Duration::from_millis(100)).await,
        }
    }
}

async fn one<R: Rt>(
    rt: R,
    mut connection: R::Stream,
    from: SocketAddr,
    own: ServerId,
    inbox: mpsc::Sender<Input>,
    log: Arc<Log>,
) {
    let late = rt.sleep_until(rt.now().mono + HANDSHAKE);
    let first = tokio::select! {
        biased;
        first = connection.read_u8() => first,
        () = late => return,
    };
    let ended = match first {
        Ok(peers::FIRST_BYTE) => peers::receive(rt, connection, &own, inbox).await,
        _ => return,
    };
    if let Err(why) = ended {
        let event = Event::new(Level::Warn, "agent.server.raft", "connection from a server ended");
        log.write(&event.with("from", from.to_string()).with("error", why.to_string()));
    }
}
