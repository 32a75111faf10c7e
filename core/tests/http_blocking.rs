//! Blocking reads: when they wake, what they answer, and what they wait for first.

mod support;

use lictor_core::front::FrontInput;
use lictor_core::ids::Index;
use lictor_core::node::{CallError, Reply, Request};
use lictor_core::time::{Duration, Instant};
use std::sync::Arc;
use support::{World, header, index, request, text};

fn world() -> World {
    World::new(|_| {})
}

#[test]
fn a_read_wakes_at_once_when_its_key_changes_and_not_for_another() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}"));
    let (_, replies) = world.send(request("PUT", "/v1/kv/b", "x"));
    assert!(replies.iter().all(|(req, _)| *req != waiting));
    let (_, replies) = world.send(request("PUT", "/v1/kv/a", "2"));
    let (_, reply) = replies.iter().find(|(req, _)| *req == waiting).expect("woken by its key");
    assert_eq!(reply.status, 200);
    assert!(index(reply) > seen && text(reply).contains("\"Mg==\""));
    assert_eq!(world.front.pending(), 0);
}

#[test]
fn writing_the_same_value_again_wakes_nobody() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}"));
    let (_, replies) = world.send(request("PUT", "/v1/kv/a", "1"));
    assert!(replies.iter().all(|(req, _)| *req != waiting));
}

#[test]
fn at_its_deadline_a_read_answers_with_the_current_index() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}&wait=10s"));
    assert!(world.advance(Duration::from_millis(9_999)).is_empty());
    // The jitter is at most a sixteenth of the wait.
    let replies = world.advance(Duration::from_millis(626));
    let (req, reply) = &replies[0];
    assert_eq!((*req, reply.status, index(reply)), (waiting, 200, seen));
}

#[test]
fn the_wait_defaults_to_five_minutes_and_is_cut_to_ten() {
    for (wait, least, most) in [("", 300, 319), ("&wait=0", 300, 319), ("&wait=20h", 600, 638)] {
        let mut world = world();
        world.park(&format!("/v1/kv/none?index=9999{wait}"));
        assert!(world.advance(Duration::from_secs(least) - Duration::from_millis(1)).is_empty(), "{wait}");
        assert_eq!(world.advance(Duration::from_secs(most - least)).len(), 1, "{wait}");
    }
}

#[test]
fn no_index_is_ever_zero_and_a_future_one_waits() {
    let mut world = world();
    for target in
        ["/v1/kv/a", "/v1/kv/?keys", "/v1/health/service/x", "/v1/catalog/node/x", "/v1/health/node/x"]
    {
        assert!(index(&world.ask("GET", target, "")) >= 1, "{target}");
    }
    world.park("/v1/catalog/nodes?index=99999");
    assert!(world.ask("GET", "/v1/catalog/nodes?index=0", "").status == 200);
}

/// A client comes from a server that has shown it the key to one that lags behind. There the key is not
/// there yet; when that server has caught up it is deleted, which is news to the client.
#[test]
fn a_deletion_is_news_though_the_server_never_saw_the_key() {
    let mut world = world();
    let behind = world.view.clone();
    world.ask("PUT", "/v1/kv/a", "1");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    world.view = behind;
    let waiting = world.park(&format!("/v1/kv/a?stale&index={seen}"));
    let (_, replies) = world.send(request("DELETE", "/v1/kv/a", ""));
    let (_, reply) = replies.iter().find(|(req, _)| *req == waiting).expect("woken by the deletion");
    assert_eq!(reply.status, 404);
    assert!(index(reply) > seen);
}

#[test]
fn a_key_that_is_missing_and_stays_missing_is_no_news() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/other", "1");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}"));
    world.ask("PUT", "/v1/kv/other", "2");
    let everything = FrontInput::Changed(Arc::new(one_key("a")));
    assert!(world.input(everything).is_empty(), "another key's index is no news of this one");
    let (_, replies) = world.send(request("PUT", "/v1/kv/a", "1"));
    assert!(replies.iter().any(|(req, reply)| *req == waiting && reply.status == 200));
}

