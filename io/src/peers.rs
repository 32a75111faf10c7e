//! Raft's messages between servers, on the server port behind the first byte [`FIRST_BYTE`].
//!
//! A connection carries one direction: whoever has something to say dials. It begins with a greeting that names
//! both ends by their persisted IDs, so that an address that has changed hands is noticed at once; then come
//! frames, each with its length in front.
//!
//! ```text
//!  'L'  version  len to  to ...  len from  from ...   |  length (4, big-endian)  message ...  |  ...
//! ```
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// What a connection begins with.
pub const FIRST_BYTE: u8 = b'L';
/// The version of greeting and frames.
const VERSION: u8 = 1;
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

/// Sends what is ordered until the orders end.
pub async fn send<R: Rt>(rt: R, own: ServerId, mut orders: mpsc::UnboundedReceiver<PeerOrder>) {
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
async fn link<R: Rt>(
    rt: R,
    own: ServerId,
    to: ServerId,
    at: SocketAddr,
    mut messages: mpsc::Receiver<Bytes>,
) {
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

async fn dial<R: Rt>(rt: &R, own: &ServerId, to: &ServerId, at: SocketAddr) -> io::Result<R::Stream> {
    let greet = async {
        let mut connection = rt.connect(at).await?;
        let mut greeting = vec![FIRST_BYTE, VERSION];
        for id in [to, own] {
            greeting.put_u8(id.len() as u8);
            greeting.extend_from_slice(id.as_bytes());
        }
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
    let from = tokio::select! {
        biased;
        from = greeting::<R>(&mut connection, own) => from?,
        () = late => return Err(io::ErrorKind::TimedOut.into()),
    };
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

async fn greeting<R: Rt>(connection: &mut R::Stream, own: &ServerId) -> io::Result<ServerId> {
    let version = connection.read_u8().await?;
    if version != VERSION {
        return Err(bad(format!("version {version} of the server protocol is not known here")));
    }
    let to = name::<R>(connection).await?;
    let from = name::<R>(connection).await?;
    if to != **own {
        return Err(bad(format!("server {from} looks for server {to} here, but this is {own}")));
    }
    Ok(ServerId::from(from))
}

async fn name<R: Rt>(connection: &mut R::Stream) -> io::Result<String> {
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
