//! `PUT /v1/txn`: the body, and what Consul's endpoint checks before anything is replicated.

use super::super::errors::HttpError;
use super::catalog;
use crate::Str;
use crate::command::{CatalogVerb, KvCommand, Txn, TxnOp};
use crate::json::{self, Fields, Struct, Unknown};
use crate::store::TxnError;
use crate::types::decode::locality;
use crate::types::{CheckDefinitionRecord, HealthCheck, KvEntry, KvOp, Node, NodeService};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// The most operations a transaction may have.
pub(in crate::front) const MAX_OPS: usize = 128;

/// A transaction, ready to be read or replicated.
#[derive(Debug)]
pub(in crate::front) struct Parsed {
    pub(in crate::front) txn: Txn,
    /// Nothing in it writes.
    pub(in crate::front) read_only: bool,
    /// What is wrong already; then nothing is replicated.
    pub(in crate::front) errors: Vec<TxnError>,
}

/// One operation as sent; the first of the four that is there counts.
enum Sent {
    Kv(String, KvEntry),
    Node(String, Node),
    Service(String, Str, NodeService),
    Check(String, HealthCheck),
}

/// Reads a body.
pub(in crate::front) fn parse(
    body: &[u8],
    datacenter: &Str,
    kv_max_value_size: usize,
) -> Result<Parsed, HttpError> {
    let mut not_built = Vec::new();
    let value = json::parse_body(body).map_err(HttpError::DecodeTxn)?;
    let read = |f: &mut Fields<'_>| sent(f, &mut not_built);
    let sent = json::decode_list(&value, "api.TxnOps", Struct::of("api", "TxnOp"), Unknown::Refuse, read)
        .map_err(HttpError::DecodeTxn)?;
    if sent.len() > MAX_OPS {
        return Err(HttpError::TooManyOps(sent.len()));
    }
    if let Some(part) = not_built.first() {
        return Err(HttpError::BadRequest(format!("{part} is not built yet in this version of Lictor")));
    }
    let mut parsed = Parsed { txn: Txn::default(), read_only: true, errors: Vec::new() };
    for op in sent.into_iter().flatten() {
        if let Sent::Kv(_, entry) = &op
            && entry.value.len() > kv_max_value_size
        {
            return Err(HttpError::ValueTooLarge {
                key: (*entry.key).into(),
                len: entry.value.len(),
                max: kv_max_value_size,
            });
        }
        parsed.push(op, datacenter);
    }
    Ok(parsed)
}

impl Parsed {
    fn push(&mut self, op: Sent, datacenter: &Str) {
        // Errors count operations that were understood, as their positions in the list do.
        let op_index = self.txn.ops.len() + self.errors.len();
        match checked(op, datacenter) {
            Ok((op, writes)) => {
                self.read_only &= !writes;
                self.txn.ops.push(op);
            }
            Err((what, writes)) => {
                self.read_only &= !writes;
                self.errors.push(TxnError { op_index, what });
            }
        }
    }
}

/// The operation and whether it writes, or what is wrong with it.
fn checked(op: Sent, datacenter: &Str) -> Result<(TxnOp, bool), (String, bool)> {
    let op = match op {
        // A tree without a name is the whole store.
        Sent::Kv(verb, entry) if entry.key.is_empty() && KvOp::named(&verb) != Some(KvOp::DeleteTree) => {
            let writes = KvOp::named(&verb).is_some_and(|op| op.writes());
            return Err(("Must provide key".into(), writes));
        }
        Sent::Kv(verb, entry) => {
            let Some(op) = KvOp::named(&verb) else {
                return Err((format!("unknown KV operation: {verb}"), false));
            };
            TxnOp::Kv(KvCommand { op, dir_ent: entry })
        }
        Sent::Node(verb, node) => TxnOp::Node(catalog_verb("node", &verb)?, Box::new(node)),
        Sent::Service(verb, node, service) => {
            TxnOp::Service(catalog_verb("service", &verb)?, node, Box::new(service))
        }
        Sent::Check(verb, check) => TxnOp::Check(catalog_verb("check", &verb)?, Box::new(check)),
    };
    prepare(op, datacenter)
}

/// Checks an operation and fills in what it leaves out; says whether it writes.
pub(in crate::front) fn prepare(op: TxnOp, datacenter: &Str) -> Result<(TxnOp, bool), (String, bool)> {
    match op {
        TxnOp::Kv(command) => {
            let writes = command.op.writes();
            Ok((TxnOp::Kv(command), writes))
        }
        TxnOp::Node(verb, mut node) => {
            if node.datacenter.is_empty() {
                node.datacenter = datacenter.clone();
            }
            if verb.writes() {
                catalog::prepare_node(&node.id, &node.node).map_err(|what| (what, true))?;
            }
            Ok((TxnOp::Node(verb, node), verb.writes()))
        }
        TxnOp::Service(verb, node, mut service) => {
            if verb.writes() {
                catalog::prepare_service(&mut service).map_err(|what| (what, true))?;
            }
            Ok((TxnOp::Service(verb, node, service), verb.writes()))
        }
        TxnOp::Check(verb, mut check) => {
            if verb.writes() {
                catalog::prepare_check_id(&mut check);
            }
            Ok((TxnOp::Check(verb, check), verb.writes()))
        }
    }
}