fn one_key(key: &str) -> lictor_core::watch::ChangeSet {
    let mut changes = lictor_core::watch::ChangeSet::default();
    changes.keys.insert(key.into());
    changes
}

#[test]
fn a_deleted_key_wakes_the_read_with_404() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}"));
    let (_, replies) = world.send(request("DELETE", "/v1/kv/a", ""));
    assert!(replies.iter().any(|(req, reply)| *req == waiting && reply.status == 404 && index(reply) > seen));
}

#[test]
fn a_service_read_wakes_for_its_instances_checks_and_nodes_and_for_no_other_service() {
    let mut world = world();
    let register = |node: &str, service: &str, status: &str| {
        format!(
            r#"{{"Node":"{node}","Address":"1.1.1.1","Service":{{"Service":"{service}"}},
                "Check":{{"CheckID":"{service}-up","ServiceID":"{service}","Status":"{status}"}}}}"#
        )
    };
    let moved = r#"{"Node":"x","Address":"2.2.2.2"}"#.to_owned();
    world.ask("PUT", "/v1/catalog/register", &register("x", "web", "passing"));
    let target = "/v1/health/service/web";
    let steps = [register("x", "web", "critical"), register("y", "web", "passing"), moved];
    for (step, other) in steps.iter().zip(["passing", "warning", "critical"]) {
        let seen = index(&world.ask("GET", target, ""));
        let waiting = world.park(&format!("{target}?index={seen}&passing"));
        let (_, replies) = world.send(request("PUT", "/v1/catalog/register", &register("z", "db", other)));
        assert!(matches!(&replies[..], [(req, reply)] if *req != waiting && reply.status == 200));
        let (_, replies) = world.send(request("PUT", "/v1/catalog/register", step));
        let woken = replies.iter().find(|(req, _)| *req == waiting);
        assert!(woken.is_some_and(|(_, reply)| index(reply) > seen), "{step}");
    }
}

/// As recorded from Consul: its index moves with the catalog until some service has died out, and then whenever
/// another one does. The streaming backend hears of none of this.
#[test]
fn a_read_of_a_service_that_never_was_is_answered_when_its_index_moves() {
    let mut world = world();
    let put = |world: &mut World, name: &str| {
        let body = format!(r#"{{"Node":"x","Address":"10.0.0.1","Service":{{"Service":"{name}"}}}}"#);
        world.send(request("PUT", "/v1/catalog/register", &body)).1
    };
    put(&mut world, "web");
    let never = "/v1/catalog/service/never";
    let seen = index(&world.ask("GET", never, ""));
    let streamed = world.park(&format!("/v1/health/service/never?index={seen}"));
    let waiting = [
        world.park(&format!("{never}?index={seen}")),
        world.park(&format!("/v1/health/service/never?near=_agent&index={seen}")),
    ];
    let replies = put(&mut world, "db");
    for req in waiting {
        let (_, reply) = replies.iter().find(|(answered, _)| *answered == req).expect("another service came");
        assert!(index(reply) > seen && text(reply) == "[]");
    }
    assert!(replies.iter().all(|(req, _)| *req != streamed));
    let gone = r#"{"Node":"x","ServiceID":"db"}"#;
    world.ask("PUT", "/v1/catalog/deregister", gone);
    let seen = index(&world.ask("GET", never, ""));
    let waiting = world.park(&format!("{never}?index={seen}"));
    assert!(put(&mut world, "db").iter().all(|(req, _)| *req != waiting), "nothing has died out");
    let (_, replies) = world.send(request("PUT", "/v1/catalog/deregister", gone));
    assert!(replies.iter().any(|(req, _)| *req == waiting));
}

#[test]
fn one_batch_answers_each_waiter_once() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/p/a", "1");
    let seen = index(&world.ask("GET", "/v1/kv/p/?recurse", ""));
    let waiting: Vec<_> = (0..3).map(|_| world.park(&format!("/v1/kv/p/?recurse&index={seen}"))).collect();
    let body = r#"[{"KV":{"Verb":"set","Key":"p/a","Value":"Mg=="}},{"KV":{"Verb":"set","Key":"p/b"}}]"#;
    let (_, replies) = world.send(request("PUT", "/v1/txn", body));
    for req in waiting {
        assert_eq!(replies.iter().filter(|(r, _)| *r == req).count(), 1);
    }
}

