//! The server port: connections of agents and of other servers.
//!
//! The first byte of a connection says what it is for.
//!
//! | file | decides |
//! |---|---|
//! | `calls` | the life of a connection of calls |
//! | [`client`] | the other end: the calls of a client agent |
//! | `subscribe` | the same of gRPC, on which client agents follow services |
//! | `snapshot` | both ends of a connection that carries a snapshot |
//! | `grpc` | its frames and its end |
//! | `refused` | how often the log hears of a peer that is sent away |

mod calls;
pub mod client;
mod grpc;
mod refused;
mod snapshot;
mod subscribe;

pub use refused::Refused;

use crate::front::FrontCell;
use crate::http::ClientLimits;
use crate::peers;
use crate::rt::Rt;
use lictor_core::event::{Event, Level};
use lictor_core::ids::ServerId;
use lictor_core::metrics::Metric;
use lictor_core::node::Input;
use lictor_core::rpc::FirstByte;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// What the connections that one front answers share.
pub struct Serving<R: Rt> {
    /// The runtime.
    pub rt: R,
    /// Who answers.
    pub cell: Arc<FrontCell<R>>,
    /// Connections for each address, over all fronts.
    pub clients: Arc<ClientLimits>,
    /// Who was sent away, over all fronts.
    pub refused: Arc<Refused>,
    /// This server, for connections of others.
    pub own: ServerId,
    /// Where what other servers say goes.
    pub inbox: mpsc::Sender<Input>,
}

/// Accepts connections until the runtime ends. A failed accept is retried after a pause: the usual
/// cause is a lack of file descriptors, which passes.
pub async fn accept<R: Rt>(mut listener: R::Listener, serving: Arc<Serving<R>>) {
    let rt = &serving.rt;
    loop {
        match rt.accept(&mut listener).await {
            Ok((stream, from)) => rt.spawn(connection(serving.clone(), stream, from)),
            Err(_) => rt.sleep_until(rt.now().mono + Duration::from_millis(100)).await,
        }
    }
}

async fn connection<R: Rt>(serving: Arc<Serving<R>>, mut stream: R::Stream, from: SocketAddr) {
    let Some(_place) = serving.clients.enter(Some(from.ip())) else {
        return serving
            .refuse(from, "too many connections from this address (limits.rpc_max_conns_per_client)");
    };
    serving.cell.count(Metric::RpcAcceptConn);
    let until = serving.rt.now().mono + serving.cell.config().rpc_handshake_timeout;
    let first = tokio::select! {
        biased;
        byte = stream.read_u8() => byte.ok(),
        () = serving.rt.sleep_until(until) => {
            serving.refuse(from, "no byte came that says what the connection is for");
            None
        }
    };
    // Whoever only looks whether the port is open sends nothing.
    let Some(first) = first else { return };
    let why = match FirstByte::of(first) {
        Some(FirstByte::Mux) => match calls::serve(&serving, stream, from).await {
            Ok(()) => return,
            Err(why) => return serving.refuse(from, &why.to_string()),
        },
        Some(FirstByte::Calls) => "calls without multiplexing, which no supported agent makes",
        Some(FirstByte::Raft | FirstByte::RaftForwarding) => {
            "raft of a Consul server, which cannot be a server of this cluster"
        }
        Some(FirstByte::Tls | FirstByte::InsecureTls | FirstByte::NativeTls) => {
            "TLS, which this version does not speak"
        }
        Some(FirstByte::Snapshot) => match snapshot::serve(&serving, stream, from).await {
            Ok(()) => return,
            Err(why) => return serving.refuse(from, &why),
        },
        Some(FirstByte::Grpc) if !serving.cell.config().enable_streaming => {
            "gRPC, which rpc.enable_streaming = false switches off"
        }
        Some(FirstByte::Grpc) => match subscribe::serve(&serving, stream).await {
            Ok(()) => return,
            Err(why) => return serving.refuse(from, why),
        },
        Some(FirstByte::Servers) => return serving.server(stream, from).await,
        Some(FirstByte::OldMux | FirstByte::Gossip) | None => "unrecognized RPC byte",
    };
    serving.refuse(from, &format!("{why} (byte {first:#04x})"));
    let _ = stream.shutdown().await;
}

impl<R: Rt> Serving<R> {
    /// Takes the messages of another server.
    async fn server(&self, stream: R::Stream, from: SocketAddr) {
        match peers::receive(self.rt.clone(), stream, &self.own, self.inbox.clone(), &self.clients).await {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::InvalidData => self.refuse(from, &why.to_string()),
            Err(why) => {
                let event = Event::new(Level::Warn, "agent.server.raft", "connection from a server ended");
                let event = event.with("from", from.to_string()).with("error", why.to_string());
                self.refused.write(self.rt.now().mono, from, &event, self.cell.log());
            }
        }
    }

    fn refuse(&self, from: SocketAddr, why: &str) {
        self.cell.count(Metric::RpcRequestError);
        self.refused.tell(self.rt.now().mono, from, why, self.cell.log());
    }
}
