//! What clients may hold of this process: connections for each (`limits.http_max_conns_per_client`),
//! and memory for large request bodies over all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory that request bodies may take before they are handled, over all connections.
const BODY_MEMORY: usize = 128 << 20;
/// The unit in which it is counted.
const UNIT: usize = 1 << 10;

/// Counts over all listeners.
#[derive(Debug)]
pub struct ClientLimits {
    /// In units of [`UNIT`] bytes.
    bodies: Arc<Semaphore>,
    /// 0: no limit.
    max: AtomicUsize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl ClientLimits {
    /// At most `max` connections for each address; 0 means no limit.
    pub fn new(max: usize) -> Arc<ClientLimits> {
        Arc::new(ClientLimits {
            bodies: Arc::new(Semaphore::new(BODY_MEMORY / UNIT)),
            max: AtomicUsize::new(max),
            open: Mutex::new(HashMap::new()),
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

    /// Counts one more connection, or refuses it.
    pub fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Entered> {
        let max = self.max.load(Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_insert(0);
        if max != 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(Entered { limits: self.clone(), client })
    }
}

/// One counted connection; dropping it gives the place back.
#[derive(Debug)]
pub struct Entered {
    limits: Arc<ClientLimits>,
    client: IpAddr,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
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
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = limits.enter(a);
        let second = limits.enter(a);
        assert!(first.is_some() && second.is_some());
        assert!(limits.enter(a).is_none());
        assert!(limits.enter(b).is_some());
        drop(first);
        assert!(limits.enter(a).is_some());
        drop(second);
        assert!(limits.open.lock().unwrap().is_empty(), "nothing is remembered of clients that left");
    }
}