#[test]
fn a_client_that_left_is_forgotten() {
    let mut world = world();
    let waiting = world.park("/v1/kv/a?index=9999");
    world.input(FrontInput::Gone { req: waiting });
    assert_eq!(world.front.pending(), 0);
    assert!(world.front.poll_timeout().is_none());
    let (_, replies) = world.send(request("PUT", "/v1/kv/a", "1"));
    assert_eq!(replies.len(), 1);
}

#[test]
fn without_a_lease_a_default_read_asks_and_waits_for_the_barriers_index() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    let mut view = (*world.view).clone();
    view.raft.lease_until = Instant::ZERO;
    world.view = Arc::new(view.clone());
    world.held = Some(Vec::new());
    assert_eq!(world.ask("GET", "/v1/kv/a?stale", "").status, 200);
    let req = world.park("/v1/kv/a");
    let held = world.held.as_mut().map(std::mem::take).unwrap_or_default();
    assert!(matches!(held[..], [(_, Request::ReadBarrier { consistent: false })]));

    let ahead = Index(view.raft.applied.0 + 1);
    world.reply(held[0].0, Reply::Barrier { index: ahead });
    assert!(world.settle(Default::default()).is_empty(), "the view is behind the barrier");
    view.raft.applied = ahead;
    world.view = Arc::new(view);
    let replies = world.input(FrontInput::Wake);
    assert!(matches!(&replies[..], [(r, reply)] if *r == req && reply.status == 200));
}

#[test]
fn what_is_known_of_a_cached_read_is_answered_by_a_server_without_a_leader_and_says_how_old_it_is() {
    let mut world = world();
    let cached = "/v1/catalog/services?cached";
    assert_eq!(header(&world.ask("GET", cached, ""), "X-Cache"), "MISS");
    let mut view = (*world.view).clone();
    view.raft.lease_until = Instant::ZERO;
    view.raft.is_leader = false;
    view.raft.leader = None;
    view.raft.last_contact = Some(world.now.mono);
    world.view = Arc::new(view);
    world.now.mono = world.now.mono + Duration::from_secs(7);
    let reply = world.ask("GET", cached, "");
    assert_eq!((header(&reply, "X-Cache"), header(&reply, "Age")), ("HIT", "7"));
    world.held = Some(Vec::new());
    world.park("/v1/catalog/services?cached&filter=ServiceName==a");
    let held = world.held.as_mut().map(std::mem::take).unwrap_or_default();
    assert!(matches!(held[..], [(_, Request::ReadBarrier { consistent: false })]), "a miss asks");
}

#[test]
fn a_view_that_never_catches_up_ends_in_an_error() {
    let mut world = world();
    let mut view = (*world.view).clone();
    view.raft.lease_until = Instant::ZERO;
    world.view = Arc::new(view.clone());
    world.held = Some(Vec::new());
    world.park("/v1/catalog/nodes");
    let (call, _) = world.held.as_mut().map(std::mem::take).unwrap_or_default().remove(0);
    world.reply(call, Reply::Barrier { index: Index(u64::MAX) });
    world.now.mono = world.now.mono + view.config.performance.rpc_hold_timeout;
    let replies = world.input(FrontInput::Wake);
    assert!(text(&replies[0].1).starts_with("No cluster leader"), "{replies:?}");
    assert_eq!(world.front.pending(), 0);
}

