//! Following a service over gRPC, as client agents of Consul do for blocking and cached health reads.
//!
//! An agent asks once and is sent a snapshot, then every change. Nothing is buffered between two changes: a
//! [`Feed`] holds what its peer was told and says what differs from the newest view.
//!
//! | file | decides |
//! |---|---|
//! | `request` | what is asked for, and Consul's words for what cannot be had |
//! | `feed` | which events make the peer's picture equal to the view |
//! | `event` | the messages of events |

mod event;
mod feed;
mod request;

pub use feed::{Feed, Step};
pub use request::{Status, Subscription, Topic};

/// The path of the one call that is known.
pub const PATH: &str = "/subscribe.StateChangeSubscription/Subscribe";
