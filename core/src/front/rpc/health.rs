//! `Health`: checks, and instances with their checks.

use super::super::api::health::watch_state;
use super::super::api::index_of_peer;
use super::super::blocking::{Answer, Body, Cx};
use super::catalog::{named, refuse_mesh};
use super::result::indexed;
use super::{Arguments, Read, near};
use crate::Str;
use crate::filter::{Record, Subject};
use crate::types::{CheckServiceNode, HealthCheck, status};
use crate::watch::WatchKey;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

fn checks<'a>(cx: &Cx<'_>, args: &Arguments, all: impl Iterator<Item = &'a Arc<HealthCheck>>) -> Answer {
    let store = &cx.view.store;
    let node = |check: &HealthCheck| {
        // Who names a node means that one, whatever it carries.
        let any = args.read.node_meta_filters.is_empty() || !args.read.node.is_empty();
        any || store.node(&check.node).is_some_and(|n| args.wants_node(n))
    };
    let shown =
        || near(cx, args, all.filter(|c| node(c) && cx.passes(Record::Check(c))), |check| &check.node);
    indexed(cx, store.checks_index(), "HealthChecks", shown)
}

/// `Health.NodeChecks`. Agents compare them with their own.
pub(super) static NODE: Read = Read {
    answer: |cx, args| Ok(checks(cx, args, cx.view.store.node_checks(&args.read.node))),
    // The answer's index is the table's; what wakes is what is shown.
    watch: |args| vec![WatchKey::Node(Str::from(args.read.node.to_lowercase()))],
    filter: Some(Subject::Check),
};

/// `Health.ServiceChecks`.
pub(super) static CHECKS: Read = Read {
    answer: |cx, args| Ok(checks(cx, args, cx.view.store.service_checks(&args.read.service_name).iter())),
    watch: watch_service,
    filter: Some(Subject::Check),
};

/// `Health.ChecksInState`.
pub(super) static STATE: Read = Read {
    answer: |cx, args| Ok(checks(cx, args, cx.view.store.checks_in_state(&args.read.state).iter())),
    watch: |args| watch_state(&args.read.state),
    filter: Some(Subject::Check),
};

fn watch_service(args: &Arguments) -> Vec<WatchKey> {
    vec![WatchKey::Service(Str::from(args.read.service_name.to_lowercase()))]
}

/// Whether the checks of an instance are as healthy as asked for.
fn healthy(args: &Arguments, entry: &CheckServiceNode) -> bool {
    entry.checks.iter().all(|check| match args.read.health_filter_type {
        1 => &*check.status != status::CRITICAL,
        2 => &*check.status == status::PASSING,
        _ => true,
    })
}

/// `Health.ServiceNodes`.
pub(super) static SERVICE: Read = Read {
    answer: |cx, args| {
        let name = named(args)?;
        refuse_mesh(args)?;
        let store = &cx.view.store;
        let shown = |entry: &CheckServiceNode| {
            let service = &entry.service;
            let asked = args.wants_peer(service) && args.wants_node(&entry.node) && args.wants_tags(service);
            asked && healthy(args, entry) && cx.passes(Record::Entry(entry))
        };
        let found = || store.service_health(name).filter(|entry| shown(entry));
        let nodes = || near(cx, args, found(), |entry| &entry.node.node);
        let index = index_of_peer(&args.read.peer_name, store.service_index(name));
        Ok(indexed(cx, index, "Nodes", nodes))
    },
    watch: watch_service,
    filter: Some(Subject::Entry),
};

/// Waits for another index of a service than the given one, which a restored snapshot may have put lower.
pub(super) static FOLLOW: Read = Read {
    answer: |cx, args| {
        let index = cx.view.store.service_index(&args.read.service_name).max(1);
        let index = if index == args.read.min_query_index { 0 } else { u64::MAX };
        Ok(Answer { index, body: Body::Result(Bytes::new()) })
    },
    watch: watch_service,
    filter: None,
};
