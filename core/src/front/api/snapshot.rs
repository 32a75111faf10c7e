//! `/v1/snapshot`: everything that is replicated, as an archive, and back.
//!
//! Servers of this datacenter save what they have once they know that they are not behind, and restore by raft's log;
//! clients, and servers that are asked for another datacenter, pass it on.

use super::super::blocking::{Answer, Body, Cx};
use super::super::errors::{ARCHIVES_BUSY, HttpError};
use super::super::message::HttpReply;
use super::super::remote::{self, Remote};
use super::super::request::{Consistency, Options, Request};
use super::super::respond::{self, ARCHIVE, Meta};
use super::super::route::{Finish, Read, Step, Style};
use super::super::work::{Packing, Task};
use super::status;
use crate::archive;
use crate::call::{self, CallError};
use crate::router::{Ask, Kind, To};
use crate::rpc::snapshot::{METHOD, Op, SnapshotRequest, split_response};
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// How the text begins of a call whose answer was lost.
const LOST: &str = "rpc error making call: ";
/// What is true of a restore then.
const UNKNOWN: &str =
    "whether the snapshot was restored is unknown, and it may still be: look before you restore again";

/// `GET`, with `?stale`. Other options are not looked at.
pub(in crate::front) fn save(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    if remote::elsewhere(rq, &cx.view.config) {
        let finish: Finish = |_, _, reply| {
            let (meta, archive) = answered(reply)?;
            let mut reply = respond::reply(200, ARCHIVE, archive);
            let contact = Duration::from_nanos(meta.last_contact.max(0).unsigned_abs()).as_millis();
            let last_contact_ms = u64::try_from(contact).unwrap_or(u64::MAX);
            Meta { index: meta.index.max(1), known_leader: meta.known_leader, last_contact_ms }
                .put(&mut reply, false);
            Ok(reply)
        };
        return Ok(pass_on(cx, rq, Op::Save, finish));
    }
    let consistency = match rq.query.has("stale") {
        true => Consistency::Stale { max: None },
        false => Consistency::Consistent,
    };
    Ok(Step::ReadWith(&SAVE, Options { consistency, index: 0, wait: Duration::ZERO, cached: false }))
}

static SAVE: Read = Read {
    answer: |cx, _| Ok(Answer { index: cx.view.store.applied(), body: Body::Later(packing(cx)) }),
    // It never waits.
    watch: |_, _| Vec::new(),
    style: Style::Kv { meta_on_error: false },
    cacheable: false,
    filter: None,
    // It is passed on before it is a read.
    remote: Remote {
        ask: |_, _, _| METHOD,
        take: |_, _| Ok(()),
        finish: |_, _, reply| Err(super::unexpected(reply)),
    },
};

/// The work that makes an archive of what this view shows.
fn packing(cx: &Cx<'_>) -> Task {
    let membership = &cx.view.raft.status.membership;
    let server = |suffrage, id: &crate::ids::ServerId| archive::Server {
        suffrage,
        id: String::from(&**id),
        address: status::address(cx, id).unwrap_or_default(),
    };
    let voters = membership.voters.iter().map(|id| server(0, id));
    let servers = voters.chain(membership.learners.iter().map(|id| server(1, id))).collect();
    let nanos = u64::try_from(cx.now.wall.0).unwrap_or(0);
    let store = cx.view.store.clone();
    let meta = archive::Meta::new(cx.view.raft.term.0, store.applied(), nanos / 1_000_000, servers);
    Task::Pack(Box::new(Packing { store, meta, time: nanos / 1_000_000_000 }))
}

/// `PUT`: the body is the archive.
pub(in crate::front) fn restore(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    if remote::elsewhere(rq, &cx.view.config) {
        let finish: Finish = |_, _, reply| match reply {
            // What servers refuse they say in an answer.
            call::Reply::Failed(CallError::Remote(why)) if why.starts_with(LOST) => {
                Err(HttpError::Failed(alloc::format!("{why}: {UNKNOWN}")))
            }
            reply => answered(reply).map(|_| restored()),
        };
        return Ok(pass_on(cx, rq, Op::Restore, finish));
    }
    if rq.query.has("stale") {
        return Err(HttpError::Failed(String::from("stale not allowed for restore")));
    }
    Ok(Step::Work(restored(), Task::Unpack(rq.body.clone())))
}

/// The answer to a restore that is done.
fn restored() -> HttpReply {
    respond::reply(200, "application/octet-stream", Bytes::new())
}

/// Has a server do it.
fn pass_on(cx: &Cx<'_>, rq: &Request, op: Op, finish: Finish) -> Step {
    let datacenter = remote::datacenter(rq, &cx.view.config);
    let (allow_stale, token) = (rq.query.has("stale"), remote::token(rq));
    let request = SnapshotRequest { datacenter: datacenter.clone(), token, allow_stale, op };
    let (archive, kind) = match op {
        Op::Save => (&[][..], Kind::Read),
        Op::Restore => (&*rq.body, Kind::Write),
    };
    let ask = Ask { to: To::Datacenter(datacenter), method: METHOD, body: request.with(archive), kind };
    Step::Call(Box::new(call::Request::Ask(ask)), finish)
}

/// What a server answered, and the archive behind it.
fn answered(reply: call::Reply) -> Result<(crate::rpc::answer::QueryMeta, Bytes), HttpError> {
    let body = match reply {
        call::Reply::Answer(body) => body,
        other => return Err(super::unexpected(other)),
    };
    let (response, archive) = split_response(&body)
        .map_err(|why| HttpError::Failed(alloc::format!("failed to decode response: {why}")))?;
    match &*response.error {
        "" => Ok((response.meta(), archive)),
        ARCHIVES_BUSY => Err(HttpError::ArchivesBusy),
        _ => Err(HttpError::Failed(response.error)),
    }
}
