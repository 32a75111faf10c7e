//! What clients may hold of this process: connections for each (`limits.http_max_conns_per_client`),
//! and memory over all, for large request bodies and for large answers that are read slowly. The server port counts
//! its connections and the calls that come in the same way.

use crate::rpc::Refused;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory that request bodies may take before they are handled, over all connections.
const BODY_MEMORY: usize = 128 << 20;
/// Memory that large answers may take until they are sent, over all connections. Half of it is the most that one
/// address gets.
const ANSWER_MEMORY: usize = 512 << 20;
/// Answers up to this many bytes are not counted: so much waits in the system's buffers anyway.
const SMALL_ANSWER: usize = 256 << 10;
/// Memory that calls on the server port may take before they begin, over all connections: the largest that agents make
/// has 64 MiB.
const CALL_MEMORY: usize = 512 << 20;
/// Calls that are coming in on one connection are not counted up to so many bytes.
const SMALL_CALLS: usize = 1 << 20;
/// The unit in which it is counted.
const UNIT: usize = 1 << 10;

/// Counts over all listeners.
#[derive(Debug)]
pub struct ClientLimits {
    /// In units of [`UNIT`] bytes.
    bodies: Arc<Semaphore>,
    /// 0: no limit.
    max: AtomicUsize,
    held: Mutex<Held>,
    /// Who was sent away.
    pub refused: Refused,
}

#[derive(Debug, Default)]
struct Held {
    /// Who has something.
    clients: HashMap<Option<IpAddr>, Client>,
    /// Bytes of large answers, of all clients.
    answers: usize,
}

/// What one address has.
#[derive(Debug, Default)]
struct Client {
    connections: usize,
    /// Bytes of large answers.
    answers: usize,
}

impl ClientLimits {
    /// At most `max` connections for each address; 0 means no limit.
    pub fn new(max: usize) -> Arc<ClientLimits> {
        ClientLimits::of(max, BODY_MEMORY)
    }

    /// The same for the server port.
    pub fn for_calls(max: usize) -> Arc<ClientLimits> {
        ClientLimits::of(max, CALL_MEMORY)
    }

    fn of(max: usize, memory: usize) -> Arc<ClientLimits> {
        Arc::new(ClientLimits {
            bodies: Arc::new(Semaphore::new(memory / UNIT)),
            max: AtomicUsize::new(max),
            held: Mutex::default(),
            refused: Refused::default(),
        })
    }

    /// A reload changed the limit. Open connections stay.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Takes memory for `bytes` more of a body, or refuses. Dropping what is returned gives it back.
    pub fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        self.bodies.clone().try_acquire_many_owned(units).ok()
    }

    /// Makes `room` that of a connection on which `bytes` of calls have come that have not begun; `false` if there is
    /// no memory for them.
    pub fn hold_calls(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(SMALL_CALLS);
        let has = room.as_ref().map_or(0, |room| room.num_permits() * UNIT);
        if wanted == 0 {
            *room = None;
        } else if wanted > has {
            let Some(more) = self.room_for((wanted - has).max(SMALL_CALLS)) else { return false };
            match room {
                Some(room) => room.merge(more),
                None => *room = Some(more),
            }
        }
        true
    }

    /// Counts one more connection, or refuses it. All that come over unix sockets (`None`) are one client.
    pub fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Entered> {
        let max = self.max.load(Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &mut held.clients.entry(client).or_default().connections;
        if max != 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(Entered { limits: self.clone(), client })
    }

    fn give_back(&self, client: Option<IpAddr>, connections: usize, answers: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.answers -= answers;
        if let Some(has) = held.clients.get_mut(&client) {
            has.connections -= connections;
            has.answers -= answers;
            if has.connections == 0 && has.answers == 0 {
                held.clients.remove(&client);
            }
        }
    }
}

/// One counted connection; dropping it gives the place back.
#[derive(Debug)]
pub struct Entered {
    limits: Arc<ClientLimits>,
    client: Option<IpAddr>,
}

