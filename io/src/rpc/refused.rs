//! Peers that are sent away: the log hears of each once in a while, not of every try.

use crate::log::Log;
use lictor_core::event::{Event, Level};
use lictor_core::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

/// How long the log hears nothing more of a peer.
const QUIET: Duration = Duration::from_secs(60);
/// Peers remembered; those beyond are not told of.
const MAX_PEERS: usize = 1024;

/// Who was told of, and when.
#[derive(Debug, Default)]
pub struct Refused(Mutex<BTreeMap<IpAddr, Instant>>);

impl Refused {
    /// Writes why a peer was sent away, unless the log has heard of it lately.
    pub fn tell(&self, now: Instant, from: SocketAddr, why: &str, log: &Log) {
        self.tell_of("agent.server.rpc", now, from, why, log);
    }

    /// The same of another port.
    pub fn tell_of(&self, part: &'static str, now: Instant, from: SocketAddr, why: &str, log: &Log) {
        let event = Event::new(Level::Warn, part, "connection refused");
        self.write(now, from, &event.with("from", from.to_string()).with("reason", why), log);
    }

    /// Writes something about a peer, unless the log has heard of it lately.
    pub fn write(&self, now: Instant, from: SocketAddr, event: &Event, log: &Log) {
        if self.is_news(now, from.ip()) {
            log.write(event);
        }
    }

    fn is_news(&self, now: Instant, peer: IpAddr) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_PEERS {
            told.retain(|_, at| now.since(*at) < QUIET);
        }
        let lately = told.get(&peer).is_some_and(|at| now.since(*at) < QUIET);
        if lately || told.len() >= MAX_PEERS {
            return false;
        }
        told.insert(peer, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_of_once_a_minute_and_no_more_are_remembered_than_fit() {
        let refused = Refused::default();
        let peer = |i: u32| IpAddr::from(i.to_be_bytes());
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        assert!(refused.is_news(at(0), peer(1)));
        assert!(!refused.is_news(at(59), peer(1)));
        assert!(refused.is_news(at(60), peer(1)));
        for i in 0..5000 {
            refused.is_news(at(60), peer(i));
        }
        assert_eq!(refused.0.lock().unwrap().len(), MAX_PEERS);
        assert!(refused.is_news(at(120), peer(9999)));
    }
}
