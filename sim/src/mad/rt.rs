//! The drivers' runtime surface on madsim: virtual clock, simulated network, seeded entropy.

use super::links::{Links, Wire};
use lictor_core::rng::Seed;
use lictor_core::time::{Instant, Now, WallTime};
use lictor_io::rt::Rt;
use madsim::net::{TcpListener, TcpStream, UdpSocket};
use madsim::rand::{Rng, RngCore};
use madsim::task::NodeId;
use madsim::time::TimeHandle;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A dial is given up when the pause before the next try would be longer. Linux asks seven times.
const LAST_DIAL: Duration = Duration::from_secs(64);

/// One process's runtime: its monotonic clock starts with it, its wall clock may be wrong.
#[derive(Clone, Debug)]
pub struct MadRt {
    started: Duration,
    wall_offset_ns: i64,
    machine: NodeId,
    links: Links,
}

impl MadRt {
    /// For a process that starts now on `machine`, whose wall clock is ahead by `wall_offset_ns`.
    pub fn start(machine: NodeId, links: Links, wall_offset_ns: i64) -> MadRt {
        MadRt { started: TimeHandle::current().elapsed(), wall_offset_ns, machine, links }
    }
}

impl Rt for MadRt {
    type Stream = Wire;
    type Listener = TcpListener;
    type Udp = Arc<UdpSocket>;

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

    async fn connect(&self, address: SocketAddr) -> io::Result<Wire> {
        let mut pause = Duration::from_secs(1);
        while !self.links.open(self.machine, address.ip()) {
            if pause > LAST_DIAL {
                return Err(io::ErrorKind::TimedOut.into());
            }
            madsim::time::sleep(pause).await;
            pause *= 2;
        }
        let stream = TcpStream::connect(address).await?;
        Ok(Wire::new(stream, self.links.clone(), self.machine, address.ip()))
    }

    async fn udp(&self, address: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        UdpSocket::bind(address).await.map(Arc::new)
    }

    async fn send_to(&self, udp: &Arc<UdpSocket>, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let lost = self.links.lost();
        if lost == 0 || madsim::rand::thread_rng().gen_range(0..1000) >= lost {
            // madsim's takes a millisecond, a real one takes none.
            let (udp, bytes) = (udp.clone(), bytes.to_vec());
            madsim::task::spawn(async move { udp.send_to(to, &bytes).await });
        }
        Ok(bytes.len())
    }

    async fn recv_from(&self, udp: &Arc<UdpSocket>, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(into).await
    }

    async fn resolve(&self, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(madsim::net::lookup_host((host, port)).await?.collect())
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<(Wire, SocketAddr)> {
        let (stream, from) = listener.accept().await?;
        Ok((Wire::new(stream, self.links.clone(), self.machine, from.ip()), from))
    }
}
