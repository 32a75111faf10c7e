//! Consul's rules about members.

use super::super::serf::{Member, Status};
use super::*;
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;

fn member(name: &str, tags: BTreeMap<Str, Str>) -> Member {
    Member {
        name: name.into(),
        addr: "10.0.0.7:8301".parse().expect("an address"),
        tags,
        status: Status::Alive,
        vsn: [1, 5, 2, 2, 5, 4],
    }
}

fn server_tags() -> ServerTags {
    ServerTags {
        datacenter: "dc1".into(),
        id: "id-1".into(),
        build: "1.21.5:abc".into(),
        port: 8300,
        wan_join_port: Some(8302),
        grpc_tls_port: Some(8503),
        expect: 3,
        ..ServerTags::default()
    }
}

fn server() -> Member {
    member("s1", server_tags().tags())
}

fn client(name: &str, id: &str, datacenter: &str) -> Member {
    let (id, datacenter) = (id.into(), datacenter.into());
    member(name, ClientTags { datacenter, id, build: "1.21.5".into(), reconnect_timeout: None }.tags())
}

fn without(mut member: Member, tag: &str) -> Member {
    member.tags.remove(tag);
    member
}

fn with(mut member: Member, tag: &str, value: &str) -> Member {
    member.tags.insert(tag.into(), value.into());
    member
}

#[test]
fn a_server_is_what_its_tags_say() {
    let server = Server::from_member(&server()).expect("a server");
    assert_eq!((&*server.name, &*server.short_name, &*server.datacenter), ("s1", "s1", "dc1"));
    assert_eq!(server.addr, "10.0.0.7:8300".parse().expect("an address"));
    assert_eq!((server.expect, server.bootstrap, server.use_tls), (3, false, false));
    assert_eq!(
        (server.wan_join_port, server.grpc_port, server.grpc_tls_port),
        (Some(8302), None, Some(8503))
    );
    assert_eq!(server.build, Build(1, 21, 5));
    assert_eq!((server.version, server.raft_version), (2, 3));
    assert_eq!(server.features, [("fs".into(), 1), ("si".into(), 1)].into());
    let wan = member(&wan_name("s1", "dc1"), server_tags().tags());
    let wan = Server::from_member(&wan).expect("a server");
    assert_eq!((&*wan.name, &*wan.short_name), ("s1.dc1", "s1"));
}

#[test]
fn damaged_tags_make_no_server() {
    assert!(Server::from_member(&client("c1", "id-2", "dc1")).is_none());
    for missing in ["port", "vsn", "build", "role"] {
        assert!(Server::from_member(&without(server(), missing)).is_none(), "{missing}");
    }
    for damaged in ["port", "vsn", "raft_vsn", "expect", "wan_join_port", "grpc_tls_port", "ft_fs"] {
        assert!(Server::from_member(&with(server(), damaged, "x")).is_none(), "{damaged}");
    }
    for dispensable in ["raft_vsn", "expect", "wan_join_port", "grpc_tls_port", "ft_fs"] {
        assert!(Server::from_member(&without(server(), dispensable)).is_some(), "{dispensable}");
    }
}

#[test]
fn the_first_three_numbers_in_a_row_are_the_build() {
    let cases = [
        ("1.21.5", Some(Build(1, 21, 5))),
        ("v0.8.5-dev:1", Some(Build(0, 8, 5))),
        ("12:1.2.3", Some(Build(1, 2, 3))),
        ("1.2", None),
        ("", None),
    ];
    for (text, build) in cases {
        assert_eq!(Build::find(text), build, "{text}");
    }
    assert!(Build(1, 3, 0) > Build(1, 2, 10));
}

fn refusal(members: &[Member]) -> Option<String> {
    let (datacenter, node_id, node_name) = ("dc1".into(), "own-id".into(), "own".into());
    LanRules { datacenter, node_id, node_name }.admit(members).err()
}

#[test]
fn a_pool_holds_one_datacenter_and_each_id_once() {
    let a = client("a", "id-a", "dc1");
    assert_eq!(refusal(&[server(), a.clone()]), None);
    let cases = [
        (vec![client("a", "id-a", "dc2")], "Member 'a' part of wrong datacenter 'dc2'"),
        (vec![with(server(), "dc", "dc2")], "Member 's1' part of wrong datacenter 'dc2'"),
        (
            vec![client("a", "own-id", "dc1")],
            "Member 'a' has conflicting node ID 'own-id' with this agent's ID",
        ),
        (
            vec![with(a.clone(), "segment", "s")],
            "Member 'a' part of segment 's'; Network Segments are a Consul Enterprise feature",
        ),
        (
            vec![with(a.clone(), "ap", "p")],
            "Member 'a' part of partition 'p'; Partitions are a Consul Enterprise feature",
        ),
    ];
    for (members, text) in cases {
        assert_eq!(refusal(&members).as_deref(), Some(text));
    }
    assert_eq!(refusal(&[client("OWN", "own-id", "dc1")]), None, "ourselves, from an earlier life");
    for status in [Status::Left, Status::Failed] {
        let gone = Member { status, ..client("b", "own-id", "dc1") };
        assert_eq!(refusal(&[a.clone(), gone]), None, "who is gone does not conflict");
    }
    let both = [a.clone(), client("b", "id-a", "dc1")];
    assert_eq!(refusal(&both), None, "one of them is refused alone");
    assert_eq!(refusal(&[member("plain", BTreeMap::new())]), None, "not Consul's, not our business");
}

#[test]
fn the_pool_of_all_datacenters_holds_servers_only() {
    assert_eq!(admit_wan(&[server(), with(server(), "dc", "dc2")]), Ok(()));
    let mixed = [server(), client("c1", "id-2", "dc1")];
    assert_eq!(admit_wan(&mixed), Err("Member 'c1' is not a server".into()));
}

#[test]
fn members_shows_servers_clients_and_strangers() {
    let row = |member| {
        let row = row(&member);
        [row.kind, row.status].into_iter().map(String::from).chain(
            [row.build, row.protocol, row.datacenter, row.partition, row.segment].map(|text| (*text).into()),
        )
    };
    let server: vec::Vec<String> = row(server()).collect();
    assert_eq!(server, ["server", "alive", "1.21.5", "2", "dc1", "default", "<all>"]);
    let client: vec::Vec<String> = row(client("c", "i", "dc1")).collect();
    assert_eq!(client, ["client", "alive", "1.21.5", "2", "dc1", "default", "<default>"]);
    let stranger: vec::Vec<String> = row(member("x", BTreeMap::new())).collect();
    assert_eq!(stranger, ["unknown", "alive", "", "", "", "", ""]);
}

#[test]
fn a_clients_patience_is_in_its_tags() {
    let tags = ClientTags {
        reconnect_timeout: Some(crate::time::Duration::from_secs(900)),
        ..ClientTags::default()
    };
    assert_eq!(tags.tags().get("rc_tm").map(|text| &**text), Some("15m0s"));
}
