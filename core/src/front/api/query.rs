//! `/v1/query`: prepared queries.

use super::super::blocking::{Answer, Body, Cx};
use super::super::decode::query as bodies;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::query::{Execution, translate};
use super::super::remote::{self, Remote};
use super::super::render;
use super::super::request::{Consistency, Options, Request, parse_bool};
use super::super::respond::{self, Meta};
use super::super::route::{Finish, Read, Step, Style};
use super::unexpected;
use crate::Str;
use crate::call;
use crate::command::{Command, QueryCommand};
use crate::json::{self, Writer};
use crate::rpc::answer::{Executed, Explained, QueryMeta};
use crate::rpc::arguments::{ReadArguments, Source};
use crate::store::{Applied, Excerpt};
use crate::types::{PreparedQuery, QueryFound};
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// `GET /v1/query`.
pub(in crate::front) static LIST: Read = Read {
    answer: |cx, _| {
        let store = &cx.view.store;
        Ok(Answer::json(cx, store.queries_index(), |w| {
            w.array(|w| store.queries().for_each(|query| render::query::query(w, query)));
        }))
    },
    watch: |_, _| vec![WatchKey::Queries],
    style: Style::Catalog { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, _, _| "PreparedQuery.List",
        take: Excerpt::queries,
        finish: |cx, rq, reply| remote::finish(&LIST, cx, rq, reply),
    },
};

/// `GET /v1/query/:id`, and what follows an ID or a name.
pub(in crate::front) fn read(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let ends = |word: &str| rq.path.ends_with(word);
    Ok(Step::Read(match () {
        () if ends("/execute") => &EXECUTE,
        () if ends("/explain") => &EXPLAIN,
        () => &GET,
    }))
}

static GET: Read = Read {
    answer: |cx, rq| {
        let store = &cx.view.store;
        if cx.asks_others() {
            return Ok(Answer { index: 1, body: Body::Unwanted });
        }
        let query = store.query(rq.arg()).map_err(HttpError::Query)?.ok_or(HttpError::QueryNotFound)?;
        Ok(Answer::json(cx, store.queries_index(), |w| w.array(|w| render::query::query(w, query))))
    },
    watch: |_, _| vec![WatchKey::Queries],
    style: Style::Catalog { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.query_id = Str::from(rq.arg());
            "PreparedQuery.Get"
        },
        take: Excerpt::queries,
        finish: |cx, rq, reply| remote::finish(&GET, cx, rq, reply),
    },
};

/// What is asked for in front of the last word of a path.
fn named<'a>(rq: &'a Request, word: &str) -> &'a str {
    rq.arg().strip_suffix(word).unwrap_or(rq.arg())
}

/// What an execution depends on beside the query.
fn arguments(cx: &Cx<'_>, rq: &Request, word: &str, arguments: &mut ReadArguments) -> Result<(), HttpError> {
    let config = &cx.view.config;
    arguments.query_id_or_name = Str::from(named(rq, word));
    let node = match rq.query.get("near") {
        "_agent" => config.node_name.clone(),
        node => Str::from(node),
    };
    let ip = rq.client().map_or_else(Str::default, |ip| Str::from(ip.to_string()));
    arguments.source =
        Source { datacenter: remote::datacenter(rq, config), node, ip, segment: Str::default() };
    arguments.agent =
        Source { datacenter: config.datacenter.clone(), node: config.node_name.clone(), ..Source::default() };
    let limit = rq.query.get("limit");
    if !limit.is_empty() {
        arguments.limit = parse_int(limit)?;
    }
    let connect = rq.query.get("connect");
    if !connect.is_empty() && word == "/execute" {
        arguments.connect = parse_bool(connect).ok_or_else(|| {
            let why = format!("strconv.ParseBool: parsing \"{connect}\": invalid syntax");
            HttpError::Failed(format!("Error parsing 'connect' value: {why}"))
        })?;
    }
    Ok(())
}

fn parse_int(text: &str) -> Result<i64, HttpError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| whole).ok_or_else(|| {
        let why = if whole { "value out of range" } else { "invalid syntax" };
        HttpError::Failed(format!("Bad limit: strconv.Atoi: parsing \"{text}\": {why}"))
    })
}

