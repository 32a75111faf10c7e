//! Every command a raft log entry can carry, and its encoding.
//!
//! A command is one type byte (Consul's message types) and one msgpack value with Consul's field names. Fields that say
//! nothing are left out of records, which have many; readers take them for zero. Whatever needs a clock or randomness
//! was drawn by the proposer and is
//! carried inside; `apply` has neither.

use crate::Str;
use crate::types::{
    AutopilotConfig, HealthCheck, KvEntry, KvOp, Locality, Node, NodeCoordinate, NodeService, PreparedQuery,
    Session,
};
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

/// One replicated change.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Adds or updates a node and, with it, a service and checks. Type 0.
    Register(Box<Register>),
    /// Removes a check, a service or a node. Type 1.
    Deregister(Deregister),
    /// One key operation. Type 2.
    Kv(KvCommand),
    /// Creates or destroys a session. Type 3.
    Session(Box<SessionCommand>),
    /// Forgets tombstones up to an index. Type 5.
    ReapTombstones(ReapTombstones),
    /// Where nodes are. Type 6.
    Coordinates(Vec<NodeCoordinate>),
    /// Writes or removes a prepared query. Type 7.
    PreparedQuery(Box<QueryCommand>),
    /// Several operations, all or none. Type 8.
    Txn(Txn),
    /// The settings of autopilot. Type 9.
    Autopilot(Box<SetAutopilot>),
    /// A part of an archive that takes the place of everything. Type 29.
    Restore(RestorePart),
}

/// `Catalog.Register` (message type 0).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)] // the names are Consul's, the meanings those of `Node`
pub struct Register {
    pub datacenter: alloc::string::String,
    #[serde(rename = "ID")]
    pub id: alloc::string::String,
    pub node: alloc::string::String,
    pub address: alloc::string::String,
    #[serde(serialize_with = "nil_if_empty")]
    pub tagged_addresses: BTreeMap<Str, Str>,
    #[serde(serialize_with = "nil_if_empty")]
    pub node_meta: BTreeMap<Str, Str>,
    pub service: Option<NodeService>,
    pub check: Option<HealthCheck>,
    pub checks: Vec<HealthCheck>,
    pub locality: Option<Locality>,
    /// Leave an existing node as it is; only its service and checks are written.
    pub skip_node_update: bool,
    pub peer_name: alloc::string::String,
    /// Of the node, in snapshots only; a command's is not read.
    pub create_index: u64,
    /// Of the node, in snapshots only; a command's is not read.
    pub modify_index: u64,
}

/// Servers of Consul show an empty map otherwise than none.
fn nil_if_empty<S: Serializer>(map: &BTreeMap<Str, Str>, s: S) -> Result<S::Ok, S::Error> {
    if map.is_empty() { s.serialize_none() } else { map.serialize(s) }
}

/// `Catalog.Deregister`: the check if one is named, else the service, else the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Deregister {
    pub datacenter: alloc::string::String,
    pub node: alloc::string::String,
    #[serde(rename = "ServiceID")]
    pub service_id: alloc::string::String,
    #[serde(rename = "CheckID")]
    pub check_id: alloc::string::String,
    pub peer_name: alloc::string::String,
}

/// `KVS.Apply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KvCommand {
    /// The verb.
    pub op: KvOp,
    /// Key, value, flags, session; `modify_index` is the index to compare with, for the CAS verbs.
    pub dir_ent: KvEntry,
}

/// `Session.Apply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionCommand {
    /// Datacenter.
    #[serde(default)]
    pub datacenter: Str,
    /// What to do.
    pub op: SessionOp,
    /// The session; of one to destroy, only its ID counts.
    pub session: Session,
}

/// What to do with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionOp {
    /// Create it.
    Create,
    /// Destroy it.
    Destroy,
}

/// Forgets the tombstones of keys deleted at or before an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ReapTombstones {
    /// The index.
    pub reap_index: u64,
}

/// `Operator.AutopilotSetConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SetAutopilot {
    /// Datacenter.
    pub datacenter: alloc::string::String,
    /// What is written; its `modify_index` is the index to compare with.
    pub config: AutopilotConfig,
    /// Write only if the index is as given.
    #[serde(rename = "CAS")]
    pub cas: bool,
}

/// `PreparedQuery.Apply`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct QueryCommand {
    /// Datacenter.
    pub datacenter: alloc::string::String,
    /// `create`, `update` or `delete`.
    pub op: alloc::string::String,
    /// The query with its ID, which is all that `delete` looks at.
    pub query: PreparedQuery,
}

/// A part of the state of an archive, which is larger than an entry may be. The last one in order takes effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RestorePart {
    /// Drawn for this restore: parts of another one do not go with it.
    pub id: u64,
    /// Of the part, from 0.
    pub number: u64,
    /// How many parts there are.
    pub of: u64,
    /// The last index that the archive contains.
    pub index: u64,
    /// So much of the state.
    #[serde(with = "crate::wire::raw")]
    pub data: Bytes,
}

impl RestorePart {
    /// Whether nothing is missing behind it.
    pub fn is_last(&self) -> bool {
        self.number + 1 >= self.of
    }
}

/// `Txn.Apply`: at most 128 operations, all or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Txn {
    /// In order.
    pub ops: Vec<TxnOp>,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "wire::Op", into = "wire::Op")]
pub enum TxnOp {
    /// On a key.
    Kv(KvCommand),
    /// On a node.
    Node(CatalogVerb, Box<Node>),
    /// On a service instance of the named node.
    Service(CatalogVerb, Str, Box<NodeService>),
    /// On a check.
    Check(CatalogVerb, Box<HealthCheck>),
}

