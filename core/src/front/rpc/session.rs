//! `Session`: sessions.

use super::super::blocking::{Answer, Body, Cx};
use super::super::decode;
use super::super::errors::HttpError;
use super::result::{Indexed, bytes, indexed, list};
use super::{Failure, Read, Step, missing, refuse_other_datacenter, refuse_unless_leader, unexpected};
use crate::Str;
use crate::call;
use crate::command::{Command, SessionCommand, SessionOp};
use crate::rpc::arguments::SessionArguments;
use crate::store::Applied;
use crate::types::Session;
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Arguments {
    datacenter: Str,
    op: String,
    session: Session,
}

/// `Session.Apply`: the ID of a session that was created, else an empty string.
pub(super) fn apply(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let Arguments { datacenter, op, mut session } = super::decode(arguments)?;
    refuse_other_datacenter(&datacenter, &cx.view.config.datacenter)?;
    let op = match &*op {
        "destroy" if session.id.is_empty() => return Err(missing("Must provide ID").into()),
        "destroy" => SessionOp::Destroy,
        "create" => SessionOp::Create,
        other => return Err(HttpError::Failed(format!("Invalid session operation {other:?}")).into()),
    };
    if op == SessionOp::Create {
        decode::session::vet(&mut session, cx.view.config.session_ttl_min)?;
    }
    let c = SessionCommand { datacenter, op, session };
    Ok(Step::Call(Box::new(call::Request::Write(Command::Session(Box::new(c)))), |reply| match reply {
        call::Reply::Applied { result: Applied::Session(id), .. } => Ok(bytes(&id)),
        call::Reply::Applied { result: Applied::Ok, .. } => Ok(bytes("")),
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    }))
}

/// `Session.Renew`: the leader counts the time.
pub(super) fn renew(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let asked: SessionArguments = super::decode(arguments)?;
    refuse_other_datacenter(&asked.datacenter, &cx.view.config.datacenter)?;
    refuse_unless_leader(cx)?;
    let id = asked.id().clone();
    Ok(Step::Call(Box::new(call::Request::Renew(id)), |reply| match reply {
        call::Reply::Session(found) => Ok(bytes(&Renewed { sessions: list(found.iter()) })),
        other => Err(unexpected(other)),
    }))
}

/// What a renewal answers. Its meta says nothing.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Renewed<T> {
    sessions: T,
}

/// `Session.Get`: a list of one.
pub(super) static GET: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let index = store.sessions_index();
        let id = session_id(&args.read.session_id, &args.read.session);
        Ok(match store.session(id) {
            Some(session) => indexed(cx, index, "Sessions", || [session]),
            None => {
                let fields = ("Sessions", None::<()>);
                Answer { index, body: Body::NoEntry(bytes(&Indexed { index, cx, fields })) }
            }
        })
    },
    watch: |args| {
        vec![WatchKey::Session(session_id(&args.read.session_id, &args.read.session).to_lowercase().into())]
    },
    filter: None,
};

/// Older agents have another name for it.
fn session_id<'a>(new: &'a Str, old: &'a Str) -> &'a Str {
    if new.is_empty() { old } else { new }
}

/// `Session.List`.
pub(super) static LIST: Read = Read {
    answer: |cx, _| {
        let store = &cx.view.store;
        Ok(indexed(cx, store.sessions_index(), "Sessions", || list(store.sessions())))
    },
    watch: |_| vec![WatchKey::Sessions],
    filter: None,
};

/// `Session.NodeSessions`.
pub(super) static NODE: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        Ok(indexed(cx, store.sessions_index(), "Sessions", || list(store.node_sessions(&args.read.node))))
    },
    watch: |args| vec![WatchKey::NodeSessions(args.read.node.to_lowercase().into())],
    filter: None,
};
