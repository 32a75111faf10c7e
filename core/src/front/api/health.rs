//! `/v1/health`: checks, and instances with their checks.

use super::super::blocking::{self, Answer, Cx};
use super::super::errors::HttpError;
use super::super::near::Near;
use super::super::remote::{self, Remote};
use super::super::render;
use super::super::request::{Request, parse_bool};
use super::super::route::{Read, Style};
use super::catalog::watch_service;
use super::{MetaFilter, folded, has_tags, index_of_peer, peer};
use crate::Str;
use crate::filter::{Record, Subject};
use crate::store::Excerpt;
use crate::types::{CheckServiceNode, HealthCheck, status};
use crate::watch::WatchKey;
use alloc::sync::Arc;
use alloc::vec;

const STYLE: Style = Style::Catalog { meta_on_error: true };

/// A list of checks, those on nodes that `?node-meta=` lets through.
fn checks<'a>(
    cx: &Cx<'_>,
    near: Option<Near<'_>>,
    meta: &MetaFilter<'_>,
    checks: impl Iterator<Item = &'a Arc<HealthCheck>>,
) -> Answer {
    let store = &cx.view.store;
    Answer::json(cx, store.checks_index(), |w| {
        let shown = checks
            .filter(|c| meta.is_empty() || store.node(&c.node).is_some_and(|n| meta.matches(n)))
            .filter(|c| cx.passes(Record::Check(c)));
        match near {
            None => w.array(|w| shown.for_each(|c| render::check::check(w, c))),
            Some(near) => {
                let mut sorted: vec::Vec<_> = shown.collect();
                near.sort(&mut sorted, |check| &check.node);
                w.array(|w| sorted.iter().for_each(|c| render::check::check(w, c)));
            }
        }
    })
}

/// `GET /v1/health/node/:node`.
pub(in crate::front) static NODE: Read = Read {
    answer: |cx, rq| {
        let name = rq.named("node name")?;
        let store = &cx.view.store;
        Ok(checks(cx, None, &MetaFilter(vec![]), store.node_checks(name)))
    },
    // The answer's index is the table's; what wakes is what is shown.
    watch: |_, rq| vec![WatchKey::Node(folded(rq.arg()))],
    style: STYLE,
    cacheable: false,
    filter: Some(Subject::Check),
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.node = Str::from(rq.arg());
            // One node is meant, whatever it carries.
            arguments.node_meta_filters.clear();
            "Health.NodeChecks"
        },
        take: Excerpt::checks,
        finish: |cx, rq, reply| remote::finish(&NODE, cx, rq, reply),
    },
};

/// `GET /v1/health/checks/:service`.
pub(in crate::front) static CHECKS: Read = Read {
    answer: |cx, rq| {
        let name = rq.named("service name")?;
        let store = &cx.view.store;
        let found = store.service_checks(name);
        Ok(checks(cx, Near::of_request(cx, rq), &MetaFilter::of(rq), found.iter()))
    },
    watch: |_, rq| vec![WatchKey::Service(folded(rq.arg()))],
    style: STYLE,
    cacheable: false,
    filter: Some(Subject::Check),
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.service_name = Str::from(rq.arg());
            "Health.ServiceChecks"
        },
        take: Excerpt::checks,
        finish: |cx, rq, reply| remote::finish(&CHECKS, cx, rq, reply),
    },
};

/// The answer's index is the table's; what wakes is what is shown: whoever waits for what is critical sleeps while
/// checks that pass say something new.
pub(in crate::front) fn watch_state(state: &str) -> vec::Vec<WatchKey> {
    vec![if state == "any" { WatchKey::Checks } else { WatchKey::State(folded(state)) }]
}

/// `GET /v1/health/state/:state`.
pub(in crate::front) static STATE: Read = Read {
    answer: |cx, rq| {
        let state = rq.named("check state")?;
        let store = &cx.view.store;
        let found = store.checks_in_state(state);
        Ok(checks(cx, Near::of_request(cx, rq), &MetaFilter::of(rq), found.iter()))
    },
    watch: |_, rq| watch_state(rq.arg()),
    style: STYLE,
    cacheable: false,
    filter: Some(Subject::Check),
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.state = Str::from(rq.arg());
            "Health.ChecksInState"
        },
        take: Excerpt::checks,
        finish: |cx, rq, reply| remote::finish(&STATE, cx, rq, reply),
    },
};

/// `GET /v1/health/service/:service`.
pub(in crate::front) static SERVICE: Read = Read {
    answer: |cx, rq| {
        let name = rq.named("service name")?;
        let peer = peer(cx, rq)?;
        let passing = only_passing(rq)?;
        let meta = MetaFilter::of(rq);
        let shown = |entry: &CheckServiceNode| {
            let healthy = !passing || entry.checks.iter().all(|c| &*c.status == status::PASSING);
            let of_peer = *entry.service.peer_name == *peer;
            let asked = of_peer && meta.matches(&entry.node) && has_tags(rq, &entry.service);
            healthy && asked && cx.passes(Record::Entry(entry))
        };
        let index = index_of_peer(peer, cx.view.store.service_index(name));
        Ok(Answer::instances(cx, rq, index, name, shown, render::service::entry))
    },
    watch: |view, rq| match blocking::is_streamable(rq, &view.config) {
        // Consul's streaming backend hears of nothing but the service.
        true => vec![WatchKey::Service(folded(rq.arg()))],
        false => watch_service(view, rq),
    },
    style: Style::Catalog { meta_on_error: false },
    cacheable: true,
    filter: Some(Subject::Entry),
    remote: Remote {
        ask: |_, rq, arguments| {
            remote::with_tags(rq, arguments);
            arguments.peer_name = Str::from(rq.query.get("peer"));
            "Health.ServiceNodes"
        },
        take: Excerpt::instances,
        finish: |cx, rq, reply| remote::finish(&SERVICE, cx, rq, reply),
    },
};

/// `?passing`: on by its presence, unless a value says otherwise.
fn only_passing(rq: &Request) -> Result<bool, HttpError> {
    match rq.query.get("passing") {
        "" => Ok(rq.query.has("passing")),
        value => parse_bool(value).ok_or_else(|| HttpError::BadRequest("Invalid value for ?passing".into())),
    }
}
