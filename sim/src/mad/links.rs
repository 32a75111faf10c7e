//! Which machines hear each other, as a real network does it.
//!
//! madsim holds back what goes over a clogged link, but it refuses connections over one at once, shows the end of
//! a connection through it, and takes any amount of bytes. Here a dial waits as Linux's does, the end of a
//! connection is news that travels like any other, and a connection over a cut link takes a window full.
//! A machine without power is cut off from all: nobody hears that its connections are gone.

use madsim::net::{NetSim, TcpStream};
use madsim::task::NodeId;
use madsim::time::{Sleep, sleep};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a connection over a cut link takes before it takes no more.
const WINDOW: usize = 256 << 10;
/// How often a connection that waits looks whether its link is mended: time is a timer's, not a notice's, so that
/// nothing hears of it at once.
const LOOK: Duration = Duration::from_millis(20);

/// The links of a world. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Links(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    machines: BTreeMap<IpAddr, NodeId>,
    /// One way each.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Machines without power.
    dark: BTreeSet<NodeId>,
    /// Of a thousand datagrams so many are lost.
    lost: u64,
}

impl Links {
    /// A machine has this address, and no other from now on.
    pub fn place(&self, machine: NodeId, ip: IpAddr) {
        let mut state = self.state();
        state.machines.retain(|_, known| *known != machine);
        state.machines.insert(ip, machine);
    }

    /// Nothing of what `from` sends reaches `to`.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.state().cut.insert((from, to));
        NetSim::current().clog_link(from, to);
    }

    /// It does again.
    pub fn mend(&self, from: NodeId, to: NodeId) {
        self.state().cut.remove(&(from, to));
        NetSim::current().unclog_link(from, to);
    }

    /// All cut links are mended.
    pub fn mend_all(&self) {
        let cut = std::mem::take(&mut self.state().cut);
        cut.into_iter().for_each(|(from, to)| NetSim::current().unclog_link(from, to));
    }

    /// The machine is off.
    pub fn darken(&self, machine: NodeId) {
        self.state().dark.insert(machine);
        NetSim::current().clog_node(machine);
    }

    /// The machine is on, as it is from the beginning.
    pub fn light(&self, machine: NodeId) {
        if self.state().dark.remove(&machine) {
            NetSim::current().unclog_node(machine);
        }
    }

    /// Of a thousand datagrams `thousandth` are lost from now on, everywhere.
    pub fn lose(&self, thousandth: u64) {
        self.state().lost = thousandth;
    }

    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Whether both hear each other.
    pub(super) fn open(&self, near: NodeId, far: IpAddr) -> bool {
        let state = self.state();
        let Some(far) = state.machines.get(&far) else { return false };
        let cut = |from, to| state.cut.contains(&(from, to));
        !cut(near, *far) && !cut(*far, near) && !state.dark.contains(far) && !state.dark.contains(&near)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose end cannot be seen through a cut link.
#[derive(Debug)]
pub struct Wire {
    inner: TcpStream,
    links: Links,
    near: NodeId,
    far: IpAddr,
    /// The other side has closed.
    ended: bool,
    /// Written since the link was cut.
    taken: usize,
    read_again: Option<Pin<Box<Sleep>>>,
    write_again: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(inner: TcpStream, links: Links, near: NodeId, far: IpAddr) -> Wire {
        Wire { inner, links, near, far, ended: false, taken: 0, read_again: None, write_again: None }
    }

    fn is_open(&self) -> bool {
        self.links.open(self.near, self.far)
    }
}

/// Waits for the next look.
fn wait(timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    ready!(timer.get_or_insert_with(|| Box::pin(sleep(LOOK))).as_mut().poll(cx));
    *timer = None;
    Poll::Ready(())
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ended {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            self.ended = true;
        }
        while !self.is_open() {
            ready!(wait(&mut self.read_again, cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        while !self.is_open() && self.taken >= WINDOW {
            ready!(wait(&mut self.write_again, cx));
        }
        self.taken = if self.is_open() { 0 } else { self.taken + buf.len() };
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        // That the other side is gone is not known here yet.
        Poll::Ready(if self.is_open() { flushed } else { Ok(()) })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
