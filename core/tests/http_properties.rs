//! Whatever a client sends, the front answers or waits, and neither panics nor keeps what is over.

mod support;

use bytes::Bytes;
use lictor_core::front::{FrontInput, HttpRequest};
use proptest::prelude::*;
use support::{World, request};

/// Pieces of targets that reach deep, mixed with noise.
fn target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/v1/kv/"),
        Just("/v1/health/service/"),
        Just("/v1/catalog/service/"),
        Just("/v1/catalog/node/"),
        Just("/v1/txn"),
        Just("/v1/agent/check/update/"),
        Just("/v1/agent/service/register"),
        Just("/v1/catalog/register"),
        Just("/v1/agent/health/service/name/"),
        Just("/v1/agent/service/"),
        Just("/v1/query/x/execute"),
        Just("web"),
        Just("a/b"),
        Just("//"),
        Just("/../"),
        Just("%2f"),
        Just("%"),
        Just("%00"),
        Just("%e9"),
        Just("?"),
        Just("&"),
        Just("index="),
        Just("wait="),
        Just("stale"),
        Just("consistent"),
        Just("recurse"),
        Just("keys&separator=/"),
        Just("raw"),
        Just("pretty"),
        Just("max_stale=1s"),
        Just("cas="),
        Just("flags=18446744073709551616"),
        Just("tag="),
        Just("node-meta=:"),
        Just("9"),
        Just("99999999999999999999"),
        Just("-1"),
        Just("10s"),
        Just("ns="),
        Just("hash=0"),
        Just("filter="),
        Just("\u{e9}"),
        Just(";"),
    ];
    prop_oneof![
        4 => proptest::collection::vec(piece, 0..8).prop_map(|p| p.concat()),
        1 => ".{0,40}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(r#"{"Node":"x","Address":"1","Service":{"Service":"web","Tags":["a"]}}"#.to_owned()),
        Just(r#"{"Name":"w","Check":{"TTL":"10s"}}"#.to_owned()),
        Just(
            r#"[{"KV":{"Verb":"set","Key":"a","Value":"MQ=="}},{"KV":{"Verb":"get-tree","Key":""}}]"#
                .to_owned()
        ),
        Just("[".repeat(100_000)),
        Just(r#"{"Service":"#.repeat(1000)),
        Just(r#"{"Node":{"Node":{"Node":[]}},"Meta":{"a":null}}"#.to_owned()),
    ];
    prop_oneof![
        3 => json.prop_map(String::into_bytes),
        2 => (json_like(), 0usize..200).prop_map(|(s, cut)| {
            let mut b = s.into_bytes();
            b.truncate(cut);
            b
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

fn json_like() -> impl Strategy<Value = String> {
    "[\\[\\]{}:,\"a-zA-Z0-9 \\\\.-]{0,120}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_request_is_answered_or_waits(
        requests in proptest::collection::vec((
            prop_oneof![Just("GET"), Just("PUT"), Just("DELETE"), Just("HEAD"), Just("OPTIONS"), Just("\u{fffd}")],
            target(),
            proptest::collection::vec((
                prop_oneof![Just("cache-control"), Just("accept"), Just("x-consul-namespace"), Just("x")],
                proptest::collection::vec(any::<u8>(), 0..12),
            ), 0..3),
            body(),
        ), 1..6),
    ) {
        let mut world = World::new(|_| {});
        let mut open = Vec::new();
        for (method, target, headers, body) in requests {
            let raw = HttpRequest {
                headers: headers.into_iter().map(|(n, v)| (n.to_owned(), Bytes::from(v))).collect(),
                body: Bytes::from(body),
                ..request(method, &target, "")
            };
            let (req, replies) = world.send(raw);
            open.push(req);
            for (req, reply) in replies {
                prop_assert!((200..600).contains(&reply.status));
                prop_assert!(open.contains(&req), "answered twice");
                open.retain(|r| *r != req);
            }
        }
        prop_assert_eq!(world.front.pending(), open.len());
        for req in open {
            world.input(FrontInput::Gone { req });
        }
        prop_assert_eq!(world.front.pending(), 0);
        prop_assert_eq!(world.front.poll_timeout(), None);
    }
}
