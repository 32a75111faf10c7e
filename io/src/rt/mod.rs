//! The whole runtime surface of the drivers, so that a simulator can supply another one.
//!
//! Channels are tokio's own: they need no reactor and behave the same under both runtimes. Rules
//! that keep a simulated run replayable: every `select!` is `biased`, no `tokio::sync::watch`, no
//! ambient randomness, and every write to a stream is flushed.

mod alarm;
mod tokio_rt;

pub use alarm::Alarm;
pub use tokio_rt::TokioRt;

use lictor_core::rng::Seed;
use lictor_core::time::{Instant, Now};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a driver may ask of its surroundings.
pub trait Rt: Clone + Send + Sync + 'static {
    /// A TCP connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// A TCP listener.
    type Listener: Send + 'static;
    /// A UDP socket.
    type Udp: Send + Sync + 'static;

    /// Both clocks.
    fn now(&self) -> Now;
    /// Fresh entropy.
    fn entropy(&self) -> Seed;
    /// Starts a task; it ends with its process.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
    /// Runs pure, possibly long work away from the caller's thread.
    fn offload(&self, work: impl FnOnce() + Send + 'static);
    /// Returns at or after `deadline`.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static;
    /// Binds a listener; several may share one address where the system allows it.
    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;
    /// Dials; the driver bounds the time.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// Binds a UDP socket, not shared.
    fn udp(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Udp>> + Send;
    /// Sends a datagram.
    fn send_to(
        &self,
        udp: &Self::Udp,
        bytes: &[u8],
        to: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send;
    /// The next datagram: its length and where it came from.
    fn recv_from(
        &self,
        udp: &Self::Udp,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;
    /// The addresses of a host, each with `port`; asked anew every time.
    fn resolve(&self, host: String, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
    /// The next connection.
    fn accept(
        &self,
        listener: &mut Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}
