//! `/v1/snapshot`: saved, restored, and refused with nothing changed.

mod support;

use bytes::Bytes;
use lictor_core::archive;
use lictor_core::config::Network;
use lictor_core::front::{FrontInput, of_snapshot_request};
use lictor_core::ids::ReqId;
use lictor_core::node::{CallError, Reply};
use lictor_core::rpc::snapshot::{Op, SnapshotRequest};
use support::{World, header, index, request, text};

fn put(world: &mut World, archive: &[u8]) -> lictor_core::front::HttpReply {
    let mut rq = request("PUT", "/v1/snapshot", "");
    rq.body = Bytes::copy_from_slice(archive);
    let (req, replies) = world.send(rq);
    replies.into_iter().find(|(r, _)| *r == req).expect("answered").1
}

fn save(world: &mut World) -> Bytes {
    let reply = world.ask("GET", "/v1/snapshot", "");
    assert_eq!(reply.status, 200);
    reply.body
}

#[test]
fn what_is_saved_says_so_in_its_headers_and_is_an_archive_of_that_index() {
    let mut world = World::new(|_| {});
    world.ask("PUT", "/v1/kv/a", "1");
    for target in ["/v1/snapshot", "/v1/snapshot?stale", "/v1/snapshot?index=nonsense&consistent&stale"] {
        let reply = world.ask("GET", target, "");
        assert_eq!(reply.status, 200, "{target}");
        assert_eq!(header(&reply, "Content-Type"), "application/x-gzip");
        assert_eq!(header(&reply, "X-Consul-Knownleader"), "true");
        let archive = archive::read(&reply.body).expect("an archive");
        assert_eq!(archive.meta.index, index(&reply));
        assert_eq!(archive.meta.size as usize, archive.state.len());
        let configuration = archive.meta.configuration.servers.expect("servers");
        assert_eq!(&*configuration[0].id, support::NODE_ID);
    }
}

#[test]
fn a_restore_brings_back_what_was_and_wakes_who_waits() {
    let mut world = World::new(|_| {});
    world.ask("PUT", "/v1/kv/a", "1");
    let saved = save(&mut world);
    world.ask("PUT", "/v1/kv/a", "2");
    world.ask("PUT", "/v1/kv/b", "2");
    let seen = index(&world.ask("GET", "/v1/kv/a", ""));
    let waiting = world.park(&format!("/v1/kv/a?index={seen}"));
    let mut rq = request("PUT", "/v1/snapshot", "");
    rq.body = saved;
    let (req, replies) = world.send(rq);
    let of = |wanted| &replies.iter().find(|(r, _)| *r == wanted).expect("answered").1;
    assert_eq!((of(req).status, text(of(req))), (200, ""));
    let woken = of(waiting);
    assert!(text(woken).contains("\"MQ==\"") && index(woken) < seen, "{woken:?}");
    assert_eq!(world.ask("GET", "/v1/kv/b", "").status, 404);
    world.ask("PUT", "/v1/kv/a", "3");
    assert!(index(&world.ask("GET", "/v1/kv/a", "")) > seen, "indexes go on");
    assert_eq!(world.front.pending(), 0);
}

#[test]
fn a_state_of_several_parts_comes_back_whole() {
    let mut world = World::new(|_| {});
    let value: String = (0..400_000_u32).map(|n| char::from(b'a' + (n.wrapping_mul(n) % 26) as u8)).collect();
    for key in 0..8 {
        world.ask("PUT", &format!("/v1/kv/k{key}"), &value);
    }
    let saved = save(&mut world);
    assert!(archive::read(&saved).expect("an archive").state.len() > 3 << 20);
    let mut other = World::new(|_| {});
    assert_eq!(put(&mut other, &saved).status, 200);
    for key in 0..8 {
        let target = format!("/v1/kv/k{key}?raw");
        assert_eq!(text(&other.ask("GET", &target, "")), value);
    }
    // From a cluster that was further: nobody ever sees an index twice.
    let before = index(&world.ask("GET", "/v1/kv/k7", ""));
    other.ask("PUT", "/v1/kv/new", "");
    assert!(index(&other.ask("GET", "/v1/kv/new", "")) > before);
}

