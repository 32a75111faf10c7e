//! `PUT /v1/txn`: several operations, all or none.

use super::super::blocking::{Answer, Body, Cx};
use super::super::decode::txn as bodies;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::remote::{self, Remote};
use super::super::render;
use super::super::request::{Consistency, Options, Request};
use super::super::respond::{self, Meta};
use super::super::route::{Finish, Read, Step, Style};
use super::unexpected;
use crate::call;
use crate::command::{Command, Txn};
use crate::json::{self, Writer};
use crate::router::{Ask, Kind, To};
use crate::rpc::answer::{QueryMeta, TxnResponse};
use crate::rpc::arguments::TxnArguments;
use crate::store::{Applied, Excerpt, TxnError, TxnItem, TxnResult};
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::vec;
use bytes::Bytes;

fn parse(cx: &Cx<'_>, rq: &Request) -> Result<bodies::Parsed, HttpError> {
    let config = &cx.view.config;
    let (len, max) = (rq.body.len(), config.max_txn_body());
    if len > max {
        return Err(HttpError::BodyTooLarge { len, max, setting: Some("txn_max_req_len") });
    }
    bodies::parse(&rq.body, &remote::datacenter(rq, config), config.kv_max_value_size)
}

/// Replicates the transaction, or reads if it only reads.
pub(in crate::front) fn apply(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let parsed = parse(cx, rq)?;
    if !parsed.errors.is_empty() {
        // Of a transaction of reads Consul then sends the meta of an answer that was never made.
        let mut reply = rolled_back(cx, rq, &parsed.errors, parsed.read_only.then_some(Meta::OF_ERROR));
        if parsed.read_only {
            Meta::OF_ERROR.put_contact(&mut reply);
        }
        return Ok(Step::Done(reply));
    }
    if parsed.read_only && remote::elsewhere(rq, &cx.view.config) {
        return read_there(cx, rq, &parsed.txn);
    }
    if parsed.read_only {
        return Ok(Step::Read(&READ));
    }
    let finish: Finish = |cx, rq, reply| match reply {
        call::Reply::Applied { result: Applied::Txn(result), .. } if result.errors.is_empty() => {
            Ok(respond::json(cx.view, rq, |w| w.object(|w| fields(w, &result))))
        }
        call::Reply::Applied { result: Applied::Txn(result), .. } => {
            Ok(rolled_back(cx, rq, &result.errors, None))
        }
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    };
    let (config, command) = (&cx.view.config, Command::Txn(parsed.txn));
    Ok(Step::Call(remote::write(remote::datacenter(rq, config), command, config), finish))
}

/// A transaction that only reads: the body is taken apart once more when its turn comes.
static READ: Read = Read {
    answer: |cx, rq| {
        let parsed = parse(cx, rq)?;
        let result = cx.view.store.read_txn(&parsed.txn);
        let failed = !result.errors.is_empty();
        let body = Bytes::from(json::to_vec(|w| {
            w.object(|w| {
                fields(w, &result);
                meta(w, 1, Meta::of(cx.view, cx.now.mono, 1));
            });
        }));
        Ok(Answer { index: 1, body: if failed { Body::Conflict(body) } else { Body::Json(body) } })
    },
    watch: |_, _| vec![],
    style: Style::Txn,
    cacheable: false,
    filter: None,
    remote: Remote {
        // Its arguments are others: see `read_there`.
        ask: |_, _, _| "Txn.Read",
        take: |_, _| Ok(()),
        finish: finish_read_there,
    },
};

/// Another server is asked to read.
fn read_there(cx: &Cx<'_>, rq: &Request, txn: &Txn) -> Result<Step, HttpError> {
    let options = Options::parse(rq, &cx.view.config)?;
    let datacenter = remote::datacenter(rq, &cx.view.config);
    let arguments = TxnArguments {
        datacenter: &datacenter,
        ops: &txn.ops,
        allow_stale: matches!(options.consistency, Consistency::Stale { .. }),
        require_consistent: options.consistency == Consistency::Consistent,
    };
    let body = msgpack::to_vec(&arguments).into();
    let ask = Ask { to: To::Datacenter(datacenter), method: "Txn.Read", body, kind: Kind::Read };
    Ok(Step::Call(Box::new(call::Request::Ask(ask)), finish_read_there))
}

fn finish_read_there(cx: &Cx<'_>, rq: &Request, reply: call::Reply) -> Result<HttpReply, HttpError> {
    let body = remote::body(reply)?;
    let told: QueryMeta = remote::value(&body)?;
    let result = TxnResult::from(remote::value::<TxnResponse>(&body)?);
    let view = remote::view(cx.view, Excerpt::default(), &told, cx.now);
    let read = Meta::of(&view, cx.now.mono, 1);
    let mut reply = respond::json(cx.view, rq, |w| {
        w.object(|w| {
            fields(w, &result);
            meta(w, 1, read);
        });
    });
    if !result.errors.is_empty() {
        conflict(&mut reply);
    }
    read.put_contact(&mut reply);
    Ok(reply)
}

/// The meta of a read, which Consul sends in the body too. The index does not count.
fn meta(w: &mut Writer<'_>, index: u64, meta: Meta) {
    w.field_u64("Index", index);
    w.field_u64("LastContact", meta.last_contact_ms);
    w.field_bool("KnownLeader", meta.known_leader);
    w.field_str("ConsistencyLevel", "");
    w.field_bool("NotModified", false);
    w.field_u64("Backend", 0);
    w.field_bool("ResultsFilteredByACLs", false);
}

fn rolled_back(cx: &Cx<'_>, rq: &Request, errors: &[TxnError], of_read: Option<Meta>) -> HttpReply {
    let result = TxnResult { results: vec![], errors: errors.to_vec() };
    let mut reply = respond::json(cx.view, rq, |w| {
        w.object(|w| {
            fields(w, &result);
            if let Some(read) = of_read {
                meta(w, 0, read);
            }
        });
    });
    conflict(&mut reply);
    reply
}

/// A transaction that failed.
fn conflict(reply: &mut HttpReply) {
    reply.status = 409;
    for (name, value) in &mut reply.headers {
        if *name == respond::CONTENT_TYPE {
            *value = "application/json; charset=utf-8".into();
        }
    }
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
        TxnItem::Check(check) => w.field("Check", |w| render::check::result(w, check)),
    });
}
