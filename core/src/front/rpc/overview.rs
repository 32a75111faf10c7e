//! `Internal.CatalogOverview`: how many nodes, instances and checks there are in each state.

use super::super::blocking::Cx;
use super::result::bytes;
use super::{Failure, Step, decode, refuse_other_datacenter};
use crate::Str;
use crate::rpc::arguments::ReadArguments;
use crate::types::{HealthCheck, status};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::Serialize;

/// How many of a name are in which state.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    name: Str,
    total: u64,
    passing: u64,
    warning: u64,
    critical: u64,
}

impl Summary {
    fn add(&mut self, state: &str) {
        self.total += 1;
        match state {
            status::PASSING => self.passing += 1,
            status::WARNING => self.warning += 1,
            status::CRITICAL => self.critical += 1,
            _ => {}
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Overview {
    nodes: Option<Vec<Summary>>,
    services: Option<Vec<Summary>>,
    checks: Option<Vec<Summary>>,
}

/// The state of whatever these checks are about: that of the unhealthiest.
fn worst<'a>(checks: impl Iterator<Item = &'a HealthCheck>) -> &'static str {
    checks.fold(status::PASSING, |worst, check| match &*check.status {
        status::CRITICAL => status::CRITICAL,
        status::WARNING if worst == status::PASSING => status::WARNING,
        _ => worst,
    })
}

fn sorted(by_name: BTreeMap<Str, Summary>) -> Option<Vec<Summary>> {
    let named = by_name.into_iter().map(|(name, summary)| Summary { name, ..summary });
    Some(named.collect()).filter(|all: &Vec<Summary>| !all.is_empty())
}

/// Any server of the datacenter answers from what it has.
pub(super) fn catalog_overview(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let asked: ReadArguments = decode(arguments)?;
    refuse_other_datacenter(&asked.datacenter, &cx.view.config.datacenter)?;
    let store = &cx.view.store;
    let (mut services, mut checks) = (BTreeMap::<Str, Summary>::new(), BTreeMap::<Str, Summary>::new());
    // All nodes together have no name.
    let mut nodes = Summary::default();
    for node in store.nodes() {
        let all = || store.node_checks(&node.node).map(|check| &**check);
        all().for_each(|check| checks.entry(check.name.clone()).or_default().add(&check.status));
        nodes.add(worst(all().filter(|check| check.service_id.is_empty())));
        for service in store.node_services(&node.node) {
            let own = all().filter(|check| check.service_id == service.id);
            services.entry(service.service.clone()).or_default().add(worst(own));
        }
    }
    let nodes = (nodes.total > 0).then(|| Vec::from([nodes]));
    let overview = Overview { nodes, services: sorted(services), checks: sorted(checks) };
    Ok(Step::Done(bytes(&overview)))
}
