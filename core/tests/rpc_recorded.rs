//! What a real Consul agent and server said to each other, read by our end of the connection.

#[path = "support/recorded.rs"]
mod recorded;

use lictor_core::rpc::message::{AnswerHead, CallHead};
use lictor_core::rpc::{FirstByte, message};
use lictor_core::wire::{Tree, msgpack};
use recorded::{by_stream, connections, first_byte, messages};
use std::collections::BTreeMap;

#[test]
fn the_first_byte_tells_calls_streaming_and_snapshots_apart() {
    let kinds: Vec<_> = connections().iter().map(first_byte).collect();
    assert_eq!(kinds, [Some(FirstByte::Grpc), Some(FirstByte::Mux), Some(FirstByte::Snapshot)]);
}

#[test]
fn every_call_of_a_consul_agent_is_read_and_written_again_byte_for_byte() {
    let calls = &connections()[1];
    let mut methods = Vec::new();
    for part in [1, 13, 4096] {
        methods.clear();
        for (_, stream) in by_stream(calls, true, part) {
            let mut again = Vec::new();
            for (head, body) in messages::<CallHead>(&stream) {
                // Maps keep their order in a tree, so the bytes are the same again.
                let arguments: Tree = msgpack::from_slice(&body).expect("what a real Consul sends");
                again.extend_from_slice(&message::call(head.seq, &head.service_method, &arguments));
                methods.push(head.service_method);
            }
            assert!(again == stream, "written differently");
        }
    }
    assert_eq!(methods.len(), 42);
    for method in
        ["Catalog.NodeServiceList", "Catalog.Register", "Health.ServiceNodes", "KVS.Apply", "Txn.Read"]
    {
        assert!(methods.iter().any(|m| m == method), "{method}");
    }
}

#[test]
fn every_answer_of_a_consul_server_is_read_and_written_again_byte_for_byte() {
    let calls = &connections()[1];
    let mut answers = BTreeMap::new();
    for (_, stream) in by_stream(calls, false, 1000) {
        let mut again = Vec::new();
        for (head, body) in messages::<AnswerHead>(&stream) {
            let to = CallHead { seq: head.seq, service_method: head.service_method.clone() };
            if head.error.is_empty() {
                let result: Tree = msgpack::from_slice(&body).expect("what a real Consul sends");
                again.extend_from_slice(&message::answer(&to, &result));
            } else {
                again.extend_from_slice(&message::failure(&to, &head.error));
            }
            answers.insert(head.seq, head.error);
        }
        assert!(again == stream, "written differently");
    }
    assert_eq!(answers.len(), 42);
    assert_eq!(answers[&40], "No path to datacenter");
    assert!(answers[&39].starts_with("Failed to create boolean expression evaluator"));
}
