//! Parked connections: what a request leaves open is answered for all at once when a `PUT` comes, with
//! one write each. It is what a fan-out costs at least.

use super::Answers;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

const LISTENER: Token = Token(0);

pub(super) fn start(answers: Arc<Answers>) -> io::Result<SocketAddr> {
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    std::thread::spawn(move || serve(poll, &listener, &answers));
    Ok(address)
}

fn serve(mut poll: Poll, listener: &TcpListener, answers: &Answers) {
    let mut open: BTreeMap<usize, TcpStream> = BTreeMap::new();
    let mut parked: Vec<usize> = Vec::new();
    let mut next = 1;
    let mut events = Events::with_capacity(1024);
    let mut buffer = [0; 4096];
    while poll.poll(&mut events, None).is_ok() {
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let _ = stream.set_nodelay(true);
                    if poll.registry().register(&mut stream, Token(next), Interest::READABLE).is_ok() {
                        open.insert(next, stream);
                        next += 1;
                    }
                }
                continue;
            }
            let Token(id) = event.token();
            let Some(stream) = open.get_mut(&id) else { continue };
            let n = match stream.read(&mut buffer) {
                Ok(0) | Err(_) => {
                    open.remove(&id);
                    continue;
                }
                Ok(n) => n,
            };
            parked.push(id);
            if buffer[..n].starts_with(b"PUT") {
                let answer = answers.http.load();
                for id in parked.drain(..) {
                    if let Some(stream) = open.get_mut(&id) {
                        let _ = stream.write(&answer.raw);
                    }
                }
            }
        }
    }
}