#[test]
fn a_consistent_read_asks_whatever_the_lease_and_errors_say_what_happened() {
    let mut world = world();
    let mut view = (*world.view).clone();
    view.raft.lease_until = world.now.mono + Duration::from_secs(3600);
    world.view = Arc::new(view);
    world.held = Some(Vec::new());
    for (error, status, wanted) in [
        (CallError::NoLeader, 500, "No cluster leader"),
        (CallError::Busy, 429, "rate limit exceeded"),
        (CallError::Unknown, 500, "outcome is unknown"),
    ] {
        world.park("/v1/catalog/nodes?consistent");
        let (call, asked) = world.held.as_mut().map(std::mem::take).unwrap_or_default().remove(0);
        assert_eq!(asked, Request::ReadBarrier { consistent: true });
        world.reply(call, Reply::Failed(error));
        let replies = world.settle(Default::default());
        let (_, reply) = &replies[0];
        assert_eq!(reply.status, status);
        assert!(text(reply).contains(wanted), "{}", text(reply));
        // Consul's catalog sends the meta of an empty answer along.
        assert_eq!((index(reply), header(reply, "X-Consul-Knownleader")), (1, "false"));
    }
}

#[test]
fn a_sole_voter_answers_a_consistent_read_at_once_and_shows_the_last_write() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    world.held = Some(Vec::new());
    assert!(text(&world.ask("GET", "/v1/kv/a?consistent", "")).contains("MQ=="));
    assert_eq!(world.held.map(|held| held.len()), Some(0), "nobody was asked");
}

#[test]
fn a_stale_read_past_its_bound_asks_the_leader() {
    let mut world = world();
    let mut view = (*world.view).clone();
    view.raft.is_leader = false;
    view.raft.lease_until = Instant::ZERO;
    view.raft.last_contact = Some(Instant::ZERO);
    world.view = Arc::new(view);
    world.now.mono = Instant::ZERO + Duration::from_secs(5);
    world.held = Some(Vec::new());
    let reply = world.ask("GET", "/v1/catalog/nodes?max_stale=10s", "");
    assert_eq!(header(&reply, "X-Consul-Lastcontact"), "5000");
    assert_eq!(header(&reply, "X-Consul-Effective-Consistency"), "stale");
    world.park("/v1/catalog/nodes?max_stale=1s");
    assert_eq!(world.held.map(|held| held.len()), Some(1));
}

#[test]
fn discovery_max_stale_is_for_reads_of_catalog_and_health_that_say_nothing_else() {
    let mut world = World::new(|config| config.http.discovery_max_stale = Duration::from_secs(3600));
    for (path, consistency) in [
        ("/v1/catalog/nodes", "stale"),
        ("/v1/health/service/consul", "stale"),
        ("/v1/catalog/nodes?max_stale=0s", "stale"),
        ("/v1/catalog/nodes?leader", "leader"),
        ("/v1/health/service/consul?cached", "leader"),
        ("/v1/catalog/nodes?consistent", "consistent"),
        ("/v1/coordinate/nodes", ""),
        ("/v1/kv/?keys", ""),
    ] {
        let reply = world.ask("GET", path, "");
        assert_eq!(header(&reply, "X-Consul-Effective-Consistency"), consistency, "{path}");
    }
}

#[test]
fn a_restored_snapshot_answers_a_waiter_whose_index_has_fallen() {
    let mut world = world();
    world.ask("PUT", "/v1/kv/a", "1");
    let old = world.view.clone();
    world.ask("PUT", "/v1/kv/a", "2");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}"));
    let everything = || FrontInput::Changed(Arc::new(lictor_core::watch::ChangeSet::everything()));
    assert!(world.input(everything()).is_empty(), "the same state again is no news");
    world.view = old;
    let replies = world.input(everything());
    assert!(matches!(&replies[..], [(req, reply)] if *req == waiting && index(reply) < seen));
}

#[test]
fn the_very_last_index_is_an_index_like_any_other() {
    let mut world = world();
    let last = u64::MAX;
    let unknown =
        world.ask("GET", &format!("/v1/query/8f246b77-f3e1-ff88-5b48-8ec93abf3e05?index={last}&wait=3s"), "");
    assert_eq!((unknown.status, text(&unknown)), (404, "Query not found"));
}
