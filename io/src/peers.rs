//! Raft's messages between servers, on the server port behind the first byte [`FIRST_BYTE`].
//!
//! A connection carries one direction: whoever has something to say dials. It begins with a greeting that names
//! both ends by their persisted IDs, so that an address that has changed hands is noticed at once, and says where
//! the sender takes answers, for it may have moved before gossip has told; then come frames, each with its length
//! in front.
//!
//! ```text
//!  'L'  version  len to  to ...  len from  from ...  len at  at ...   |  length (4, big-endian)  message ...  |  ...
//! ```
//!
//! Version 1 does not say where.
//!
//! Messages that find no connection, or a full queue, are lost: raft says them again.

use crate::driver::PeerOrder;
use crate::http::ClientLimits;
use crate::rt::Rt;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use lictor_core::ids::ServerId;
use lictor_core::node::Input;
use lictor_core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// What a connection begins with.
pub const FIRST_BYTE: u8 = b'L';
/// The version of greeting and frames, and the oldest that is understood.
const VERSION: u8 = 2;
const OLDEST: u8 = 1;
/// Messages that may wait for one server.
const QUEUE: usize = 1024;
/// The longest message that is taken.
const MAX_MESSAGE: usize = 64 << 20;
/// Bytes read at a time.
const READ: usize = 64 << 10;
/// How long a connection may take to come about, and a greeting to be said.
const GREETING: Duration = Duration::from_secs(5);
/// After a failed dial nothing is tried for so long.
const PAUSE: Duration = Duration::from_millis(100);

struct Link {
    at: SocketAddr,
    queue: mpsc::Sender<Bytes>,
}

/// Who greets: its ID, and where it takes answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its persisted ID.
    pub id: ServerId,
    /// Its server port, as others reach it.
    pub at: SocketAddr,
}

/// Sends what is ordered until the orders end.
pub async fn send<R: Rt>(rt: R, own: Own, mut orders: mpsc::UnboundedReceiver<PeerOrder>) {
    let mut links: BTreeMap<ServerId, Link> = BTreeMap::new();
    while let Some(PeerOrder { to, at, bytes }) = orders.recv().await {
        let fits = links.get(&to).is_some_and(|link| link.at == at && !link.queue.is_closed());
        if !fits {
            let (queue, messages) = mpsc::channel(QUEUE);
            rt.spawn(link(rt.clone(), own.clone(), to.clone(), at, messages));
            links.insert(to.clone(), Link { at, queue });
        }
        if let Some(link) = links.get(&to) {
            // Full: the other side is slow or gone.
            let _ = link.queue.try_send(bytes);
        }
    }
}

/// Dials one server whenever there is something to say.
async fn link<R: Rt>(rt: R, own: Own, to: ServerId, at: SocketAddr, mut messages: mpsc::Receiver<Bytes>) {
    while let Some(first) = messages.recv().await {
        match dial(&rt, &own, &to, at).await {
            Ok(connection) => {
                // Whatever ends it, the next message dials again.
                let _ = talk::<R>(connection, first, &mut messages).await;
                rt.sleep_until(rt.now().mono + PAUSE / 10).await;
            }
            Err(_) => {
                rt.sleep_until(rt.now().mono + PAUSE).await;
                // What was said to nobody in the meantime is old.
                while messages.try_recv().is_ok() {}
            }
        }
    }
}

/// What a connection of `own` to another server begins with.
fn greets(own: &Own, to: &ServerId) -> Vec<u8> {
    let mut greeting = vec![FIRST_BYTE, VERSION];
    for text in [&**to, &*own.id, &*own.at.to_string()] {
        greeting.put_u8(text.len() as u8);
        greeting.extend_from_slice(text.as_bytes());
    }
    greeting
}

