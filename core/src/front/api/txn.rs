//! `PUT /v1/txn`: several operations, all or none.

use super::super::blocking::{Answer, Body, Cx};
use super::super::decode::txn as bodies;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::render;
use super::super::request::{Request, refuse_other_datacenter};
use super::super::respond;
use super::super::route::{Finish, Read, Step, Style};
use super::unexpected;
use crate::command::Command;
use crate::json::{self, Writer};
use crate::node;
use crate::store::{Applied, TxnError, TxnItem, TxnResult};
use alloc::boxed::Box;
use alloc::vec;

fn parse(cx: &Cx<'_>, rq: &Request) -> Result<bodies::Parsed, HttpError> {
    let config = &cx.view.config;
    refuse_other_datacenter(rq, &config.datacenter)?;
    let (len, max) = (rq.body.len(), config.txn_max_req_len.max(config.kv_max_value_size));
    if len > max {
        return Err(HttpError::BodyTooLarge { len, max, setting: "txn_max_req_len" });
    }
    bodies::parse(&rq.body, &config.datacenter, config.kv_max_value_size)
}

/// Replicates the transaction, or reads if it only reads.
pub(in crate::front) fn apply(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let parsed = parse(cx, rq)?;
    if parsed.read_only {
        return Ok(Step::Read(&READ));
    }
    if !parsed.errors.is_empty() {
        return Ok(Step::Done(rolled_back(cx, rq, &parsed.errors)));
    }
    let finish: Finish = |cx, rq, reply| match reply {
        node::Reply::Applied { result: Applied::Txn(result), .. } if result.errors.is_empty() => {
            Ok(respond::json(cx.view, rq, |w| written(w, &result)))
        }
        node::Reply::Applied { result: Applied::Txn(result), .. } => Ok(rolled_back(cx, rq, &result.errors)),
        node::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    };
    Ok(Step::Call(Box::new(node::Request::Write(Command::Txn(parsed.txn))), finish))
}

/// A transaction that only reads: the body is taken apart once more when its turn comes.
static READ: Read = Read {
    answer: |cx, rq| {
        let parsed = parse(cx, rq)?;
        let result = match parsed.errors.is_empty() {
            true => cx.view.store.read_txn(&parsed.txn),
            false => TxnResult { results: vec![], errors: parsed.errors },
        };
        let failed = !result.errors.is_empty();
        let body = json::to_vec(|w| {
            w.object(|w| {
                fields(w, &result);
                // The meta of a read, which Consul sends in the body here. The index does not count.
                w.field_u64("Index", 1);
                w.field_u64("LastContact", 0);
                w.field_bool("KnownLeader", cx.view.raft.leader.is_some());
                w.field_str("ConsistencyLevel", "");
                w.field_bool("NotModified", false);
                w.field_u64("Backend", 0);
                w.field_bool("ResultsFilteredByACLs", false);
            });
        });
        Ok(Answer { index: 1, body: if failed { Body::Conflict(body) } else { Body::Json(body) } })
    },
    watch: |_, _| vec![],
    style: Style::Txn,
    cacheable: false,
    filtered: false,
};

fn rolled_back(cx: &Cx<'_>, rq: &Request, errors: &[TxnError]) -> HttpReply {
    let result = TxnResult { results: vec![], errors: errors.to_vec() };
    let mut reply = respond::json(cx.view, rq, |w| written(w, &result));
    reply.status = 409;
    for (name, value) in &mut reply.headers {
        if *name == respond::CONTENT_TYPE {
            *value = "application/json; charset=utf-8".into();
        }
    }
    reply
}

fn written(w: &mut Writer<'_>, result: &TxnResult) {
    w.object(|w| fields(w, result));
}

/// `Results` and `Errors`: whichever does not apply is `null`.
fn fields(w: &mut Writer<'_>, result: &TxnResult) {
    w.field("Results", |w| match result.errors.is_empty() {
        true => w.array(|w| result.results.iter().for_each(|r| item(w, r))),
        false => w.null(),
    });
    w.field("Errors", |w| match result.errors.is_empty() {
        true => w.null(),
        false => w.array(|w| {
            for error in &result.errors {
                w.object(|w| {
                    w.field_u64("OpIndex", error.op_index as u64);
                    w.field_str("What", &error.what);
                });
            }
        }),
    });
}

fn item(w: &mut Writer<'_>, item: &TxnItem) {
    w.object(|w| match item {
        TxnItem::Kv(entry) => w.field("KV", |w| render::kv::entry(w, entry)),
        TxnItem::Node(node) => w.field("Node", |w| render::node::node(w, node)),
        TxnItem::Service(service) => w.field("Service", |w| render::service::instance(w, service, false)),
        TxnItem::Check(check) => w.field("Check", |w| render::check::check(w, check)),
    });
}
