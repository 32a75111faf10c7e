//! `/v1/event`: shouting to the datacenter, and what was heard.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::remote;
use super::super::request::Request;
use super::super::respond;
use super::super::route::{Finish, Step};
use super::unexpected;
use crate::call;
use crate::json::Writer;
use crate::user_event::UserEvent;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;

fn write(w: &mut Writer<'_>, event: &UserEvent) {
    w.object(|w| {
        w.field_str("ID", &event.id);
        w.field_str("Name", &event.name);
        w.field("Payload", |w| match event.payload.is_empty() {
            true => w.null(),
            false => w.base64(&event.payload),
        });
        w.field_str("NodeFilter", &event.node_filter);
        w.field_str("ServiceFilter", &event.service_filter);
        w.field_str("TagFilter", &event.tag_filter);
        w.field_u64("Version", event.version);
        w.field_u64("LTime", event.ltime);
    });
}

/// `PUT /v1/event/fire/:name`.
pub(in crate::front) fn fire(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let event = UserEvent {
        name: rq.named("name")?.into(),
        payload: rq.body.clone(),
        node_filter: rq.query.get("node").into(),
        service_filter: rq.query.get("service").into(),
        tag_filter: rq.query.get("tag").into(),
        ..UserEvent::default()
    };
    event.validate().map_err(HttpError::Failed)?;
    let finish: Finish = |cx, rq, reply| match reply {
        call::Reply::Event(event) => Ok(respond::json(cx.view, rq, |w| write(w, &event))),
        call::Reply::Failed(call::CallError::Refused(why)) => Err(HttpError::Failed(why)),
        other => Err(unexpected(other)),
    };
    let (event, datacenter) = (Box::new(event), remote::datacenter(rq, &cx.view.config));
    Ok(Step::Call(Box::new(call::Request::Event { event, datacenter }), finish))
}

/// `GET /v1/event/list`: the events heard last, and the index of the newest.
pub(in crate::front) fn list(cx: &Cx<'_>, rq: &Request) -> Result<(u64, HttpReply), HttpError> {
    let name = rq.query.get("name");
    let shown = || cx.view.events.iter().filter(|event| name.is_empty() || *event.name == *name);
    let index = shown().next_back().and_then(UserEvent::index).unwrap_or(1);
    let mut reply = respond::json(cx.view, rq, |w| w.array(|w| shown().for_each(|event| write(w, event))));
    reply.headers.push(("X-Consul-Index", Cow::Owned(index.to_string())));
    Ok((index, reply))
}
