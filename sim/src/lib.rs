//! The simulator: whole nodes on one event heap, faults, and oracles that judge what clients saw.

pub mod fast;
pub mod gossip;
pub mod mad;
pub mod oracle;
