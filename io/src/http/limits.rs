//! How many connections one client may hold (`limits.http_max_conns_per_client`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by client address, over all listeners.
#[derive(Debug)]
pub struct ClientLimits {
    /// 0: no limit.
    max: AtomicUsize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl ClientLimits {
    /// At most `max` connections for each address; 0 means no limit.
    pub fn new(max: usize) -> Arc<ClientLimits> {
        Arc::new(ClientLimits { max: AtomicUsize::new(max), open: Mutex::new(HashMap::new()) })
    }

    /// A reload changed the limit. Open connections stay.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
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
