//! `Txn`: several operations, all or none.

use super::super::blocking::{Answer, Body, Cx};
use super::super::decode::txn::{MAX_OPS, prepare};
use super::super::errors::HttpError;
use super::result::{Both, Indexed, bytes, list};
use super::{Arguments, Failure, Read, Step, decode, refuse_other_datacenter, unexpected};
use crate::Str;
use crate::call;
use crate::command::{Command, Txn, TxnOp};
use crate::rpc::arguments::ReadArguments;
use crate::store::{Applied, TxnError, TxnItem, TxnResult};
use crate::types::{HealthCheck, KvEntry, Node, NodeService};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One result: whichever part it is.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item<'a> {
    #[serde(rename = "KV")]
    kv: Option<&'a KvEntry>,
    node: Option<&'a Node>,
    service: Option<&'a NodeService>,
    check: Option<&'a HealthCheck>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wrong<'a> {
    op_index: usize,
    what: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome<'a> {
    results: Option<Vec<Item<'a>>>,
    errors: Option<Vec<Wrong<'a>>>,
}

fn item(item: &TxnItem) -> Item<'_> {
    match item {
        TxnItem::Kv(entry) => Item { kv: Some(entry), ..Item::default() },
        TxnItem::Node(node) => Item { node: Some(node), ..Item::default() },
        TxnItem::Service(service) => Item { service: Some(service), ..Item::default() },
        TxnItem::Check(check) => Item { check: Some(check), ..Item::default() },
    }
}

fn wrong(error: &TxnError) -> Wrong<'_> {
    Wrong { op_index: error.op_index, what: &error.what }
}

fn outcome(result: &TxnResult) -> Outcome<'_> {
    Outcome { results: list(result.results.iter().map(item)), errors: list(result.errors.iter().map(wrong)) }
}

/// The operations as they will be carried out, and what is wrong with them.
fn prepared(ops: Vec<TxnOp>, datacenter: &Str) -> Result<(Txn, Vec<TxnError>), HttpError> {
    if ops.len() > MAX_OPS {
        return Err(HttpError::TooManyOps(ops.len()));
    }
    let (mut txn, mut errors) = (Txn::default(), Vec::new());
    for (op_index, op) in ops.into_iter().enumerate() {
        match prepare(op, datacenter) {
            Ok((op, _)) => txn.ops.push(op),
            Err((what, _)) => errors.push(TxnError { op_index, what }),
        }
    }
    Ok((txn, errors))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Operations {
    datacenter: String,
    ops: Vec<TxnOp>,
}

/// `Txn.Apply`.
pub(super) fn apply(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let Operations { datacenter, ops } = decode(arguments)?;
    let own = &cx.view.config.datacenter;
    refuse_other_datacenter(&datacenter, own)?;
    let (txn, errors) = prepared(ops, own)?;
    if !errors.is_empty() {
        return Ok(Step::Done(bytes(&outcome(&TxnResult { results: vec![], errors }))));
    }
    Ok(Step::Call(Box::new(call::Request::Write(Command::Txn(txn))), |reply| match reply {
        call::Reply::Applied { result: Applied::Txn(result), .. } => Ok(bytes(&outcome(&result))),
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    }))
}

/// `Txn.Read`.
pub(super) fn read(_: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let Operations { ops, .. } = decode(arguments)?;
    let mut read: ReadArguments = decode(arguments)?;
    // Reads once and never waits.
    read.min_query_index = 0;
    Ok(Step::Read(Box::new(Arguments { read, ops }), &READ))
}

static READ: Read = Read {
    answer: |cx, args| {
        let (txn, errors) = prepared(args.ops.clone(), &cx.view.config.datacenter)?;
        let result = match errors.is_empty() {
            true => cx.view.store.read_txn(&txn),
            false => TxnResult { results: vec![], errors },
        };
        let Outcome { results, errors } = outcome(&result);
        let fields = Both(("Results", results), ("Errors", errors));
        // The index says nothing.
        Ok(Answer { index: 1, body: Body::Result(bytes(&Indexed { index: 1, cx, fields })) })
    },
    watch: |_| vec![],
    filter: None,
};
