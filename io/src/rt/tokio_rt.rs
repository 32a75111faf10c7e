//! The production runtime: tokio and the system's clocks.

use super::Rt;
use lictor_core::rng::Seed;
use lictor_core::time::{Instant, Now, WallTime};
use std::future::Future;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Silence after which the other side of a connection is asked whether it is still there, and pause between
/// questions.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long another node may leave bytes unacknowledged before the connection is given up. The system's own patience
/// doubles with each try: after a network that was away for half a minute, it waits for up to half a minute more.
#[cfg(target_os = "linux")]
const UNHEARD: Duration = Duration::from_secs(5);

/// The process's monotonic zero.
static START: OnceLock<std::time::Instant> = OnceLock::new();

/// tokio on the current thread's runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioRt;

/// Does work that nobody has done yet.
fn run(work: &Mutex<Option<impl FnOnce()>>) {
    let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(work) = work {
        work();
    }
}

impl Rt for TokioRt {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Udp = UdpSocket;

    fn now(&self) -> Now {
        let start = *START.get_or_init(std::time::Instant::now);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            mono: Instant(start.elapsed().as_nanos() as u64),
            wall: WallTime(i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX)),
        }
    }

    fn entropy(&self) -> Seed {
        let mut seed = [0; 32];
        let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut seed));
        read.expect("the operating system gives entropy");
        Seed(seed)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        let work = Arc::new(Mutex::new(Some(work)));
        let theirs = work.clone();
        // Where there are no more threads to be had it is done here, slowly.
        if std::thread::Builder::new().name("worker".into()).spawn(move || run(&theirs)).is_err() {
            run(&work);
        }
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        let start = *START.get_or_init(std::time::Instant::now);
        let at = start.checked_add(Duration::from_nanos(deadline.0));
        async move {
            match at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        // Every front thread listens on the same address; the kernel spreads connections. The
        // first bind of a process is made without sharing, so that a port held by another program
        // is refused instead of shared: see `agent::ports`.
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections inherit it: the host of an idle one may have gone without a word. Go's default.
        let probes = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        socket.set_tcp_keepalive(&probes)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        TcpListener::from_std(socket.into())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNHEARD));
        Ok(stream)
    }

    async fn udp(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(address).await
    }

    async fn send_to(&self, udp: &UdpSocket, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        udp.send_to(bytes, to).await
    }

    async fn recv_from(&self, udp: &UdpSocket, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(into).await
    }

    async fn resolve(&self, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = listener.accept().await?;
        // Fails for a client that is gone again: its connection will tell.
        let _ = stream.set_nodelay(true);
        Ok((stream, from))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_to_another_node_is_given_up_when_nothing_is_heard_for_seconds() {
        let listener = TokioRt.listen(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let stream = TokioRt.connect(address).await.expect("somebody listens");
        let patience = socket2::SockRef::from(&stream).tcp_user_timeout().expect("the system tells");
        assert_eq!(patience, Some(UNHEARD));
    }
}
