//! `/v1/agent`: checks of this agent.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::render;
use super::super::request::Request;
use super::super::respond;
use super::super::route::Step;
use super::{agent_call, arg, decode, expression, unless_spent};
use crate::agent::AgentRequest;
use crate::filter::{Record, Subject};
use crate::json::Struct;
use crate::types::decode::{Mode, Place, check};
use crate::types::{HealthCheck, status};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;

/// `GET /v1/agent/checks`: by ID.
pub(in crate::front) fn list(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let mut filter = None;
    if let Some(expression) = expression(rq)?
        && cx.view.local.checks().next().is_some()
    {
        // Consul holds the expression against the first check that it meets, and words the error so.
        let compiled = expression.about(Subject::Check);
        filter = Some(compiled.map_err(|error| HttpError::Failed(error.to_string()))?);
    }
    let wanted = |check: &&Arc<HealthCheck>| filter.as_ref().is_none_or(|f| f.matches(Record::Check(check)));
    let reply = respond::json(cx.view, rq, |w| {
        w.object(|w| {
            for check in cx.view.local.checks().filter(wanted) {
                w.field(&check.check_id, |w| render::check::check(w, check));
            }
        });
    });
    unless_spent(filter.as_ref(), reply)
}

/// `PUT /v1/agent/check/register`.
pub(in crate::front) fn register(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let definition = decode(&rq.body, Struct::ALIAS, |f| check(f, Mode::Http, Place::Alone))?;
    if definition.name.is_empty() {
        return Err(HttpError::Missing("check name"));
    }
    if !definition.status.is_empty() && known_status(&definition.status).is_none() {
        return Err(HttpError::BadRequest("Bad check status".into()));
    }
    Ok(agent_call(AgentRequest::RegisterCheck { definition: Box::new(definition) }))
}

fn known_status(text: &str) -> Option<&'static str> {
    [status::PASSING, status::WARNING, status::CRITICAL].into_iter().find(|s| *s == text)
}

/// `PUT /v1/agent/check/deregister/:id`.
pub(in crate::front) fn deregister(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Ok(agent_call(AgentRequest::DeregisterCheck { id: arg(rq) }))
}

fn set(rq: &Request, status: &'static str) -> Result<Step, HttpError> {
    let output = rq.query.get("note").into();
    Ok(agent_call(AgentRequest::UpdateTtl { id: arg(rq), status, output }))
}

/// `PUT /v1/agent/check/pass/:id?note=`.
pub(in crate::front) fn pass(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    set(rq, status::PASSING)
}

/// `PUT /v1/agent/check/warn/:id?note=`.
pub(in crate::front) fn warn(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    set(rq, status::WARNING)
}

/// `PUT /v1/agent/check/fail/:id?note=`.
pub(in crate::front) fn fail(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    set(rq, status::CRITICAL)
}

/// `PUT /v1/agent/check/update/:id`: status and output in the body.
pub(in crate::front) fn update(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let (sent, output) =
        decode(&rq.body, Struct::of("agent", "checkUpdate"), |f| (f.string("Status"), f.string("Output")))?;
    let status = known_status(&sent)
        .ok_or_else(|| HttpError::BadRequest(format!("Invalid check status: '{sent}'")))?;
    Ok(agent_call(AgentRequest::UpdateTtl { id: arg(rq), status, output }))
}
