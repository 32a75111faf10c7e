//! Small identifying numbers that parts hand each other.

use crate::Str;
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// One request inside one [`crate::front::Front`], chosen by the driver, unique while it lives.
    ReqId
);
number!(
    /// One call from a front (or the agent) to the node; unique per caller while it lives.
    CallId
);
number!(
    /// Which front a call came from and its answer goes to. `0..` as the driver numbers them.
    FrontId
);
number!(
    /// One disk batch in the node's single ordered stream of batches.
    Ticket
);
number!(
    /// One run of one health check.
    RunId
);
number!(
    /// A raft term.
    Term
);
number!(
    /// A raft log index; also the `ModifyIndex` and `X-Consul-Index` that users see, until an archive is restored.
    Index
);

/// One of a node's two gossip pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pool {
    /// The agents and servers of one datacenter.
    Lan,
    /// The servers of all datacenters.
    Wan,
}

/// A server's persisted identity: the node ID (a UUID). An address is only a hint.
pub type ServerId = Str;
