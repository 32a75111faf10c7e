//! `/v1/session`: sessions.

use super::super::blocking::{Answer, Body, Cx};
use super::super::decode;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::remote::{self, Remote};
use super::super::render;
use super::super::request::{Options, Request};
use super::super::respond;
use super::super::route::{Finish, Read, Step, Style};
use super::{folded, unexpected};
use crate::Str;
use crate::call;
use crate::command::{Command, SessionCommand, SessionOp};
use crate::router::Kind;
use crate::rpc::answer::Sessions;
use crate::rpc::arguments::SessionArguments;
use crate::store::{Applied, Excerpt};
use crate::types::Session;
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use bytes::Bytes;

/// The ID in the path.
fn id(rq: &Request) -> Result<&str, HttpError> {
    if rq.arg().is_empty() { Err(HttpError::Missing("session")) } else { Ok(rq.arg()) }
}

fn write(cx: &Cx<'_>, rq: &Request, op: SessionOp, session: Session, finish: Finish) -> Step {
    let config = &cx.view.config;
    let datacenter = remote::datacenter(rq, config);
    let c = SessionCommand { datacenter: datacenter.clone(), op, session };
    Step::Call(remote::write(datacenter, Command::Session(Box::new(c)), config), finish)
}

/// `PUT /v1/session/create`.
pub(in crate::front) fn create(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let config = &cx.view.config;
    let mut session = decode::session::session(&rq.body, &config.node_name)?;
    if !config.server && remote::datacenter(rq, config) != config.datacenter {
        return Err(HttpError::Failed("cross datacenter lock must be created at server agent".into()));
    }
    if config.server {
        decode::session::vet(&mut session, config.session_ttl_min)?;
    }
    Ok(write(cx, rq, SessionOp::Create, session, |cx, rq, reply| match reply {
        call::Reply::Applied { result: Applied::Session(id), .. } => {
            Ok(respond::json(cx.view, rq, |w| w.object(|w| w.field_str("ID", &id))))
        }
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    }))
}

/// `PUT /v1/session/destroy/:id`.
pub(in crate::front) fn destroy(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let session = Session { id: Str::from(id(rq)?), ..Session::default() };
    Ok(write(cx, rq, SessionOp::Destroy, session, |cx, rq, reply| match reply {
        call::Reply::Applied { result: Applied::Ok, .. } => Ok(respond::json(cx.view, rq, |w| w.bool(true))),
        other => Err(unexpected(other)),
    }))
}

/// `PUT /v1/session/renew/:id`: the leader counts the time.
pub(in crate::front) fn renew(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Options::parse(rq, &cx.view.config)?;
    let id = Str::from(id(rq)?);
    if remote::leads(cx, rq) {
        return Ok(Step::Call(Box::new(call::Request::Renew(id)), |cx, rq, reply| match reply {
            call::Reply::Session(found) => renewed(cx, rq, found),
            other => Err(unexpected(other)),
        }));
    }
    let arguments = |datacenter| SessionArguments {
        datacenter,
        session_id: id.clone(),
        session: id,
        token: remote::token(rq),
    };
    Ok(remote::ask_leader("Session.Renew", cx, rq, Kind::Write, arguments, |cx, rq, reply| {
        let body = remote::body(reply)?;
        let told: Sessions = remote::value(&body)?;
        renewed(cx, rq, told.sessions.into_iter().next().map(Arc::new))
    }))
}

fn renewed(cx: &Cx<'_>, rq: &Request, session: Option<Arc<Session>>) -> Result<HttpReply, HttpError> {
    match session {
        Some(session) => {
            Ok(respond::json(cx.view, rq, |w| w.array(|w| render::session::session(w, &session))))
        }
        None => Err(HttpError::NotFound(format!("Session id '{}' not found", rq.arg()))),
    }
}

/// `GET /v1/session/info/:id`: a list of one, or of none.
pub(in crate::front) static INFO: Read = Read {
    answer: |cx, rq| {
        let (store, id) = (&cx.view.store, id(rq)?);
        let index = store.sessions_index();
        Ok(match store.session(id) {
            Some(session) => Answer::json(cx, index, |w| w.array(|w| render::session::session(w, session))),
            None => Answer { index, body: Body::NoEntry(Bytes::from_static(b"[]")) },
        })
    },
    watch: |_, rq| vec![WatchKey::Session(folded(rq.arg()))],
    style: Style::Kv { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.session_id = Str::from(rq.arg());
            arguments.session = Str::from(rq.arg());
            "Session.Get"
        },
        take: Excerpt::sessions,
        finish: |cx, rq, reply| remote::finish(&INFO, cx, rq, reply),
    },
};

/// `GET /v1/session/list`.
pub(in crate::front) static LIST: Read = Read {
    answer: |cx, _| {
        let store = &cx.view.store;
        Ok(Answer::json(cx, store.sessions_index(), |w| {
            w.array(|w| store.sessions().for_each(|session| render::session::session(w, session)));
        }))
    },
    watch: |_, _| vec![WatchKey::Sessions],
    style: Style::Kv { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, _, _| "Session.List",
        take: Excerpt::sessions,
        finish: |cx, rq, reply| remote::finish(&LIST, cx, rq, reply),
    },
};

/// `GET /v1/session/node/:node`.
pub(in crate::front) static NODE: Read = Read {
    answer: |cx, rq| {
        if rq.arg().is_empty() {
            return Err(HttpError::Missing("node name"));
        }
        let store = &cx.view.store;
        Ok(Answer::json(cx, store.sessions_index(), |w| {
            w.array(|w| {
                store.node_sessions(rq.arg()).for_each(|session| render::session::session(w, session));
            });
        }))
    },
    watch: |_, rq| vec![WatchKey::NodeSessions(folded(rq.arg()))],
    style: Style::Kv { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.node = Str::from(rq.arg());
            "Session.NodeSessions"
        },
        take: Excerpt::sessions,
        finish: |cx, rq, reply| remote::finish(&NODE, cx, rq, reply),
    },
};
