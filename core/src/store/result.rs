//! What applying a command answers.

use crate::Str;
use crate::rpc::answer;
use crate::types::{HealthCheck, KvEntry, Node, NodeService};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The store's answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// Done; there is nothing to say.
    Ok,
    /// A conditional write (compare-and-set, lock, unlock) took place or not.
    Bool(bool),
    /// The session of this ID was created.
    Session(Str),
    /// The prepared query of this ID was written or removed.
    Query(Str),
    /// A transaction's results, or why it did nothing.
    Txn(TxnResult),
    /// Refused; nothing changed. The text is Consul's, whole.
    Error(String),
}

/// The answer to a transaction: `errors` is empty, or nothing was done and `results` is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnResult {
    /// In the order of the operations; some have no result, `get-tree` has many.
    pub results: Vec<TxnItem>,
    /// In the order of the operations.
    pub errors: Vec<TxnError>,
}

/// One result of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum TxnItem {
    /// A key. The value is empty except after `get`, `get-or-empty` and `get-tree`.
    Kv(Arc<KvEntry>),
    /// A node.
    Node(Arc<Node>),
    /// A service instance.
    Service(Arc<NodeService>),
    /// A check.
    Check(Arc<HealthCheck>),
}

/// Why one operation of a transaction failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnError {
    /// Position of the operation, from 0.
    pub op_index: usize,
    /// Consul's text.
    pub what: String,
}

/// What another server answered to a transaction. Results of kinds that are not known here are left out.
impl From<answer::TxnResponse> for TxnResult {
    fn from(told: answer::TxnResponse) -> TxnResult {
        let item = |answer::TxnResult { kv, node, service, check }| {
            let node = node.map(TxnItem::Node);
            kv.map(TxnItem::Kv).or(node).or(service.map(TxnItem::Service)).or(check.map(TxnItem::Check))
        };
        let error = |answer::TxnError { op_index, what }| TxnError { op_index: op_index as usize, what };
        TxnResult {
            results: told.results.into_iter().filter_map(item).collect(),
            errors: told.errors.into_iter().map(error).collect(),
        }
    }
}
