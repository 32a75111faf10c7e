//! HTTP/2: a PING, and its acknowledgement.

use super::{critical, go_error, passing, tcp, tls};
use h2::{Ping, Reason};
use lictor_core::agent::{CheckOutcome, ProbeTls};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(100);

pub(super) async fn probe(address: &str, with_tls: Option<&ProbeTls>, limit: Duration) -> CheckOutcome {
    let deadline = Instant::now() + limit;
    let no_connection = |why: String| critical(format!("Failed to dial to {address}: {why}"));
    let stream = match tcp::dial(address, deadline).await {
        Ok(stream) => stream,
        Err(why) => return no_connection(why),
    };
    let pinged = match with_tls {
        None => timeout_at(deadline, ping(stream)).await,
        Some(options) => match timeout_at(deadline, tls::handshake(stream, options, address, &[b"h2"])).await
        {
            Ok(Ok(stream)) => timeout_at(deadline, ping(stream)).await,
            Ok(Err(why)) => return no_connection(why),
            Err(_) => return no_connection(go_error::DEADLINE.into()),
        },
    };
    match pinged {
        Ok(Ok(())) => passing("HTTP2 ping was successful"),
        Ok(Err(e)) => critical(format!("HTTP2 ping failed: {}", in_gos_words(&e))),
        Err(_) => critical(format!("HTTP2 ping failed: {}", go_error::DEADLINE)),
    }
}

async fn ping<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<(), h2::Error> {
    let (requests, mut connection) = h2::client::handshake(stream).await?;
    let mut pings = connection.ping_pong().ok_or(Reason::INTERNAL_ERROR)?;
    // The connection moves only while it is polled; when it ends first, there is no answer to wait for.
    let answer = tokio::select! {
        biased;
        answer = pings.ping(Ping::opaque()) => answer.map(|_| ()),
        ended = &mut connection => ended.and(Err(Reason::NO_ERROR.into())),
    };
    drop(requests);
    let _ = timeout(GOODBYE, connection).await;
    answer
}

fn in_gos_words(e: &h2::Error) -> String {
    match (e.get_io(), e.reason()) {
        (Some(io), _) if io.kind() == std::io::ErrorKind::UnexpectedEof => "unexpected EOF".into(),
        (Some(io), _) => tls::alert(io).unwrap_or_else(|| go_error::cause(io)),
        // What answers in HTTP/1 looks like a frame of two gigabytes.
        (None, Some(Reason::FRAME_SIZE_ERROR)) => "http2: frame too large".into(),
        (None, Some(Reason::NO_ERROR)) => "EOF".into(),
        (None, _) => e.to_string(),
    }
}
