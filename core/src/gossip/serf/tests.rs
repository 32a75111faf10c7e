//! Serf's own bytes, both ways.

use super::filter::{encode_filters, passes};
use super::message::*;
use super::*;
use crate::wire::msgpack;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

fn vector(name: &str) -> Vec<u8> {
    let text = include_str!("tests/serf.txt");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no vector {name}"));
    let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
    line.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn check<T>(name: &str, kind: u8, body: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + core::fmt::Debug,
{
    let bytes = vector(name);
    assert_eq!(bytes[0], kind, "{name}");
    assert_eq!(decode::<T>(&bytes[1..]).as_ref(), Ok(body), "{name}");
    assert_eq!(encode(kind, body), bytes, "{name}");
}

const LOOPBACK: &[u8] = &[127, 0, 0, 1];

fn query() -> Query {
    Query {
        addr: Bytes::from_static(LOOPBACK),
        filters: vec![Raw(Bytes::from_static(&[1, 2]))],
        flags: 1,
        id: 99,
        ltime: 6,
        name: "q".into(),
        payload: Bytes::from_static(b"hi"),
        port: 8301,
        relay_factor: 2,
        source_node: "n1".into(),
        timeout: 15_000_000_000,
    }
}

fn response(payload: &'static [u8]) -> QueryResponse {
    QueryResponse { flags: 0, from: "n2".into(), id: 99, ltime: 6, payload: Bytes::from_static(payload) }
}

#[test]
fn messages_are_serfs_to_the_byte() {
    check("join", JOIN, &Join { ltime: 3, node: "n1".into() });
    check("leave", LEAVE, &Leave { ltime: 300, node: "n1".into(), prune: true });
    let payload = Bytes::from_static(&[1, 2]);
    check("event", USER_EVENT, &UserEvent { coalesce: true, ltime: 5, name: "deploy".into(), payload });
    check("query", QUERY, &query());
    check("response", QUERY_RESPONSE, &response(b"yo"));
    let past = PastEvent { name: "deploy".into(), payload: Bytes::from_static(&[1]) };
    check(
        "pushpull",
        PUSH_PULL,
        &PushPull {
            event_ltime: 5,
            events: vec![None, Some(PastEvents { events: vec![past], ltime: 4 })],
            ltime: 9,
            left_members: vec!["n0".into()],
            query_ltime: 2,
            status_ltimes: [("n1".into(), 4)].into(),
        },
    );
    check("keyreq", KEY_REQUEST, &KeyRequest { key: Bytes::from_static(b"0123456789abcdef") });
    let keys = vec!["a".to_string(), "b".to_string()];
    let answer = KeyResponse { keys, message: "".into(), primary_key: "a".into(), result: true };
    check("keyresp", KEY_RESPONSE, &answer);
    check(
        "conflict",
        CONFLICT_RESPONSE,
        &ConflictResponse {
            addr: Bytes::from_static(LOOPBACK),
            delegate_cur: 4,
            delegate_max: 5,
            delegate_min: 2,
            name: "n1".into(),
            port: 8301,
            protocol_cur: 2,
            protocol_max: 5,
            protocol_min: 1,
            status: Status::Alive.number(),
            tags: [("a".into(), "b".into())].into(),
        },
    );
}

#[test]
fn what_serf_leaves_nil_is_empty() {
    let nil: Query = decode(&vector("query_nil")[1..]).expect("a query");
    assert_eq!(nil, Query { id: 99, ltime: 6, name: "q".into(), ..Query::default() });
}

#[test]
fn a_relayed_answer_is_serfs_but_for_its_nil() {
    let dest_addr = RelayAddr { ip: Bytes::from_static(LOOPBACK), port: 8301, zone: "".into() };
    let header = RelayHeader { dest_addr, dest_name: "n1".into() };
    let bytes = vector("relay");
    let (read, rest): (RelayHeader, _) = msgpack::from_slice_prefix(&bytes[1..]).expect("a header");
    assert_eq!(read, header);
    assert_eq!(rest[0], QUERY_RESPONSE);
    assert_eq!(decode::<QueryResponse>(&rest[1..]), Ok(response(b"")));
    let mut ours = encode(RELAY, &header);
    ours.extend(encode(QUERY_RESPONSE, &response(b"")));
    assert_eq!(ours.pop(), Some(0xa0));
    ours.push(0xc0);
    assert_eq!(ours, bytes);
}

#[test]
fn tags_and_coordinates_are_serfs_to_the_byte() {
    let tags = [("role".into(), "consul".into())].into();
    assert_eq!(encode_tags(&tags), Ok(vector("tags")));
    assert_eq!(decode_tags(&vector("tags")), tags);
    assert_eq!(decode_tags(b"web"), [("role".into(), "web".into())].into(), "as members of old wrote it");
    assert!(decode_tags(&[0xff, 0x81]).is_empty(), "damaged");
    let long = [("a".into(), "b".repeat(510).as_str().into())].into();
    assert_eq!(encode_tags(&long), Err(TagsTooLong));
    let mut place = Coordinate::default();
    (place.vec[0], place.vec[7]) = (1.0, -0.5);
    check("coord", 1, &place);
}

#[test]
fn filters_are_serfs_and_let_through_whom_they_mean() {
    let nodes: [crate::Str; 2] = ["n1".into(), "n2".into()];
    let filters = encode_filters(&nodes, &[("role".into(), "^web".into())].into());
    assert_eq!(filters[0].0, vector("filter_node"));
    assert_eq!(filters[1].0, vector("filter_tag"));
    let role = |role: &str| [("role".into(), role.into())].into();
    assert!(passes(&filters, "n2", &role("web-1")));
    assert!(!passes(&filters, "n3", &role("web-1")));
    assert!(!passes(&filters, "n2", &role("db")));
    assert!(!passes(&filters, "n2", &BTreeMap::new()));
    let raw = |bytes: &'static [u8]| [Raw(Bytes::from_static(bytes))];
    assert!(!passes(&raw(&[]), "n1", &BTreeMap::new()), "an empty filter");
    assert!(!passes(&raw(&[7, 0x90]), "n1", &BTreeMap::new()), "an unknown filter");
    let pattern = |text: &str| encode_filters(&[], &[("role".into(), text.into())].into());
    assert!(!passes(&pattern("("), "n1", &BTreeMap::new()), "a damaged pattern");
    assert!(!passes(&pattern("(a{1000}){1000}"), "n1", &BTreeMap::new()), "a pattern that explodes");
    assert!(passes(&pattern(r"^\d\w$"), "n1", &role("1a")));
}
