//! The sockets of the gossip pools: datagrams and short streams, between the machine in core and the network.
//!
//! One task receives datagrams, one accepts connections, one carries out orders, and each connection has one.
//! Datagrams that find the node busy are dropped, as networks do.

use crate::go_error;
use crate::rt::Rt;
use bytes::{Bytes, BytesMut};
use lictor_core::gossip::{Input as Told, Stream};
use lictor_core::ids::Pool;
use lictor_core::node::{Input, NetOrder};
use lictor_core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Connections that others may have open to one pool at once.
const MAX_ACCEPTED: usize = 256;
/// Of them, those of one address: as many as the machine talks with, and as many that are being closed.
const MAX_OF_ADDRESS: usize = 32;
/// Bytes read from a connection at a time.
const READ: usize = 32 << 10;
/// The longest datagram there is.
const DATAGRAM: usize = 64 << 10;
/// How long a connection that is closed here may take to say so itself.
const LINGER: Duration = Duration::from_secs(5);
/// How long a connection may take to come about, and the other side to take what is said to it.
const CONNECT: Duration = Duration::from_secs(10);

/// One pool's sockets, bound.
pub struct Sockets<R: Rt> {
    pool: Pool,
    udp: Arc<R::Udp>,
    listener: R::Listener,
    allowed: Allowed,
}

/// Whose datagrams and connections are looked at at all.
pub type Allowed = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Binds a pool's two sockets.
///
/// # Errors
/// The operating system's, of the socket that could not be bound.
pub async fn bind<R: Rt>(
    rt: &R,
    pool: Pool,
    address: SocketAddr,
    allowed: Allowed,
) -> io::Result<Sockets<R>> {
    let udp = Arc::new(rt.udp(address).await?);
    let listener = rt.listen(address).await?;
    Ok(Sockets { pool, udp, listener, allowed })
}

/// Serves the pools until the orders end.
pub async fn run<R: Rt>(
    rt: R,
    sockets: Vec<Sockets<R>>,
    mut orders: mpsc::UnboundedReceiver<(Pool, NetOrder)>,
    inbox: mpsc::Sender<Input>,
) {
    let mut hands = BTreeMap::new();
    for Sockets { pool, udp, listener, allowed } in sockets {
        let streams = Streams { rt: rt.clone(), pool, inbox: inbox.clone(), ends: BTreeMap::new() };
        let (accepted, new) = mpsc::channel(16);
        rt.spawn(receive(rt.clone(), pool, udp.clone(), inbox.clone(), allowed.clone()));
        rt.spawn(accept(rt.clone(), listener, accepted, allowed));
        hands.insert(pool, (udp, streams, new, 0_u64));
    }
    let mut lan = hands.remove(&Pool::Lan);
    let mut wan = hands.remove(&Pool::Wan);
    let open = Arc::new(Accepted::default());
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some((pool, order)) = order else { return };
                let hand = if pool == Pool::Lan { &mut lan } else { &mut wan };
                match (hand, order) {
                    // Lost, as datagrams may be.
                    (Some((udp, ..)), NetOrder::Packet { to, bytes }) => {
                        let _ = rt.send_to(udp, &bytes, to).await;
                    }
                    (Some((_, streams, ..)), order) => streams.order(order),
                    (None, _) => {}
                }
            }
            new = knock(&mut lan) => adopt(&mut lan, new, &open).await,
            new = knock(&mut wan) => adopt(&mut wan, new, &open).await,
        }
    }
}

type Hand<R> = (Arc<<R as Rt>::Udp>, Streams<R>, mpsc::Receiver<(<R as Rt>::Stream, SocketAddr)>, u64);

