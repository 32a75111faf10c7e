//! What inputs that come together share.

use super::{Boot, DiskImage, Input, NetOrder, Node, Output, StopKind};
use crate::Str;
use crate::agent::AgentRequest;
use crate::call::{Reply, Request};
use crate::config::RuntimeConfig;
use crate::ids::{CallId, FrontId, Term, Ticket};
use crate::raft::Membership;
use crate::rng::Seed;
use crate::time::{Instant, Now, WallTime};
use crate::types::{CheckDefinition, ServiceDefinition};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const NOW: Now = Now { mono: Instant(1_000_000_000), wall: WallTime(0) };

/// One server that leads and has told the catalog of itself.
fn leading() -> Node {
    let id = Str::from("11111111-2222-3333-4444-555555555555");
    let config = RuntimeConfig { node_name: Str::from("n1"), server: true, ..RuntimeConfig::default() };
    let boot = Boot {
        config: Arc::new(config),
        node_id: id.clone(),
        disk: DiskImage::default(),
        bootstrap: Some(Membership::of_voters([id])),
        addresses: BTreeMap::new(),
        seed: Seed::from_u64(1),
    };
    let mut node = Node::boot(boot, NOW).expect("an empty disk boots");
    node.handle(NOW, Input::Wake);
    while let Some(upto) = persists(&drain(&mut node)).last().map(|(ticket, ..)| *ticket) {
        node.handle(NOW, Input::Persisted { upto });
    }
    assert!(node.store().node("n1").is_some(), "it knows itself");
    node
}

fn drain(node: &mut Node) -> Vec<Output> {
    core::iter::from_fn(|| node.poll_output()).collect()
}

/// Ticket, log entries and records of each batch.
fn persists(outputs: &[Output]) -> Vec<(Ticket, usize, usize)> {
    let batches = outputs.iter().filter_map(|output| match output {
        Output::Persist { ticket, batch } => Some((ticket, batch)),
        _ => None,
    });
    let entries = |raft: &crate::raft::Batch| raft.append.len();
    batches.map(|(t, b)| (*t, b.raft.as_ref().map_or(0, entries), b.local.len())).collect()
}

fn register(node: &mut Node, call: u64) {
    let check = CheckDefinition { ttl: 60_000_000_000, ..CheckDefinition::default() };
    let definition =
        Box::new(ServiceDefinition { name: format!("s{call}"), checks: vec![check], ..Default::default() });
    let request = AgentRequest::RegisterService { definition, replace_existing_checks: false };
    let (from, call) = (FrontId(0), CallId(call));
    node.handle(NOW, Input::Call { from, call, request: Request::Agent(request) });
}

#[test]
fn a_server_that_voted_and_holds_no_log_is_of_no_cluster() {
    let mut config = RuntimeConfig { node_name: Str::from("n3"), server: true, ..RuntimeConfig::default() };
    config.ports.serf_lan = Some(8301);
    let mut disk = DiskImage::default();
    disk.raft.hard.term = Term(8);
    let boot = Boot {
        config: Arc::new(config),
        node_id: Str::from("11111111-2222-3333-4444-555555555555"),
        disk,
        bootstrap: None,
        addresses: BTreeMap::new(),
        seed: Seed::from_u64(1),
    };
    let node = Node::boot(boot, NOW).expect("a vote alone boots");
    let shown = node
        .view()
        .members
        .lan
        .iter()
        .find(|member| *member.name == *"n3")
        .map(|own| own.tag("lictor_cluster"));
    assert_eq!(shown, Some("none"), "else no cluster takes it in");
}

#[test]
fn registrations_that_come_together_are_one_batch_with_their_log_entries_and_wait_for_it() {
    let mut node = leading();
    (0..3).for_each(|call| register(&mut node, call));
    let outputs = drain(&mut node);
    let [(upto, entries, records)] = persists(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!((entries, records), (3, 6), "a service with a check each");
    assert_eq!(outputs.iter().filter(|o| matches!(o, Output::Publish { .. })).count(), 1);
    assert!(!outputs.iter().any(|o| matches!(o, Output::Reply { .. })), "answered before it is on disk");

    let before = node.store().applied();
    node.handle(NOW, Input::Persisted { upto });
    let outputs = drain(&mut node);
    assert_eq!(node.store().applied(), before + 3, "an index for each");
    let shown = outputs.iter().position(|o| matches!(o, Output::Publish { .. })).expect("a view");
    let answered: Vec<usize> = outputs
        .iter()
        .enumerate()
        .filter(|(_, o)| matches!(o, Output::Reply { reply: Reply::Agent(Ok(())), .. }))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(answered.len(), 3);
    assert!(answered.iter().all(|at| *at > shown), "answered before it can be read");
}

#[test]
fn what_came_before_a_stop_is_on_disk_and_answered_before_it() {
    let mut node = leading();
    register(&mut node, 1);
    node.handle(NOW, Input::Stop(StopKind::Terminate));
    let outputs = drain(&mut node);
    let [(upto, _, _)] = persists(&outputs)[..] else { panic!("{outputs:?}") };
    assert!(!outputs.iter().any(|o| matches!(o, Output::Stopped { .. })), "it waits for the disk");
    node.handle(NOW, Input::Persisted { upto });
    let outputs = drain(&mut node);
    let answered = outputs.iter().position(|o| matches!(o, Output::Reply { .. })).expect("it is answered");
    let stopped = outputs.iter().position(|o| matches!(o, Output::Stopped { .. })).expect("it stops");
    assert!(answered < stopped);
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut node = leading();
    register(&mut node, 1);
    node.handle(NOW, Input::Stop(StopKind::Terminate));
    assert!(!drain(&mut node).iter().any(|o| matches!(o, Output::Stopped { .. })));
    let late = Now { mono: NOW.mono + crate::time::Duration::from_secs(1), wall: NOW.wall };
    node.handle(late, Input::Wake);
    assert!(drain(&mut node).iter().any(|o| matches!(o, Output::Stopped { .. })));
}

#[test]
fn a_node_joins_others_and_not_itself() {
    let mut config = RuntimeConfig { node_name: Str::from("n1"), server: true, ..RuntimeConfig::default() };
    config.ports.serf_lan = Some(8301);
    config.gossip.lan.retry_join = vec!["127.0.0.1".into(), "n2".into()];
    let boot = Boot {
        config: Arc::new(config),
        node_id: Str::from("11111111-2222-3333-4444-555555555555"),
        disk: DiskImage::default(),
        bootstrap: None,
        addresses: BTreeMap::new(),
        seed: Seed::from_u64(1),
    };
    let mut node = Node::boot(boot, NOW).expect("an empty disk boots");
    drain(&mut node);
    node.handle(NOW, Input::Wake);
    let asked = |outputs: &[Output]| {
        outputs.iter().find_map(|o| match o {
            Output::Resolve { lookup, .. } => Some(*lookup),
            _ => None,
        })
    };
    let lookup = asked(&drain(&mut node)).expect("names are resolved at once");
    let own = "127.0.0.1:8301".parse().expect("an address");
    let found = vec![Ok(vec![own]), Ok(vec!["127.0.0.2:8301".parse().expect("an address")])];
    node.handle(NOW, Input::Resolved { lookup, found });
    let dialled: Vec<_> = drain(&mut node)
        .into_iter()
        .filter_map(|o| match o {
            Output::Gossip { order: NetOrder::Open { to, .. }, .. } => Some(to.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(dialled, ["127.0.0.2:8301"]);
}
