//! `PreparedQuery`: searches under a name.

use super::super::api::query::{ID_GIVEN, changed};
use super::super::blocking::{Answer, Body, Cx};
use super::super::errors::HttpError;
use super::super::query::Execution;
use super::result::{Content, Indexed, bytes, indexed, list};
use super::{Failure, Read, Step, decode, refuse_other_datacenter};
use crate::call;
use crate::command::{Command, QueryCommand};
use crate::types::{HealthCheck, Node, NodeService, QueryFound};
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;
use serde::ser::SerializeMap;

/// `PreparedQuery.Apply`: the ID.
pub(super) fn apply(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let command: QueryCommand = decode(arguments)?;
    refuse_other_datacenter(&command.datacenter, &cx.view.config.datacenter)?;
    if command.op == "create" && !command.query.id.is_empty() {
        return Err(HttpError::Failed(ID_GIVEN.into()).into());
    }
    let request = call::Request::Write(Command::PreparedQuery(Box::new(command)));
    Ok(Step::Call(Box::new(request), |reply| Ok(bytes(&*changed(reply)?))))
}

/// `PreparedQuery.List`.
pub(super) static LIST: Read = Read {
    answer: |cx, _| {
        let store = &cx.view.store;
        Ok(indexed(cx, store.queries_index(), "Queries", || list(store.queries())))
    },
    watch: |_| vec![WatchKey::Queries],
    filter: None,
};

/// `PreparedQuery.Get`: a list of one.
pub(super) static GET: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let query = store.query(&args.read.query_id).map_err(HttpError::Query)?;
        let query = query.ok_or(HttpError::QueryNotFound)?;
        Ok(indexed(cx, store.queries_index(), "Queries", || [query]))
    },
    watch: |_| vec![WatchKey::Queries],
    filter: None,
};

/// Of those that are done at once, nothing is waited for.
fn once(arguments: &[u8], read: &'static Read) -> Result<Step, Failure> {
    let mut asked: crate::rpc::arguments::ReadArguments = decode(arguments)?;
    asked.min_query_index = 0;
    Ok(Step::Read(Box::new(super::Arguments { read: asked, ops: Vec::new() }), read))
}

/// `PreparedQuery.Execute`.
pub(super) fn execute(_: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    once(arguments, &EXECUTE)
}

static EXECUTE: Read = Read {
    answer: |cx, args| {
        let args = args.read.clone();
        let query = cx.view.store.resolve_query(&args.query_id_or_name, &args.agent.segment)?;
        Ok(Answer { index: 1, body: Body::Query(Execution::begin(cx, args, query, false)) })
    },
    watch: |_| Vec::new(),
    filter: None,
};

/// `PreparedQuery.ExecuteRemote`: the query comes along.
pub(super) fn execute_remote(_: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    once(arguments, &EXECUTE_REMOTE)
}

static EXECUTE_REMOTE: Read = Read {
    answer: |cx, args| {
        let args = args.read.clone();
        let query = Arc::new(args.query.clone().map_or_else(Default::default, |query| *query));
        Ok(Answer { index: 1, body: Body::Query(Execution::begin(cx, args, query, true)) })
    },
    watch: |_| Vec::new(),
    filter: None,
};

/// `PreparedQuery.Explain`.
pub(super) fn explain(_: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    once(arguments, &EXPLAIN)
}

static EXPLAIN: Read = Read {
    answer: |cx, args| {
        let args = &args.read;
        let query = cx.view.store.resolve_query(&args.query_id_or_name, &args.agent.segment)?;
        Ok(indexed(cx, 1, "Query", || query))
    },
    watch: |_| Vec::new(),
    filter: None,
};

/// An instance, with nil where there are no checks.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance<'a> {
    node: &'a Node,
    service: &'a NodeService,
    checks: Option<&'a [Arc<HealthCheck>]>,
}

impl Content for QueryFound {
    const COUNT: usize = 6;
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let nodes = list(self.nodes.iter().map(|entry| Instance {
            node: &entry.node,
            service: &entry.service,
            checks: (!entry.checks.is_empty()).then_some(&entry.checks),
        }));
        map.serialize_entry("Service", &self.service)?;
        map.serialize_entry("Nodes", &nodes)?;
        map.serialize_entry("DNS", &self.dns)?;
        map.serialize_entry("Datacenter", &self.datacenter)?;
        map.serialize_entry("PeerName", &self.peer_name)?;
        map.serialize_entry("Failovers", &self.failovers)
    }
}

/// What a query found, as a call answers it.
pub(in crate::front) fn found(cx: &Cx<'_>, found: QueryFound) -> Answer {
    Answer { index: 1, body: Body::Result(bytes(&Indexed { index: 1, cx, fields: found })) }
}
