//! Calls to servers on their RPC port.
//!
//! One connection for each server that is called, made when it is needed and closed when it has been idle for
//! long; on it one yamux session, and one of its streams for each call under way. Snapshots have connections of their
//! own.

mod connection;

use super::snapshot;
use crate::driver::CallOrder;
use crate::rt::Rt;
use lictor_core::node::Input;
use lictor_core::rpc::snapshot::METHOD;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// Carries out calls until the node is gone, and reports [`Input::RpcDone`] for each that is not cancelled.
///
/// The node bounds the calls under way, and so every queue here.
pub async fn call<R: Rt>(rt: R, mut orders: mpsc::UnboundedReceiver<CallOrder>, inbox: mpsc::Sender<Input>) {
    let mut connections: BTreeMap<SocketAddr, mpsc::UnboundedSender<CallOrder>> = BTreeMap::new();
    while let Some(mut order) = orders.recv().await {
        if let CallOrder::Drop { to } = order {
            // It ends when nobody can order anything of it.
            connections.remove(&to);
            continue;
        }
        if let CallOrder::Make(call) = order {
            if call.method == METHOD {
                rt.spawn(snapshot::ask(rt.clone(), call, inbox.clone()));
                continue;
            }
            order = CallOrder::Make(call);
        }
        if let Some(connection) = connections.get(&order.to()) {
            match connection.send(order) {
                Ok(()) => continue,
                // It has ended meanwhile.
                Err(back) => order = back.0,
            }
        }
        connections.retain(|_, connection| !connection.is_closed());
        if let CallOrder::Cancel { .. } = order {
            continue;
        }
        let (tx, rx) = mpsc::unbounded_channel();
        let to = order.to();
        let _ = tx.send(order);
        connections.insert(to, tx);
        rt.spawn(connection::run(rt.clone(), to, rx, inbox.clone()));
    }
}
