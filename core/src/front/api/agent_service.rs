//! `/v1/agent`: services of this agent and their health.

use super::super::blocking::Cx;
use super::super::content_hash;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::render::agent as render;
use super::super::request::Request;
use super::super::respond::{self, JSON};
use super::super::route::Step;
use super::{agent_call, arg, decode, enable, expression, refuse_not_built, unless_spent};
use crate::agent::{AgentRequest, Local};
use crate::filter::{Record, Subject};
use crate::json::{self, Struct};
use crate::types::decode::{Mode, service};
use crate::types::{HealthCheck, NodeService, status};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// `GET /v1/agent/services`: by ID.
pub(in crate::front) fn list(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let filter = match expression(rq)? {
        Some(expression) => Some(expression.about(Subject::Service).map_err(HttpError::Filter)?),
        None => None,
    };
    let view = cx.view;
    let all = view.local.services().map(|local| &local.service);
    let wanted = all.filter(|s| filter.as_ref().is_none_or(|f| f.matches(Record::Service(s))));
    let reply = respond::json(view, rq, |w| {
        w.object(|w| {
            for service in wanted {
                w.field(&service.id, |w| render::service(w, service, &view.config.datacenter, None));
            }
        });
    });
    unless_spent(filter.as_ref(), reply)
}

/// `GET /v1/agent/service/:id`, with the hash that `?hash=` waits to see change.
pub(in crate::front) fn one(cx: &Cx<'_>, rq: &Request) -> Result<(u64, HttpReply), HttpError> {
    let (view, id) = (cx.view, rq.arg());
    let local = view.local.service(id);
    let local = local.ok_or_else(|| HttpError::NotFound(format!("unknown service ID: {id}")))?;
    let (service, datacenter) = (&local.service, &view.config.datacenter);
    let hash = content_hash::of(service);
    let text = format!("{hash:x}");
    let mut reply = respond::json(view, rq, |w| render::service(w, service, datacenter, Some(&text)));
    reply.headers.push(("X-Consul-Contenthash", Cow::Owned(text)));
    Ok((hash, reply))
}

/// `PUT /v1/agent/service/register`.
pub(in crate::front) fn register(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let mut not_built = Vec::new();
    let definition = decode(&rq.body, Struct::ALIAS, |f| service(f, Mode::Http, &mut not_built))?;
    refuse_not_built(&not_built)?;
    if definition.name.is_empty() {
        return Err(HttpError::Missing("service name"));
    }
    let replace_existing_checks = rq.query.has("replace-existing-checks")
        && matches!(rq.query.get("replace-existing-checks"), "" | "true");
    let definition = Box::new(definition);
    Ok(agent_call(AgentRequest::RegisterService { definition, replace_existing_checks }))
}

/// `PUT /v1/agent/service/deregister/:id`.
pub(in crate::front) fn deregister(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Ok(agent_call(AgentRequest::DeregisterService { id: arg(rq) }))
}

/// `PUT /v1/agent/service/maintenance/:id?enable=`.
pub(in crate::front) fn maintenance(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let id = rq.named("service ID")?.into();
    let (enable, reason) = (enable(rq)?, rq.query.get("reason").into());
    Ok(agent_call(AgentRequest::ServiceMaintenance { id, enable, reason }))
}

/// The worst status of a service's checks, with the checks that count: its own and the node's.
fn health<'a>(local: &'a Local, id: &'a str) -> (&'static str, Vec<&'a Arc<HealthCheck>>) {
    let of_service = (!id.is_empty()).then(|| local.checks_of(id)).into_iter().flatten();
    let mut checks: Vec<_> = local.checks_of("").chain(of_service).collect();
    checks.sort_by(|a, b| a.check_id.cmp(&b.check_id));
    let maintenance = checks.iter().any(|c| {
        *c.check_id == *status::NODE_MAINTENANCE || c.check_id.starts_with(status::SERVICE_MAINTENANCE_PREFIX)
    });
    let worst = checks.iter().map(|c| status::severity(&c.status)).max().unwrap_or(0);
    let status = match worst {
        _ if maintenance => status::MAINTENANCE,
        0 => status::PASSING,
        1 => status::WARNING,
        _ => status::CRITICAL,
    };
    (status, checks)
}

fn code_of(status: &str) -> u16 {
    match status {
        status::PASSING => 200,
        status::WARNING => 429,
        _ => 503,
    }
}

fn write_health(
    w: &mut json::Writer<'_>,
    status: &str,
    service: &NodeService,
    checks: &[&Arc<HealthCheck>],
    datacenter: &str,
) {
    w.object(|w| {
        w.field_str("AggregatedStatus", status);
        w.field("Service", |w| render::service(w, service, datacenter, None));
        w.field("Checks", |w| w.array(|w| checks.iter().for_each(|c| render::health_check(w, c))));
    });
}

/// The answer of both health endpoints: the status code says it all, the body the rest.
fn answer(cx: &Cx<'_>, rq: &Request, code: u16, reason: String, body: Vec<u8>) -> HttpReply {
    let text =
        rq.query.get("format") == "text" || rq.header("accept").is_some_and(|a| a.starts_with("text/plain"));
    let mut reply = match text {
        true => respond::reply(code, "text/plain", reason.clone()),
        false => respond::reply(code, JSON, respond::indent(cx.view, rq, body.into())),
    };
    reply.headers.push(("X-Consul-Reason", Cow::Owned(reason)));
    reply
}

/// `GET /v1/agent/health/service/id/:id`.
pub(in crate::front) fn health_by_id(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let id = rq.arg();
    if id.is_empty() {
        return Err(HttpError::Failed("Missing serviceID".into()));
    }
    let view = cx.view;
    let Some(local) = view.local.service(id) else {
        let body = br#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#.to_vec();
        return Ok(answer(cx, rq, 404, format!("ServiceId {id} not found"), body));
    };
    let (status, checks) = health(&view.local, id);
    let body = json::to_vec(|w| write_health(w, status, &local.service, &checks, &view.config.datacenter));
    Ok(answer(cx, rq, code_of(status), status.into(), body))
}

/// `GET /v1/agent/health/service/name/:name`: every instance; the worst decides.
pub(in crate::front) fn health_by_name(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let name = rq.arg();
    if name.is_empty() {
        return Err(HttpError::Failed("Missing service Name".into()));
    }
    let view = cx.view;
    let mut worst = None;
    let body = json::to_vec(|w| {
        w.array(|w| {
            for local in view.local.services().filter(|l| *l.service.service == *name) {
                let (status, checks) = health(&view.local, &local.service.id);
                write_health(w, status, &local.service, &checks, &view.config.datacenter);
                let rank = |s: &str| match s {
                    status::MAINTENANCE => 3,
                    s => status::severity(s),
                };
                if worst.is_none_or(|w| rank(status) > rank(w)) {
                    worst = Some(status);
                }
            }
        });
    });
    Ok(match worst {
        None => answer(cx, rq, 404, format!("ServiceName {name} Not Found"), body),
        Some(status) => answer(cx, rq, code_of(status), status.into(), body),
    })
}
