//! Codecs: JSON bodies, msgpack commands, raft messages and entries, snapshots.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lictor_benches::workload::catalog::{VALUE, instance};
use lictor_benches::world::World;
use lictor_core::command::{Command, Register};
use lictor_core::ids::{Index, Term};
use lictor_core::json;
use lictor_core::raft::{Body, Entry, LogId, Message, Payload};
use lictor_core::store::Store;
use lictor_core::types::{HealthCheck, NodeService};
use std::hint::black_box;

fn command() -> Command {
    let id = "web-1";
    let service = NodeService { id: id.into(), service: "web".into(), port: 8080, ..NodeService::default() };
    let check = HealthCheck {
        node: "node-1".into(),
        check_id: "service:web-1".into(),
        status: "passing".into(),
        service_id: id.into(),
        output: "HTTP GET http://10.0.0.1:8080/health: 200 OK Output: ok".into(),
        ..HealthCheck::default()
    };
    Command::Register(Box::new(Register {
        node: "node-1".into(),
        address: "10.0.0.1".into(),
        service: Some(service),
        check: Some(check),
        ..Register::default()
    }))
}

fn small(c: &mut Criterion) {
    let body = instance("web", 1, "passing");
    let value = "x<y & z ".repeat(16) + VALUE;
    let encoded = command().encode();
    let mut group = c.benchmark_group("codec");
    group.bench_function("json_parse_registration", |b| {
        b.iter(|| black_box(json::parse_body(black_box(body.as_bytes()))).is_ok());
    });
    group.bench_function("json_write_strings", |b| {
        b.iter(|| json::to_vec(|w| w.object(|w| w.field_str("Output", black_box(&value)))));
    });
    group.bench_function("command_encode", |b| {
        let command = command();
        b.iter(|| black_box(&command).encode());
    });
    group.bench_function("command_decode", |b| b.iter(|| Command::decode(black_box(&encoded))));
    let entry = |i| Entry { index: Index(i), term: Term(1), payload: Payload::Command(encoded.clone()) };
    let message = Message {
        term: Term(1),
        body: Body::Append {
            prev: LogId { index: Index(9), term: Term(1) },
            commit: Index(9),
            entries: (10..74).map(entry).collect(),
        },
    };
    let frame = message.encode();
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("raft_append_64_encode", |b| b.iter(|| black_box(&message).encode()));
    group.bench_function("raft_append_64_decode", |b| {
        b.iter(|| Message::decode(black_box(&frame).clone()));
    });
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    let world = World::populated();
    let store = &world.view.store;
    let bytes: Bytes = store.encode_snapshot();
    let mut group = c.benchmark_group("snapshot");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode_1111_instances", |b| b.iter(|| store.encode_snapshot()));
    group.bench_function("decode_1111_instances", |b| b.iter(|| Store::decode_snapshot(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, small, snapshot);
criterion_main!(benches);