async fn knock<R: Rt>(hand: &mut Option<Hand<R>>) -> Option<(R::Stream, SocketAddr)> {
    match hand {
        Some((_, _, new, _)) => match new.recv().await {
            Some(new) => Some(new),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn adopt<R: Rt>(
    hand: &mut Option<Hand<R>>,
    new: Option<(R::Stream, SocketAddr)>,
    open: &Arc<Accepted>,
) {
    let (Some((_, streams, _, count)), Some((connection, from))) = (hand, new) else { return };
    let Some(place) = open.enter(from.ip()) else {
        // Counted when the node has time for it.
        let told = Input::Gossip { pool: streams.pool, input: Told::StreamTurnedAway { from } };
        let _ = streams.inbox.try_send(told);
        return;
    };
    *count += 1;
    let stream = Stream::Accepted(*count);
    let told = Input::Gossip { pool: streams.pool, input: Told::StreamAccepted { stream, from } };
    if streams.inbox.send(told).await.is_ok() {
        streams.start(stream, connection, place);
    }
}

/// The connections that others have open, by address.
#[derive(Default)]
struct Accepted(Mutex<BTreeMap<IpAddr, usize>>);

/// One of them; dropping it gives the place back.
struct Place {
    all: Arc<Accepted>,
    from: IpAddr,
}

impl Accepted {
    fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(&from).copied().unwrap_or(0);
        if own >= MAX_OF_ADDRESS || open.values().sum::<usize>() >= MAX_ACCEPTED {
            return None;
        }
        open.insert(from, own + 1);
        Some(Place { all: self.clone(), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.from) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.from);
            }
        }
    }
}

async fn receive<R: Rt>(rt: R, pool: Pool, udp: Arc<R::Udp>, inbox: mpsc::Sender<Input>, allowed: Allowed) {
    let mut buffer = vec![0; DATAGRAM];
    while !inbox.is_closed() {
        match rt.recv_from(&udp, &mut buffer).await {
            Ok((len, from)) if allowed(from.ip()) => {
                let bytes = Bytes::copy_from_slice(&buffer[..len]);
                // Full: the node is busy, and others will say it again.
                let _ = inbox.try_send(Input::Gossip { pool, input: Told::Packet { from, bytes } });
            }
            Ok(_) => {}
            // An earlier datagram bounced, for the most part.
            Err(_) => rt.sleep_until(rt.now().mono + Duration::from_millis(1)).await,
        }
    }
}

async fn accept<R: Rt>(
    rt: R,
    mut listener: R::Listener,
    accepted: mpsc::Sender<(R::Stream, SocketAddr)>,
    allowed: Allowed,
) {
    loop {
        match rt.accept(&mut listener).await {
            Ok((_, from)) if !allowed(from.ip()) => {}
            Ok(new) => {
                if accepted.send(new).await.is_err() {
                    return;
                }
            }
            // Out of file descriptors, for example.
            Err(_) => rt.sleep_until(rt.now().mono + Duration::from_millis(100)).await,
        }
    }
}

/// What is to be done with one connection.
enum Line {
    Write(Bytes),
    Close,
}

/// The connections of one pool.
struct Streams<R: Rt> {
    rt: R,
    pool: Pool,
    inbox: mpsc::Sender<Input>,
    ends: BTreeMap<Stream, mpsc::UnboundedSender<Line>>,
}

impl<R: Rt> Streams<R> {
    fn order(&mut self, order: NetOrder) {
        match order {
            NetOrder::Packet { .. } => {}
            NetOrder::Open { stream, to } => self.open(stream, to),
            NetOrder::Write { stream, bytes } => self.say(stream, Line::Write(bytes)),
            NetOrder::Close { stream } => {
                self.say(stream, Line::Close);
                self.ends.remove(&stream);
            }
        }
    }

    fn say(&mut self, stream: Stream, line: Line) {
        if let Some(end) = self.ends.get(&stream)
            && end.send(line).is_err()
        {
            // The connection is gone, and the machine has been told.
            self.ends.remove(&stream);
        }
    }

    fn open(&mut self, stream: Stream, to: SocketAddr) {
        self.ends.retain(|_, end| !end.is_closed());
        let (end, lines) = mpsc::unbounded_channel();
        self.ends.insert(stream, end);
        let (rt, pool, inbox) = (self.rt.clone(), self.pool, self.inbox.clone());
        self.rt.spawn(async move {
            let late = rt.sleep_until(rt.now().mono + CONNECT);
            let connected = tokio::select! {
                biased;
                connected = rt.connect(to) => connected,
                () = late => Err(io::ErrorKind::TimedOut.into()),
            };
            match connected {
                Ok(connection) => {
                    let input = Told::StreamOpened { stream };
                    if inbox.send(Input::Gossip { pool, input }).await.is_ok() {
                        serve(rt, pool, stream, connection, lines, inbox).await;
                    }
                }
                Err(why) => {
                    let why = go_error::dial("tcp", &to.to_string(), &why);
                    closed(&inbox, pool, stream, &why).await;
                }
            }
        });
    }