fn catalog_verb(kind: &str, verb: &str) -> Result<CatalogVerb, (String, bool)> {
    Ok(match verb {
        "get" => CatalogVerb::Get,
        "set" => CatalogVerb::Set,
        "cas" => CatalogVerb::Cas,
        "delete" => CatalogVerb::Delete,
        "delete-cas" => CatalogVerb::DeleteCas,
        verb => return Err((format!("unknown {kind} operation: {verb}"), true)),
    })
}

fn sent(f: &mut Fields<'_>, not_built: &mut Vec<&'static str>) -> Option<Sent> {
    let kv = f.object("KV", Struct::of("api", "KVTxnOp"), |f| {
        let _partition = (f.string("Namespace"), f.string("Partition"));
        let entry = KvEntry {
            key: f.str("Key"),
            value: Bytes::from(f.base64("Value")),
            flags: f.uint64("Flags"),
            modify_index: f.uint64("Index"),
            session: f.str("Session"),
            ..KvEntry::default()
        };
        Sent::Kv(f.string_of("Verb", "api.KVOp"), entry)
    });
    let node = f.object("Node", Struct::of("api", "NodeTxnOp"), |f| {
        let node = f.part("Node", Struct::of("api", "Node"), node).unwrap_or_default();
        Sent::Node(f.string_of("Verb", "api.NodeOp"), node)
    });
    let service = f.object("Service", Struct::of("api", "ServiceTxnOp"), |f| {
        let service = f.part("Service", Struct::of("api", "AgentService"), |f| {
            let _shown_only = (f.string("ContentHash"), f.string("Datacenter"));
            let _enterprise = (f.string("Namespace"), f.string("Partition"));
            let service = catalog::service(f, not_built);
            // Taken, and kept out of the catalog, as in Consul.
            NodeService { socket_path: Str::default(), locality: None, peer_name: Str::default(), ..service }
        });
        Sent::Service(f.string_of("Verb", "api.ServiceOp"), f.str("Node"), service.unwrap_or_default())
    });
    let check = f.object("Check", Struct::of("api", "CheckTxnOp"), |f| {
        let check = f.part("Check", Struct::of("api", "HealthCheck"), |f| {
            let _enterprise = (f.string("Namespace"), f.string("Partition"));
            let definition = f
                .part("Definition", Struct::aliased_in("api", "HealthCheck"), definition)
                .and_then(CheckDefinitionRecord::shared);
            HealthCheck { definition, ..catalog::bare_check(f) }
        });
        Sent::Check(f.string_of("Verb", "api.CheckOp"), check.unwrap_or_default())
    });
    kv.or(node).or(service).or(check)
}

/// What a transaction may say of how a check is run: less than a registration. Everything else is let through
/// and forgotten, as in Consul.
fn definition(f: &mut Fields<'_>) -> CheckDefinitionRecord {
    f.ignore_unknown();
    // The fields of an old fault of Consul's client library still count, and first.
    let mut either = |old, new| f.opt_duration(old).unwrap_or_else(|| f.duration(new));
    let interval = either("IntervalDuration", "Interval");
    let timeout = either("TimeoutDuration", "Timeout");
    let deregister = either("DeregisterCriticalServiceAfterDuration", "DeregisterCriticalServiceAfter");
    CheckDefinitionRecord {
        http: f.string("HTTP"),
        tls_server_name: f.string("TLSServerName"),
        tls_skip_verify: f.bool("TLSSkipVerify"),
        header: f.string_lists("Header"),
        method: f.string("Method"),
        body: f.string("Body"),
        tcp: f.string("TCP"),
        tcp_use_tls: f.bool("TCPUseTLS"),
        grpc: f.string("GRPC"),
        grpc_use_tls: f.bool("GRPCUseTLS"),
        os_service: f.string("OSService"),
        interval,
        timeout,
        deregister_critical_service_after: deregister,
        session_name: f.string("SessionName"),
        ..CheckDefinitionRecord::default()
    }
}

fn node(f: &mut Fields<'_>) -> Node {
    let _partition = f.string("Partition");
    // Known, and kept out of the catalog, as in Consul.
    let _place = f.object("Locality", Struct::of("api", "Locality"), locality);
    Node {
        id: f.str("ID"),
        node: f.str("Node"),
        address: f.str("Address"),
        datacenter: f.str("Datacenter"),
        peer_name: f.str("PeerName"),
        tagged_addresses: f.string_map("TaggedAddresses").into(),
        meta: f.string_map("Meta").into(),
        locality: None,
        create_index: f.uint64("CreateIndex"),
        modify_index: f.uint64("ModifyIndex"),
    }
}