async fn dial<R: Rt>(rt: &R, own: &Own, to: &ServerId, at: SocketAddr) -> io::Result<R::Stream> {
    let greet = async {
        let mut connection = rt.connect(at).await?;
        let greeting = greets(own, to);
        connection.write_all(&greeting).await?;
        connection.flush().await?;
        Ok(connection)
    };
    let late = rt.sleep_until(rt.now().mono + GREETING);
    tokio::select! {
        biased;
        connection = greet => connection,
        () = late => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Writes messages, those that have gathered together; ends when the other side does.
async fn talk<R: Rt>(
    mut connection: R::Stream,
    first: Bytes,
    messages: &mut mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut out = BytesMut::new();
    let mut next = Some(first);
    let mut nothing = [0; 1];
    loop {
        while let Some(message) = next {
            out.put_u32(message.len() as u32);
            out.extend_from_slice(&message);
            next = if out.len() < READ { messages.try_recv().ok() } else { None };
        }
        connection.write_all(&out).await?;
        connection.flush().await?;
        out.clear();
        next = tokio::select! {
            biased;
            message = messages.recv() => match message {
                Some(message) => Some(message),
                None => return Ok(()),
            },
            // The other side says nothing here: it has closed.
            _ = connection.read(&mut nothing) => return Ok(()),
        };
    }
}

/// Takes messages off a connection whose first byte has been read, until it ends. The error is for the log. What has
/// come of a large message is counted in `memory`.
///
/// # Errors
/// The greeting is not for this server, or not one; a message is too long, or there is no memory for it: these are of
/// the kind `InvalidData`. Or the connection fails.
pub async fn receive<R: Rt>(
    rt: R,
    mut connection: R::Stream,
    own: &ServerId,
    inbox: mpsc::Sender<Input>,
    memory: &ClientLimits,
) -> io::Result<()> {
    let late = rt.sleep_until(rt.now().mono + GREETING);
    let (from, at) = tokio::select! {
        biased;
        greeted = greeting(&mut connection, own) => greeted?,
        () = late => return Err(io::ErrorKind::TimedOut.into()),
    };
    if let Some(at) = at {
        let _ = inbox.send(Input::PeerAt { from: from.clone(), at }).await;
    }
    let ended = messages::<R>(&mut connection, &from, &inbox, memory).await;
    let _ = inbox.send(Input::PeerLost { from }).await;
    ended
}

/// Hands in what a greeted connection says.
async fn messages<R: Rt>(
    connection: &mut R::Stream,
    from: &ServerId,
    inbox: &mpsc::Sender<Input>,
    memory: &ClientLimits,
) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    let mut room = None;
    loop {
        while bytes.len() >= 4 {
            let len = (&bytes[..4]).get_u32() as usize;
            if len > MAX_MESSAGE {
                return Err(bad(format!("a message of {len} bytes is too long")));
            }
            if bytes.len() < 4 + len {
                break;
            }
            bytes.advance(4);
            let message = take(&mut bytes, len);
            if inbox.send(Input::Peer { from: from.clone(), bytes: message }).await.is_err() {
                return Ok(());
            }
        }
        if !memory.hold_calls(&mut room, bytes.len()) {
            return Err(bad("too many large messages at once".into()));
        }
        bytes.reserve(READ);
        if connection.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

/// The next message off the front. What is small is copied: an entry of the log that it carries may be kept for long,
/// and would keep the whole buffer that it was read into.
fn take(bytes: &mut BytesMut, len: usize) -> Bytes {
    if len >= READ / 4 {
        return bytes.split_to(len).freeze();
    }
    let message = Bytes::copy_from_slice(&bytes[..len]);
    bytes.advance(len);
    message
}

async fn greeting<S: AsyncRead + Unpin>(
    connection: &mut S,
    own: &ServerId,
) -> io::Result<(ServerId, Option<SocketAddr>)> {
    let version = connection.read_u8().await?;
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(bad(format!("version {version} of the server protocol is not known here")));
    }
    let to = name(connection).await?;
    let from = name(connection).await?;
    let at = match version {
        OLDEST => None,
        _ => Some(name(connection).await?),
    };
    if to != **own {
        return Err(bad(format!("server {from} looks for server {to} here, but this is {own}")));
    }
    let at = at.map(|at| at.parse().map_err(|_| bad(format!("server {from} says no address: {at:?}"))));
    Ok((ServerId::from(from), at.transpose()?))
}

async fn name<S: AsyncRead + Unpin>(connection: &mut S) -> io::Result<String> {
    let mut name = vec![0; usize::from(connection.read_u8().await?)];
    connection.read_exact(&mut name).await?;
    String::from_utf8(name).map_err(|_| bad("a server's ID is no text".into()))
}

fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_greeting_says_who_it_is_from_and_where_it_takes_answers_and_an_older_one_only_who() {
        let own = Own { id: ServerId::from("a"), at: "[::1]:8300".parse().expect("an address") };
        let (to, other) = (ServerId::from("b"), ServerId::from("c"));
        let said = greets(&own, &to);
        assert_eq!(greeting(&mut &said[1..], &to).await.expect("taken"), (own.id, Some(own.at)));
        let refused = greeting(&mut &said[1..], &other).await.expect_err("for another");
        assert!(refused.to_string().contains("looks for server b here, but this is c"), "{refused}");
        let older = [1, 1, b'b', 1, b'a'];
        assert_eq!(greeting(&mut &older[..], &to).await.expect("taken"), (ServerId::from("a"), None));
        for nonsense in [&[3, 1, b'b', 1, b'a'][..], &[2, 1, b'b', 1, b'a', 1, b'x']] {
            assert!(greeting(&mut &nonsense[..], &to).await.is_err());
        }
    }

    #[test]
    fn a_small_message_that_is_kept_keeps_no_buffer() {
        let mut bytes = BytesMut::with_capacity(READ);
        bytes.extend_from_slice(&[7; 100]);
        let buffer = bytes.as_ptr();
        let message = take(&mut bytes, 100);
        bytes.reserve(READ);
        assert_eq!((&message[..], bytes.as_ptr()), (&[7; 100][..], buffer), "another buffer was needed");
    }
}
