//! The drivers' runtime surface on madsim: virtual clock, simulated TCP, seeded entropy.

use lictor_core::rng::Seed;
use lictor_core::time::{Instant, Now, WallTime};
use lictor_io::rt::Rt;
use madsim::net::{TcpListener, TcpStream, UdpSocket};
use madsim::rand::RngCore;
use madsim::time::TimeHandle;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

/// One process's runtime: its monotonic clock starts with it, its wall clock may be wrong.
#[derive(Clone, Copy, Debug)]
pub struct MadRt {
    started: Duration,
    wall_offset_ns: i64,
}

impl MadRt {
    /// For a process that starts now, whose wall clock is ahead by `wall_offset_ns`.
    pub fn start(wall_offset_ns: i64) -> MadRt {
        MadRt { started: TimeHandle::current().elapsed(), wall_offset_ns }
    }
}

impl Rt for MadRt {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Udp = UdpSocket;

    fn now(&self) -> Now {
        let time = TimeHandle::current();
        let wall = time.now_time().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            mono: Instant((time.elapsed() - self.started).as_nanos() as u64),
            wall: WallTime(wall.as_nanos() as i64 + self.wall_offset_ns),
        }
    }

    fn entropy(&self) -> Seed {
        let mut seed = [0; 32];
        madsim::rand::thread_rng().fill_bytes(&mut seed);
        Seed(seed)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        madsim::task::spawn(task);
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        madsim::task::spawn(async move { work() });
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        let left = deadline.since(self.now().mono);
        async move {
            // Beyond that madsim's clock would overflow.
            if left < Duration::from_secs(1 << 30) {
                madsim::time::sleep(left).await;
            } else {
                std::future::pending().await
            }
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }

    async fn udp(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(address).await
    }

    async fn send_to(&self, udp: &UdpSocket, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        udp.send_to(to, bytes).await.map(|()| bytes.len())
    }

    async fn recv_from(&self, udp: &UdpSocket, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(into).await
    }

    async fn resolve(&self, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(madsim::net::lookup_host((host, port)).await?.collect())
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        listener.accept().await
    }
}