static EXECUTE: Read = Read {
    answer: |cx, rq| {
        let mut args = ReadArguments::default();
        arguments(cx, rq, "/execute", &mut args)?;
        if cx.asks_others() {
            return Ok(Answer { index: 1, body: Body::Unwanted });
        }
        let options = Options::parse(rq, &cx.view.config)?;
        args.allow_stale = matches!(options.consistency, Consistency::Stale { .. });
        args.require_consistent = options.consistency == Consistency::Consistent;
        args.token = remote::token(rq);
        let query = cx.view.store.resolve_query(&args.query_id_or_name, "")?;
        Ok(Answer { index: 1, body: Body::Query(Execution::begin(cx, args, query, false)) })
    },
    watch: |_, _| Vec::new(),
    style: Style::Query,
    cacheable: true,
    filter: None,
    remote: Remote {
        ask: |cx, rq, args| {
            // What is wrong with it was found out before.
            let _ = arguments(cx, rq, "/execute", args);
            "PreparedQuery.Execute"
        },
        take: |_, _| Ok(()),
        finish: |cx, rq, reply| {
            told(&EXECUTE, cx, rq, reply, |body| {
                let mut found = QueryFound::from(remote::value::<Executed>(body)?);
                translate(cx.view, &mut found);
                Ok(move |w: &mut Writer<'_>| render::query::found(w, &found))
            })
        },
    },
};

static EXPLAIN: Read = Read {
    answer: |cx, rq| {
        let mut args = ReadArguments::default();
        arguments(cx, rq, "/explain", &mut args)?;
        if cx.asks_others() {
            return Ok(Answer { index: 1, body: Body::Unwanted });
        }
        let query = cx.view.store.resolve_query(&args.query_id_or_name, "")?;
        let options = Options::parse(rq, &cx.view.config)?;
        let meta = Meta::of(cx.view, cx.now.mono, 1);
        Ok(Answer::json(cx, 1, |w| {
            w.object(|w| {
                explained(w, &query);
                meta_fields(w, meta, options.consistency);
            });
        }))
    },
    watch: |_, _| Vec::new(),
    style: Style::Query,
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |cx, rq, args| {
            let _ = arguments(cx, rq, "/explain", args);
            "PreparedQuery.Explain"
        },
        take: |_, _| Ok(()),
        finish: |cx, rq, reply| {
            told(&EXPLAIN, cx, rq, reply, |body| {
                let Explained { query } = remote::value(body)?;
                Ok(move |w: &mut Writer<'_>| explained(w, &query))
            })
        },
    },
};

fn explained(w: &mut Writer<'_>, query: &PreparedQuery) {
    w.field("Query", |w| render::query::query(w, query));
}

/// What a query found, with how it came about.
pub(in crate::front) fn found(cx: &Cx<'_>, mut found: QueryFound, consistency: Consistency) -> Answer {
    translate(cx.view, &mut found);
    let meta = Meta::of(cx.view, cx.now.mono, 1);
    Answer::json(cx, 1, |w| {
        w.object(|w| {
            render::query::found(w, &found);
            meta_fields(w, meta, consistency);
        });
    })
}

/// How an answer came about, in its body.
fn meta_fields(w: &mut Writer<'_>, meta: Meta, consistency: Consistency) {
    w.field_u64("Index", meta.index);
    w.field_u64("LastContact", meta.last_contact_ms.saturating_mul(1_000_000));
    w.field_bool("KnownLeader", meta.known_leader);
    w.field_str("ConsistencyLevel", consistency.name());
    w.field_bool("NotModified", false);
    w.field_u64("Backend", 0);
    w.field_bool("ResultsFilteredByACLs", false);
}

/// Shows what a server told.
fn told<W: FnOnce(&mut Writer<'_>)>(
    read: &'static Read,
    cx: &Cx<'_>,
    rq: &Request,
    reply: call::Reply,
    take: impl FnOnce(&[u8]) -> Result<W, HttpError>,
) -> Result<HttpReply, HttpError> {
    let age = remote::age(&reply);
    let told = remote::body(reply).and_then(|body| Ok((remote::value::<QueryMeta>(&body)?, take(&body)?)));
    let (meta, write) = match told {
        Ok(told) => told,
        Err(error) => return Ok(super::super::blocking::failed(read, &error)),
    };
    let options = Options::parse(rq, &cx.view.config)?;
    let view = remote::view(cx.view, Excerpt::default(), &meta, cx.now);
    let shown = Meta::of(&view, cx.now.mono, 1);
    let body = json::to_vec(|w| {
        w.object(|w| {
            write(w);
            meta_fields(w, shown, options.consistency);
        });
    });
    let body = Body::Json(body.into());
    let mut reply = super::super::blocking::reply(read, &options, rq, &view, cx.now, 1, body);
    if options.cached && read.cacheable {
        super::super::lately::put(&mut reply, age);
    }
    Ok(reply)
}

/// Sends a change to the leader; `finish` makes the answer of the query's ID.
fn change(cx: &Cx<'_>, rq: &Request, op: &str, query: PreparedQuery, finish: Finish) -> Step {
    let config = &cx.view.config;
    let datacenter = remote::datacenter(rq, config);
    let command = QueryCommand { datacenter: datacenter.to_string(), op: op.into(), query };
    Step::Call(remote::write(datacenter, Command::PreparedQuery(Box::new(command)), config), finish)
}

/// The ID of the query that was changed.
pub(in crate::front) fn changed(reply: call::Reply) -> Result<Str, HttpError> {
    match reply {
        call::Reply::Applied { result: Applied::Query(id), .. } => Ok(id),
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    }
}

/// What Consul says to an ID that comes from outside.
pub(in crate::front) const ID_GIVEN: &str = "ID must be empty when creating a new prepared query";

/// `POST /v1/query`.
pub(in crate::front) fn create(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let query = bodies::query(&rq.body).map_err(HttpError::Decode)?;
    if !query.id.is_empty() {
        return Err(HttpError::Failed(ID_GIVEN.into()));
    }
    Ok(change(cx, rq, "create", query, |cx, rq, reply| {
        let id = changed(reply)?;
        Ok(respond::json(cx.view, rq, |w| w.object(|w| w.field_str("ID", &id))))
    }))
}

/// An empty body, by Go's JSON encoder.
const DONE: Finish = |_, _, reply| {
    changed(reply)?;
    Ok(respond::done())
};

/// `PUT /v1/query/:id`: the ID of the path counts.
pub(in crate::front) fn update(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let query = match rq.body.is_empty() {
        true => PreparedQuery::default(),
        false => bodies::query(&rq.body).map_err(HttpError::Decode)?,
    };
    Ok(change(cx, rq, "update", PreparedQuery { id: Str::from(rq.arg()), ..query }, DONE))
}

/// `DELETE /v1/query/:id`.
pub(in crate::front) fn delete(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let query = PreparedQuery { id: Str::from(rq.arg()), ..PreparedQuery::default() };
    Ok(change(cx, rq, "delete", query, DONE))
}
