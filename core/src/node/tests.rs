//! What inputs that come together share.

use super::forward::Frame;
use super::{Boot, DiskImage, Input, NetOrder, Node, Output, StopKind};
use crate::Str;
use crate::agent::AgentRequest;
use crate::call::{CallError, Reply, Request};
use crate::command::{Command, KvCommand};
use crate::config::RuntimeConfig;
use crate::config::gossip::Secret;
use crate::gossip;
use crate::gossip::consul::ServerTags;
use crate::gossip::wire::{Alive, Message, ip_bytes};
use crate::ids::{CallId, FrontId, Index, Pool, Term, Ticket};
use crate::raft::{self, Membership, SnapshotMeta};
use crate::rng::Seed;
use crate::store::Store;
use crate::time::{Instant, Now, WallTime};
use crate::types::{CheckDefinition, KvEntry, KvOp, ServiceDefinition};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

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

/// One server that has never run before.
fn fresh(config: RuntimeConfig) -> Node {
    let boot = Boot {
        config: Arc::new(config),
        node_id: Str::from("11111111-2222-3333-4444-555555555555"),
        disk: DiskImage::default(),
        bootstrap: None,
        addresses: BTreeMap::new(),
        seed: Seed::from_u64(1),
    };
    Node::boot(boot, NOW).expect("an empty disk boots")
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
    let ttl = 60_000_000_000;
    let check = CheckDefinition { ttl, status: "passing".into(), ..CheckDefinition::default() };
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
    let views = |outputs: &[Output]| outputs.iter().filter(|o| matches!(o, Output::Publish { .. })).count();
    assert_eq!(views(&outputs), 0, "shown when it is answered");
    assert!(!outputs.iter().any(|o| matches!(o, Output::Reply { .. })), "answered before it is on disk");

    let before = node.store().applied();
    node.handle(NOW, Input::Persisted { upto });
    let outputs = drain(&mut node);
    assert_eq!(node.store().applied(), before + 3, "an index for each");
    assert_eq!(views(&outputs), 1, "the agent's and the catalog's together");
    assert_eq!(node.view().local.service_count(), 3);
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
fn what_comes_while_the_rest_is_carried_out_is_refused_at_once() {
    let mut node = leading();
    register(&mut node, 1);
    node.handle(NOW, Input::Stop(StopKind::Terminate));
    let upto = persists(&drain(&mut node)).last().map(|(ticket, ..)| *ticket).expect("it waits for the disk");
    let from = FrontId(0);
    let barrier = || Request::ReadBarrier { consistent: true };
    node.handle(NOW, Input::Call { from, call: CallId(7), request: barrier() });
    let request = Request::ForAgent(Box::new(barrier()));
    node.handle(NOW, Input::Call { from, call: CallId(8), request });
    let mut refused: BTreeMap<CallId, CallError> = BTreeMap::new();
    for output in drain(&mut node) {
        if let Output::Reply { call, reply: Reply::Failed(error), .. } = output {
            refused.insert(call, error);
        }
    }
    assert!(refused[&CallId(7)].to_string().contains("shutting down, nothing was changed"), "{refused:?}");
    // An agent asks the next server then.
    assert_eq!(refused[&CallId(8)], CallError::NoLeader);
    node.handle(NOW, Input::Persisted { upto });
    let outputs = drain(&mut node);
    assert!(outputs.iter().any(|o| matches!(o, Output::Reply { call: CallId(1), .. })), "{outputs:?}");
    assert!(outputs.iter().any(|o| matches!(o, Output::Stopped { .. })), "{outputs:?}");
}

#[test]
fn a_key_is_on_the_disk_before_anybody_hears_that_it_is_installed() {
    let mut config = RuntimeConfig { node_name: Str::from("n1"), server: true, ..RuntimeConfig::default() };
    config.ports.serf_lan = Some(8301);
    config.gossip.encrypt = Some(Secret(vec![1; 32]));
    let own = SocketAddr::new(config.gossip.lan.advertise, 8301);
    let mut node = fresh(config);
    // What it sends to itself comes back.
    let settle = |node: &mut Node| {
        let mut seen = Vec::new();
        loop {
            let outputs = drain(node);
            if outputs.is_empty() {
                return seen;
            }
            for output in outputs {
                match output {
                    Output::Gossip { pool, order: NetOrder::Packet { to, bytes } } if to == own => {
                        let input = gossip::Input::Packet { from: own, bytes };
                        node.handle(NOW, Input::Gossip { pool, input });
                    }
                    output => seen.push(output),
                }
            }
        }
    };
    let upto = persists(&settle(&mut node)).last().map(|(ticket, ..)| *ticket).expect("its first key");
    node.handle(NOW, Input::Persisted { upto });
    settle(&mut node);
    let command = gossip::KeyCommand::Install(vec![2; 32].into());
    let request = Request::Keys { command, relay_factor: 0, local: true };
    node.handle(NOW, Input::Call { from: FrontId(0), call: CallId(1), request });
    let outputs = settle(&mut node);
    let answered = |o: &Output| matches!(o, Output::Reply { reply: Reply::Keys(_), .. });
    assert!(!outputs.iter().any(answered), "told before it is kept");
    let upto = persists(&outputs).last().map(|(ticket, ..)| *ticket).expect("it is to be kept");
    node.handle(NOW, Input::Persisted { upto });
    let outputs = settle(&mut node);
    let said = outputs.iter().find_map(|output| match output {
        Output::Reply { reply: Reply::Keys(said), .. } => Some(said),
        _ => None,
    });
    assert_eq!(said.map(|said| (said.len(), said[0].num_nodes, &*said[0].error)), Some((1, 1, "")));
}

#[test]
fn a_server_that_gossip_does_not_know_is_answered_where_it_says_that_it_is() {
    let ids = ["11111111-2222-3333-4444-555555555555", "22222222-2222-3333-4444-555555555555"].map(Str::from);
    let boot = Boot {
        config: Arc::new(RuntimeConfig { server: true, ..RuntimeConfig::default() }),
        node_id: ids[0].clone(),
        disk: DiskImage::default(),
        bootstrap: Some(Membership::of_voters(ids.clone())),
        addresses: BTreeMap::from([(ids[1].clone(), "127.0.0.2:8300".parse().expect("an address"))]),
        seed: Seed::from_u64(1),
    };
    let mut node = Node::boot(boot, NOW).expect("an empty disk boots");
    let moved = "127.0.0.3:8300".parse().expect("an address");
    node.handle(NOW, Input::PeerAt { from: ids[1].clone(), at: moved });
    // Nobody's address is kept that takes no part.
    node.handle(NOW, Input::PeerAt { from: Str::from("stranger"), at: moved });
    let upto = persists(&drain(&mut node)).last().map(|(ticket, ..)| *ticket).expect("its first entry");
    node.handle(NOW, Input::Persisted { upto });
    let later = Now { mono: NOW.mono + crate::time::Duration::from_secs(30), wall: NOW.wall };
    node.handle(later, Input::Wake);
    let to: Vec<_> = drain(&mut node)
        .into_iter()
        .filter_map(|output| match output {
            Output::Peer { to, at, .. } => Some((to, at)),
            _ => None,
        })
        .collect();
    assert_eq!(to.first(), Some(&(ids[1].clone(), Some(moved))), "{to:?}");
    assert!(!node.addresses.contains_key("stranger"));
}

#[test]
fn a_server_that_gossip_does_not_know_yet_has_the_name_that_the_catalog_gives_it() {
    let mut node = leading();
    let id = core::mem::replace(&mut node.id, Str::from("another"));
    assert_eq!(node.server_name(&id), Str::from("n1"));
    assert_eq!(node.server_name(&Str::from("unknown")), Str::from("unknown"));
}

#[test]
fn a_node_joins_others_and_not_itself() {
    let mut config = RuntimeConfig { node_name: Str::from("n1"), server: true, ..RuntimeConfig::default() };
    config.ports.serf_lan = Some(8301);
    config.gossip.lan.retry_join = vec!["127.0.0.1".into(), "n2".into()];
    let mut node = fresh(config);
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

#[test]
fn thousands_of_things_that_one_input_sets_off_are_done_and_stop_nothing() {
    const MANY: u64 = 12_000;
    let mut node = leading();
    (0..MANY).for_each(|call| register(&mut node, call));
    let upto = persists(&drain(&mut node)).last().expect("a batch").0;
    node.handle(NOW, Input::Persisted { upto });
    drain(&mut node);
    let statuses = |node: &Node, status: &str| {
        let checks = &node.view().local;
        checks.checks().filter(|check| &*check.status == status).count()
    };
    assert_eq!(statuses(&node, "passing"), MANY as usize);
    // As after a pause of the machine: every time to live is over at once.
    let late = Now { mono: NOW.mono + crate::time::Duration::from_secs(120), wall: NOW.wall };
    node.handle(late, Input::Wake);
    let upto = persists(&drain(&mut node)).last().expect("a batch").0;
    node.handle(late, Input::Persisted { upto });
    drain(&mut node);
    assert_eq!(statuses(&node, "critical"), MANY as usize);
}

#[test]
fn a_forwarded_command_that_cannot_be_read_is_refused_and_not_logged() {
    let mut node = leading();
    let other = Str::from("22222222-2222-3333-4444-555555555555");
    let ask = |id: u8, command: &[u8]| [&[1, 0, 0, 0, 0, 0, 0, 0, id], command].concat().into();
    node.handle(NOW, Input::Peer { from: other.clone(), bytes: ask(7, b"\xffnot a command") });
    let outputs = drain(&mut node);
    assert_eq!(persists(&outputs), []);
    let refused = |output: &Output| matches!(output, Output::Peer { to, bytes, .. } if *to == other && bytes.ends_with(&[5]));
    assert!(outputs.iter().any(refused), "{outputs:?}");
    let entry = KvEntry { key: Str::from("a"), ..KvEntry::default() };
    let readable = Command::Kv(KvCommand { op: KvOp::Set, dir_ent: entry }).encode();
    node.handle(NOW, Input::Peer { from: other.clone(), bytes: ask(8, &readable) });
    assert_eq!(persists(&drain(&mut node)).len(), 1);
}

/// A server in both pools, which takes what comes in clear, and another server that only the LAN pool knows.
fn one_of_two(more: impl FnOnce(&mut RuntimeConfig)) -> Node {
    let mut config = RuntimeConfig { node_name: Str::from("n1"), server: true, ..RuntimeConfig::default() };
    (config.ports.serf_lan, config.ports.serf_wan) = (Some(8301), Some(8302));
    config.gossip.encrypt = Some(Secret(vec![1; 32]));
    config.gossip.verify_incoming = false;
    more(&mut config);
    let datacenter = config.datacenter.clone();
    let mut node = fresh(config);
    let other = SocketAddr::from(([127, 0, 0, 2], 8301));
    let tags = ServerTags {
        datacenter,
        id: Str::from("22222222-2222-3333-4444-555555555555"),
        build: Str::from("1.21.5"),
        port: 8300,
        wan_join_port: Some(8302),
        ..ServerTags::default()
    };
    let alive = Alive {
        addr: ip_bytes(other.ip()),
        incarnation: 1,
        meta: gossip::encode_tags(&tags.tags()).expect("short tags").into(),
        node: Str::from("n2"),
        port: other.port(),
        vsn: gossip::VSN.to_vec().into(),
    };
    let input = gossip::Input::Packet { from: other, bytes: Message::Alive(alive).encode().into() };
    node.handle(NOW, Input::Gossip { pool: Pool::Lan, input });
    node
}

fn seconds_later(seconds: u64) -> Now {
    Now { mono: NOW.mono + crate::time::Duration::from_secs(seconds), wall: NOW.wall }
}

#[test]
fn a_second_signal_ends_a_node_that_is_leaving_at_once() {
    let mut node = one_of_two(|config| config.leave_on_terminate = true);
    let mut said = Vec::new();
    let mut settle = |node: &mut Node| loop {
        let outputs = drain(node);
        let stopped = outputs.iter().find_map(|output| match output {
            Output::Stopped { kind, code } => Some((*kind, *code)),
            _ => None,
        });
        said.extend(outputs.iter().filter_map(|output| match output {
            Output::Event(event) => Some(event.message.to_string()),
            _ => None,
        }));
        match persists(&outputs).last() {
            Some((upto, ..)) if stopped.is_none() => node.handle(NOW, Input::Persisted { upto: *upto }),
            _ => return stopped,
        }
    };
    settle(&mut node);
    node.handle(NOW, Input::Stop(StopKind::Terminate));
    assert_eq!(settle(&mut node), None, "the other server is told first");
    node.handle(NOW, Input::Stop(StopKind::Interrupt));
    assert_eq!(settle(&mut node), Some((StopKind::Terminate, 1)), "cut short: not as it should be");
    assert!(said.iter().any(|line| line == "Caught second signal, Exiting"), "{said:?}");
    assert!(!said.iter().any(|line| line == "Graceful exit completed"), "{said:?}");
}

#[test]
fn who_is_to_be_in_the_pool_of_all_servers_and_is_not_counts_as_one_that_has_not_answered_about_keys() {
    let mut node = one_of_two(|_| ());
    let own = node.config.gossip.lan.advertise;
    let request = Request::Keys { command: gossip::KeyCommand::List, relay_factor: 0, local: false };
    node.handle(NOW, Input::Call { from: FrontId(0), call: CallId(1), request });
    let mut said = None;
    for now in (0..=60).map(seconds_later) {
        node.handle(now, Input::Wake);
        loop {
            let outputs = drain(&mut node);
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                match output {
                    // What it sends to itself comes back; the other one is silent.
                    Output::Gossip { pool, order: NetOrder::Packet { to, bytes } } if to.ip() == own => {
                        let input = gossip::Input::Packet { from: to, bytes };
                        node.handle(now, Input::Gossip { pool, input });
                    }
                    Output::Persist { ticket: upto, .. } => node.handle(now, Input::Persisted { upto }),
                    Output::Reply { reply: Reply::Keys(keys), .. } => said = Some(keys),
                    _ => {}
                }
            }
        }
    }
    let said = said.expect("an answer");
    let shown: Vec<_> = said.iter().map(|pool| (pool.wan, pool.num_nodes, &*pool.error)).collect();
    let half = "1/2 nodes reported success";
    assert_eq!(shown, [(true, 2, half), (false, 2, half)]);
}

/// A follower that has nothing, and is sent a snapshot of one piece by its leader.
fn sent_a_snapshot(data: &[u8]) -> (Node, Vec<Output>) {
    let ids = ["11111111-2222-3333-4444-555555555555", "22222222-2222-3333-4444-555555555555"].map(Str::from);
    let mut node = fresh(RuntimeConfig { server: true, ..RuntimeConfig::default() });
    drain(&mut node);
    let cluster = 7;
    let membership = Membership { cluster, ..Membership::of_voters(ids.clone()) };
    let meta = SnapshotMeta { index: Index(40), term: Term(3), membership };
    let (total, chunk) = (data.len() as u64, Bytes::copy_from_slice(data));
    let message =
        raft::Message { term: Term(3), body: raft::Body::Snapshot { meta, total, offset: 0, chunk } };
    let bytes = Frame::Raft { cluster, message }.encode();
    node.handle(NOW, Input::Peer { from: ids[1].clone(), bytes });
    let mut all = Vec::new();
    loop {
        let outputs = drain(&mut node);
        let Some((upto, ..)) = persists(&outputs).last().copied() else { break };
        all.extend(outputs);
        node.handle(NOW, Input::Persisted { upto });
    }
    (node, all)
}

fn snapshots(outputs: &[Output]) -> usize {
    let with = |output: &&Output| match output {
        Output::Persist { batch, .. } => batch.raft.as_ref().is_some_and(|raft| raft.snapshot.is_some()),
        _ => false,
    };
    outputs.iter().filter(with).count()
}

#[test]
fn a_snapshot_that_cannot_be_read_is_refused_by_name_before_anything_is_written() {
    let mut store = Store::default();
    store.skip(40);
    let good = store.encode_snapshot();
    let (node, outputs) = sent_a_snapshot(&good);
    assert_eq!((snapshots(&outputs), node.store().applied()), (1, 40), "{outputs:?}");
    assert!(node.received.is_empty());

    store.skip(41);
    let other = store.encode_snapshot();
    let cases = [(&good[..good.len() - 1], ""), (b"nonsense", ""), (&other[..], "it ends at index 41")];
    for (data, why) in cases {
        let (node, outputs) = sent_a_snapshot(data);
        assert_eq!((snapshots(&outputs), node.store().applied()), (0, 0), "{outputs:?}");
        assert!(!node.halted && node.received.is_empty());
        let event = outputs.iter().find_map(|output| match output {
            Output::Event(event) if event.message.contains("cannot be read and is not taken") => Some(event),
            _ => None,
        });
        let event = event.expect("it says so");
        let field = |name: &str| event.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| &**value);
        assert_eq!(field("leader"), Some("22222222-2222-3333-4444-555555555555"));
        assert_eq!(field("index"), Some("40"));
        assert!(field("error").is_some_and(|error| !error.is_empty() && error.contains(why)), "{event:?}");
    }
}
