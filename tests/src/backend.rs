//! A service's backend: an HTTP health page whose answer a test can change.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A health page on a port of its own. It ends with the test process.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Where it listens, on loopback.
    pub port: u16,
    well: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl Backend {
    /// A page that answers 200.
    pub fn start() -> Backend {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port for a backend");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let backend =
            Backend { port, well: Arc::new(AtomicBool::new(true)), asked: Arc::new(AtomicU64::new(0)) };
        let shared = backend.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                // A probe's request fits into one read; a TCP probe sends nothing.
                if !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                    continue;
                }
                shared.asked.fetch_add(1, Ordering::Relaxed);
                let status = match shared.well.load(Ordering::Relaxed) {
                    true => "200 OK",
                    false => "503 Service Unavailable",
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage");
                let _ = stream.write_all(head.as_bytes());
            }
        });
        backend
    }

    /// From now on the page answers 200 or 503.
    pub fn set_well(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }

    /// How often the page was asked for.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}