impl Entered {
    /// Takes memory for an answer of so many bytes on this connection, or refuses. Dropping what is returned gives it
    /// back.
    pub fn room_for_answer(&self, bytes: usize) -> Option<Answer> {
        let (limits, client) = (self.limits.clone(), self.client);
        let bytes = if bytes <= SMALL_ANSWER { 0 } else { bytes };
        if bytes > 0 {
            let mut held = limits.held.lock().unwrap_or_else(PoisonError::into_inner);
            let before = held.clients.entry(client).or_default().answers;
            // One answer alone may be as large as it is.
            let fits = |held: usize, most: usize| held == 0 || held + bytes <= most;
            if !fits(before, ANSWER_MEMORY / 2) || !fits(held.answers, ANSWER_MEMORY) {
                return None;
            }
            held.answers += bytes;
            held.clients.entry(client).or_default().answers = before + bytes;
        }
        Some(Answer { limits, client, bytes })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.limits.give_back(self.client, 1, 0);
    }
}

/// Memory of one answer; dropping it gives it back.
#[derive(Debug)]
pub struct Answer {
    limits: Arc<ClientLimits>,
    client: Option<IpAddr>,
    bytes: usize,
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.limits.give_back(self.client, 0, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_their_memory_and_give_it_back() {
        let limits = ClientLimits::new(0);
        let most = limits.room_for(BODY_MEMORY - UNIT);
        assert!(most.is_some());
        let last = limits.room_for(1);
        assert!(last.is_some() && limits.room_for(1).is_none());
        drop(most);
        assert!(limits.room_for(BODY_MEMORY - UNIT).is_some());
    }

    #[test]
    fn a_client_over_its_limit_is_refused_until_one_of_its_connections_ends() {
        let limits = ClientLimits::new(2);
        let (a, b) = (Some(IpAddr::from([127, 0, 0, 1])), None);
        let first = limits.enter(a);
        let second = limits.enter(a);
        assert!(first.is_some() && second.is_some());
        assert!(limits.enter(a).is_none());
        assert!(limits.enter(b).is_some());
        drop(first);
        assert!(limits.enter(a).is_some());
        drop(second);
        assert!(limits.held.lock().unwrap().clients.is_empty(), "nothing is remembered of clients that left");
    }

    #[test]
    fn calls_that_come_in_share_their_memory_and_give_it_back() {
        let limits = ClientLimits::for_calls(0);
        let (mut a, mut b) = (None, None);
        for bytes in (0..CALL_MEMORY - SMALL_CALLS).step_by(64 << 10) {
            assert!(limits.hold_calls(&mut a, bytes), "{bytes}");
        }
        assert!(limits.hold_calls(&mut b, SMALL_CALLS), "small ones are not counted");
        assert!(!limits.hold_calls(&mut b, 4 * SMALL_CALLS));
        assert!(limits.hold_calls(&mut a, 0) && a.is_none());
        assert!(limits.hold_calls(&mut b, 4 * SMALL_CALLS));
    }

    #[test]
    fn large_answers_share_their_memory_and_no_client_gets_more_than_half() {
        let limits = ClientLimits::new(0);
        let enter = |n| limits.enter(Some(IpAddr::from([127, 0, 0, n]))).unwrap();
        let (a, b, c) = (enter(1), enter(2), enter(3));
        let first = a.room_for_answer(ANSWER_MEMORY / 2).unwrap();
        assert!(a.room_for_answer(SMALL_ANSWER).is_some(), "small ones are not counted");
        assert!(a.room_for_answer(SMALL_ANSWER + 1).is_none(), "more than half for one address");
        let other = b.room_for_answer(ANSWER_MEMORY / 2).unwrap();
        assert!(c.room_for_answer(SMALL_ANSWER + 1).is_none(), "more than all");
        drop(first);
        assert!(c.room_for_answer(2 * ANSWER_MEMORY).is_none());
        assert!(c.room_for_answer(ANSWER_MEMORY / 2).is_some());
        drop((a, other, b, c));
        let held = limits.held.lock().unwrap();
        assert!(held.clients.is_empty() && held.answers == 0);
    }

    #[test]
    fn one_answer_alone_may_be_larger_than_all_together() {
        let limits = ClientLimits::new(0);
        let client = limits.enter(Some(IpAddr::from([127, 0, 0, 1]))).unwrap();
        let huge = client.room_for_answer(2 * ANSWER_MEMORY).unwrap();
        assert!(client.room_for_answer(SMALL_ANSWER + 1).is_none());
        drop(huge);
        assert!(client.room_for_answer(SMALL_ANSWER + 1).is_some());
    }
}
