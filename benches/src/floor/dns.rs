//! A bare UDP responder: receive, copy the question's number into the answer, send.

use super::Answers;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) fn start(answers: Arc<Answers>) -> io::Result<SocketAddr> {
    let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = socket.local_addr()?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    std::thread::spawn(move || {
        let mut events = Events::with_capacity(8);
        let mut query = [0; 4096];
        let mut reply = Vec::new();
        while poll.poll(&mut events, None).is_ok() {
            loop {
                match socket.recv_from(&mut query) {
                    Ok((n, from)) if n >= 2 => {
                        let answer = answers.dns.load();
                        reply.clear();
                        reply.extend_from_slice(&query[..2]);
                        reply.extend_from_slice(answer.get(2..).unwrap_or(&[]));
                        let _ = socket.send_to(&reply, from);
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    _ => {}
                }
            }
        }
    });
    Ok(address)
}
