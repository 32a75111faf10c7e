//! Request bodies, read by Consul's names and limits.

pub(super) mod catalog;
pub(super) mod query;
pub(super) mod session;
pub(super) mod txn;