/// What a transaction does to a catalog record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CatalogVerb {
    /// Read.
    Get,
    /// Write.
    Set,
    /// Write if the index is as given.
    Cas,
    /// Remove.
    Delete,
    /// Remove if the index is as given.
    DeleteCas,
}

impl CatalogVerb {
    /// Everything but a read.
    pub fn writes(self) -> bool {
        self != CatalogVerb::Get
    }
}

/// Why bytes are not a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No bytes at all.
    Empty,
    /// A type byte this version does not know; the log was written by a newer version.
    UnknownType(u8),
    /// The body is not what its type says.
    Body(alloc::string::String),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DecodeError::Empty => f.write_str("empty command"),
            DecodeError::UnknownType(t) => write!(f, "unknown command type {t}"),
            DecodeError::Body(why) => write!(f, "malformed command: {why}"),
        }
    }
}

impl Command {
    /// The log form.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(if matches!(self, Command::Register(_)) { 640 } else { 192 });
        match self {
            Command::Register(c) => put(&mut out, 0, c),
            Command::Deregister(c) => put(&mut out, 1, c),
            Command::Kv(c) => put(&mut out, 2, c),
            Command::Session(c) => put(&mut out, 3, c),
            Command::ReapTombstones(c) => put(&mut out, 5, c),
            Command::Coordinates(c) => put(&mut out, 6, c),
            Command::PreparedQuery(c) => put(&mut out, 7, c),
            Command::Txn(c) => put(&mut out, 8, c),
            Command::Autopilot(c) => put(&mut out, 9, c),
            Command::Restore(c) => put(&mut out, 29, c),
        }
        Bytes::from(out)
    }

    /// Reads the log form. State unchanged on error; never panics.
    pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        let (kind, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
        Ok(match kind {
            0 => Command::Register(get(body)?),
            1 => Command::Deregister(get(body)?),
            2 => Command::Kv(get(body)?),
            3 => Command::Session(get(body)?),
            5 => Command::ReapTombstones(get(body)?),
            6 => Command::Coordinates(get(body)?),
            7 => Command::PreparedQuery(get(body)?),
            8 => Command::Txn(get(body)?),
            9 => Command::Autopilot(get(body)?),
            29 => Command::Restore(get(body)?),
            other => return Err(DecodeError::UnknownType(*other)),
        })
    }
}

fn put<T: Serialize>(out: &mut Vec<u8>, kind: u8, value: &T) {
    out.push(kind);
    // Whose defaults are zeroes throughout; that of weights, say, is 1.
    let records =
        |name| matches!(name, "Register" | "Deregister" | "Node" | "NodeService" | "HealthCheck" | "KvEntry");
    // What is carried unread may be anything, and is something else than nothing at all.
    let read = |name| !matches!(name, "Proxy" | "Connect");
    msgpack::append_sparse(out, value, records, read);
}

fn get<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, DecodeError> {
    msgpack::from_slice(body).map_err(|e| DecodeError::Body(alloc::format!("{e}")))
}

/// A transaction's operation as Consul writes it: one of several optional parts.
mod wire {
    use super::{CatalogVerb, KvCommand, TxnOp};
    use crate::Str;
    use crate::types::{HealthCheck, KvEntry, KvOp, Node, NodeService};
    use alloc::boxed::Box;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Default, Serialize, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    pub(super) struct Op {
        #[serde(rename = "KV")]
        kv: Option<Kv>,
        node: Option<NodeOp>,
        service: Option<ServiceOp>,
        check: Option<CheckOp>,
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Kv {
        verb: KvOp,
        dir_ent: KvEntry,
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct NodeOp {
        verb: CatalogVerb,
        node: Box<Node>,
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct ServiceOp {
        verb: CatalogVerb,
        node: Str,
        service: Box<NodeService>,
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct CheckOp {
        verb: CatalogVerb,
        check: Box<HealthCheck>,
    }

    impl From<TxnOp> for Op {
        fn from(op: TxnOp) -> Op {
            match op {
                TxnOp::Kv(KvCommand { op, dir_ent }) => {
                    Op { kv: Some(Kv { verb: op, dir_ent }), ..Op::default() }
                }
                TxnOp::Node(verb, node) => Op { node: Some(NodeOp { verb, node }), ..Op::default() },
                TxnOp::Service(verb, node, service) => {
                    Op { service: Some(ServiceOp { verb, node, service }), ..Op::default() }
                }
                TxnOp::Check(verb, check) => Op { check: Some(CheckOp { verb, check }), ..Op::default() },
            }
        }
    }

    impl TryFrom<Op> for TxnOp {
        type Error = &'static str;

        fn try_from(op: Op) -> Result<TxnOp, &'static str> {
            match op {
                Op { kv: Some(Kv { verb, dir_ent }), node: None, service: None, check: None } => {
                    Ok(TxnOp::Kv(KvCommand { op: verb, dir_ent }))
                }
                Op { kv: None, node: Some(o), service: None, check: None } => Ok(TxnOp::Node(o.verb, o.node)),
                Op { kv: None, node: None, service: Some(o), check: None } => {
                    Ok(TxnOp::Service(o.verb, o.node, o.service))
                }
                Op { kv: None, node: None, service: None, check: Some(o) } => {
                    Ok(TxnOp::Check(o.verb, o.check))
                }
                _ => Err("a transaction's operation must be exactly one of KV, Node, Service and Check"),
            }
        }
    }
}