#[test]
fn a_bad_archive_changes_nothing() {
    let mut world = World::new(|_| {});
    world.ask("PUT", "/v1/kv/a", "1");
    let saved = save(&mut world);
    let archive = archive::read(&saved).expect("an archive");
    let version = archive::Meta { version: 9, ..archive.meta.clone() };
    let before = world.node.store().clone();
    let raft = "Raft error when restoring snapshot: ";
    for (bytes, expected) in [
        (Vec::new(), "failed to decompress snapshot: EOF".to_owned()),
        (b"garbage".to_vec(), "failed to decompress snapshot: unexpected EOF".to_owned()),
        (archive::write(&version, &archive.state, 0), format!("{raft}unsupported snapshot version 9")),
        (
            archive::write(&archive.meta, b"nonsense", 0),
            format!(
                "{raft}failed to restore snapshot: not a snapshot: the header cannot be read, nothing was changed"
            ),
        ),
    ] {
        let reply = put(&mut world, &bytes);
        assert_eq!((reply.status, text(&reply)), (500, &*expected));
        assert_eq!(world.node.store(), &before);
    }
    let reply = world.ask("PUT", "/v1/snapshot?stale", "");
    assert_eq!((reply.status, text(&reply)), (500, "stale not allowed for restore"));
}

#[test]
fn one_snapshot_at_a_time_is_worked_on_until_its_restore_ends() {
    let mut world = World::new(|_| {});
    world.ask("PUT", "/v1/kv/a", "1");
    let saved = save(&mut world);
    let restore = |world: &mut World| {
        let mut rq = request("PUT", "/v1/snapshot", "");
        rq.body = saved.clone();
        world.send(rq)
    };
    let busy = (429, "another snapshot is being saved or restored on this server: try again in a moment");
    let mut ask = |gone: bool| {
        world.held = Some(Vec::new());
        let (req, replies) = restore(&mut world);
        assert!(replies.is_empty(), "its first part is under way");
        let (_, refused) = restore(&mut world);
        assert_eq!((refused[0].1.status, text(&refused[0].1)), busy);
        let refused = world.ask("GET", "/v1/snapshot?stale", "");
        assert_eq!((refused.status, text(&refused)), busy);
        let (call, _) = world.held.take().expect("held").remove(0);
        let replies = match gone {
            true => world.input(FrontInput::Gone { req }),
            false => {
                world.reply(call, Reply::Failed(CallError::Unknown));
                world.settle(Default::default())
            }
        };
        assert!(replies.iter().all(|(r, reply)| *r == req && reply.status == 500), "{replies:?}");
        assert_eq!(world.ask("GET", "/v1/snapshot", "").status, 200);
        assert_eq!(world.front.pending(), 0);
    };
    ask(true);
    ask(false);
    assert_eq!(put(&mut world, &saved).status, 200);
}

#[test]
fn rules_for_http_do_not_hold_for_what_comes_by_the_server_port() {
    let mut world = World::new(|c| {
        c.http.block_endpoints = vec!["/v1/snapshot".into()];
        c.http.allow_write_http_from = vec![Network { address: "10.0.0.0".parse().unwrap(), length: 8 }];
    });
    for method in ["GET", "PUT"] {
        assert_eq!(world.ask(method, "/v1/snapshot", "").status, 403, "{method}");
    }
    let mut handed = |op, archive: Bytes| {
        let datacenter = "dc1".into();
        let rq = SnapshotRequest { datacenter, op, ..SnapshotRequest::default() };
        let rq = of_snapshot_request(&rq, archive, ([127, 0, 0, 1], 1).into());
        world.input(FrontInput::Handed { req: ReqId(1000), request: rq }).remove(0).1
    };
    let saved = handed(Op::Save, Bytes::new());
    assert_eq!(saved.status, 200, "{saved:?}");
    assert_eq!(handed(Op::Restore, saved.body).status, 200);
}

#[test]
fn a_restore_whose_answer_was_lost_may_still_happen_and_says_so() {
    let mut world = World::new(|_| {});
    for (method, known) in [("GET", true), ("PUT", false)] {
        world.held = Some(Vec::new());
        let (req, replies) = world.send(request(method, "/v1/snapshot?dc=dc2", ""));
        assert!(replies.is_empty(), "{replies:?}");
        let (call, _) = world.held.take().expect("held").remove(0);
        let why = "rpc error making call: i/o deadline reached";
        world.reply(call, Reply::Failed(CallError::Remote(why.into())));
        let (answered, reply) = world.settle(Default::default()).remove(0);
        assert_eq!((answered, reply.status), (req, 500));
        assert_eq!(text(&reply) == why, known, "{reply:?}");
        assert_eq!(text(&reply).contains("it may still be: look before"), !known);
    }
}
