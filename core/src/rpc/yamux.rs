//! Many streams over one connection: HashiCorp's yamux, version 0.
//!
//! A [`Session`] is one end of a connection. Hand it what arrived ([`Session::receive`]), carry out
//! what it wants written ([`Session::poll_transmit`]), look at what happened ([`Session::poll_event`])
//! and wake it when it asks ([`Session::poll_timeout`]).
//!
//! Each side may send 256 KiB on a stream before the other has taken any of it; who has taken half of
//! that says so with a window update. A stream is announced by a window update with `SYN`, accepted by
//! one with `ACK`, closed for one direction by `FIN` and thrown away by `RST`.
//!
//! ```text
//!  0       1       2       4               8               12
//!  +-------+-------+-------+---------------+---------------+
//!  |version| type  | flags | stream        | length        |   all big-endian
//!  +-------+-------+-------+---------------+---------------+
//!   0       0 data          0 is the         bytes that follow (data), window added,
//!           1 window        session itself   opaque value (ping), reason (go-away)
//!           2 ping
//!           3 go-away
//! ```

mod frame;
mod session;
mod stream;
#[cfg(test)]
mod tests;

pub use frame::{GoAway, StreamId};
pub use session::{Event, OpenError, Session, SessionError, Side};

use crate::time::Duration;

/// Bytes that one side may send on a stream before the other has taken any.
pub const INITIAL_WINDOW: u32 = 256 * 1024;

/// How often a session asks whether the other end is still there.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long the answer to that may take.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other end may leave its half of a stream open after we have closed ours.
pub const STREAM_CLOSE_TIMEOUT: Duration = Duration::from_secs(300);

/// Streams that one session may have. Consul's agents use one for each call under way.
pub const MAX_STREAMS: usize = 4096;

/// Control frames that may wait to be written; who makes us queue more does not read.
const MAX_CONTROL: usize = 2 * MAX_STREAMS;

/// The longest data frame that we write, so that streams take turns.
const MAX_FRAME: usize = 64 * 1024;