    fn start(&mut self, stream: Stream, connection: R::Stream, place: Place) {
        self.ends.retain(|_, end| !end.is_closed());
        let (end, lines) = mpsc::unbounded_channel();
        self.ends.insert(stream, end);
        let (rt, pool, inbox) = (self.rt.clone(), self.pool, self.inbox.clone());
        self.rt.spawn(async move {
            serve(rt, pool, stream, connection, lines, inbox).await;
            drop(place);
        });
    }
}

async fn closed(inbox: &mpsc::Sender<Input>, pool: Pool, stream: Stream, reason: &str) {
    let input = Told::StreamClosed { stream, reason: reason.to_owned() };
    let _ = inbox.send(Input::Gossip { pool, input }).await;
}

/// One connection, until either side ends it. The machine bounds how long it may take.
async fn serve<R: Rt>(
    rt: R,
    pool: Pool,
    stream: Stream,
    mut connection: R::Stream,
    mut lines: mpsc::UnboundedReceiver<Line>,
    inbox: mpsc::Sender<Input>,
) {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        buffer.reserve(READ);
        tokio::select! {
            biased;
            line = lines.recv() => match line {
                Some(Line::Write(bytes)) => {
                    if let Err(why) = write(&rt, &mut connection, &bytes).await {
                        return closed(&inbox, pool, stream, &why.to_string()).await;
                    }
                }
                Some(Line::Close) | None => return end(rt, connection).await,
            },
            read = connection.read_buf(&mut buffer) => match read {
                Ok(0) => return closed(&inbox, pool, stream, "EOF").await,
                Err(why) => return closed(&inbox, pool, stream, &why.to_string()).await,
                Ok(_) => {
                    let input = Told::StreamBytes { stream, bytes: buffer.split().freeze() };
                    if inbox.send(Input::Gossip { pool, input }).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}

/// Says it all, to somebody who listens: the machine's word to close is not heard meanwhile.
async fn write<R: Rt>(rt: &R, connection: &mut R::Stream, bytes: &[u8]) -> io::Result<()> {
    let sent = async {
        connection.write_all(bytes).await?;
        connection.flush().await
    };
    let late = rt.sleep_until(rt.now().mono + CONNECT);
    tokio::select! {
        biased;
        sent = sent => sent,
        () = late => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Says goodbye and waits for the other side to do the same: closing with bytes unread would take back what was
/// sent last.
async fn end<R: Rt>(rt: R, mut connection: R::Stream) {
    let goodbye = async {
        let _ = connection.shutdown().await;
        let mut rest = [0; 1024];
        while matches!(connection.read(&mut rest).await, Ok(1..)) {}
    };
    let late = rt.sleep_until(rt.now().mono + LINGER);
    tokio::select! {
        biased;
        () = goodbye => {}
        () = late => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::TokioRt;

    #[tokio::test]
    async fn a_connection_whose_other_end_does_not_read_is_given_up() {
        let sockets = bind(&TokioRt, Pool::Lan, ([127, 0, 0, 1], 0).into(), Arc::new(|_| true));
        let sockets = sockets.await.expect("free ports");
        let address = sockets.listener.local_addr().expect("it is bound");
        let (orders, taken) = mpsc::unbounded_channel();
        let (inbox, mut told) = mpsc::channel(16);
        tokio::spawn(run(TokioRt, vec![sockets], taken, inbox));
        let _silent = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let Some(Input::Gossip { input: Told::StreamAccepted { stream, .. }, .. }) = told.recv().await else {
            panic!("no connection")
        };
        let bytes = Bytes::from(vec![0; 64 << 20]);
        orders.send((Pool::Lan, NetOrder::Write { stream, bytes })).expect("it runs");
        let next = tokio::time::timeout(std::time::Duration::from_secs(120), told.recv()).await;
        let Ok(Some(Input::Gossip { input: Told::StreamClosed { stream: closed, reason }, .. })) = next
        else {
            panic!("{next:?}")
        };
        assert_eq!((closed, &*reason), (stream, "timed out"));
    }
}
