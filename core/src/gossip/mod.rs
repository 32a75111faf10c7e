//! Gossip: who is there, who is not, and what they shout to each other.
//!
//! Memberlist's SWIM with Lifeguard, serf on top of it, Consul's rules on top of that, compatible on the
//! wire with all three.

pub mod wire;
