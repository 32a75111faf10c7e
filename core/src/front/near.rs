//! `?near=`: answers in the order of the round-trip times from a node.

use super::blocking::Cx;
use super::remote;
use super::request::Request;
use crate::Str;
use crate::rpc::arguments::Source;
use crate::store::Store;
use alloc::vec::Vec;

/// From where distances are counted.
pub(super) struct Near<'a> {
    store: &'a Store,
    from: Str,
}

impl<'a> Near<'a> {
    /// What a call names. `None`: the order stays, because no node is named, or none of this datacenter, or it has
    /// not said where it is.
    pub(super) fn of(cx: &Cx<'a>, source: &Source) -> Option<Near<'a>> {
        let store = &cx.view.store;
        let here = source.datacenter == cx.view.config.datacenter && !source.node.is_empty();
        let known = here && store.node_coordinates(&source.node).next().is_some();
        known.then(|| Near { store, from: source.node.clone() })
    }

    /// What a request names.
    pub(super) fn of_request(cx: &Cx<'a>, rq: &Request) -> Option<Near<'a>> {
        match rq.query.get("near") {
            "" => None,
            _ => Near::of(cx, &source(cx, rq)),
        }
    }

    /// Sorts by the distance to `node`; what is equally far stays in order, what is nowhere comes last.
    pub(super) fn sort<T>(&self, items: &mut Vec<T>, node: impl Fn(&T) -> &str) {
        let mut far: Vec<(f64, T)> =
            items.drain(..).map(|item| (self.store.distance(&self.from, node(&item)), item)).collect();
        far.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        items.extend(far.into_iter().map(|(_, item)| item));
    }
}

/// The node that a request names; `_agent` is this one.
pub(super) fn source(cx: &Cx<'_>, rq: &Request) -> Source {
    let config = &cx.view.config;
    let node = match rq.query.get("near") {
        "" => return Source::default(),
        "_agent" => config.node_name.clone(),
        node => Str::from(node),
    };
    Source { datacenter: remote::datacenter(rq, config), node, ..Source::default() }
}
