//! The bare servers: what the machine allows, with nothing of a registry in it.
//!
//! All live in one process, started as `side-by-side floor`. They send bytes that they were given
//! before: `PUT /set/http` takes a whole HTTP answer, `PUT /set/dns` a DNS answer.

pub mod disk;
mod dns;
mod http;
mod parking;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::header::HeaderMap;
use std::io::{self, Read};
use std::sync::Arc;

/// What is sent.
struct Answers {
    http: ArcSwap<HttpAnswer>,
    dns: ArcSwap<Vec<u8>>,
}

/// An HTTP answer, as hyper wants it and as it is on the wire.
#[derive(Default)]
struct HttpAnswer {
    headers: HeaderMap,
    body: Bytes,
    raw: Vec<u8>,
}

/// Runs the bare servers until standard input ends.
///
/// # Errors
/// The system gives no socket or thread.
pub fn run() -> io::Result<()> {
    let answers = Arc::new(Answers {
        http: ArcSwap::from_pointee(HttpAnswer::default()),
        dns: ArcSwap::from_pointee(Vec::new()),
    });
    let http = http::start(answers.clone())?;
    let dns = dns::start(answers.clone())?;
    let parking = parking::start(answers)?;
    println!("{http} {dns} {parking}");
    // The parent holds the other end: when it is gone, so is this process.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
