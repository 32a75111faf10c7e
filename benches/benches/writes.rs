//! Writes: through front, raft and store without a disk, and the store alone.

use criterion::{Criterion, criterion_group, criterion_main};
use lictor_benches::workload::catalog::{VALUE, instance};
use lictor_benches::world::World;
use lictor_core::command::{Command, KvCommand};
use lictor_core::store::Store;
use lictor_core::types::{KvEntry, KvOp};
use lictor_core::watch::ChangeSet;
use std::hint::black_box;

fn through(c: &mut Criterion) {
    let mut world = World::populated();
    let mut count = 0_u64;
    let mut group = c.benchmark_group("write");
    group.bench_function("kv_put", |b| {
        b.iter(|| {
            count += 1;
            black_box(world.ask("PUT", &format!("/v1/kv/bench/{}", count % 10_000), VALUE))
        });
    });
    group.bench_function("catalog_register_unchanged", |b| {
        let body = instance("web-100", 7, "passing");
        b.iter(|| black_box(world.ask("PUT", "/v1/catalog/register", &body)));
    });
    group.bench_function("catalog_register_changed", |b| {
        b.iter(|| {
            count += 1;
            let body = instance("web-100", 7, "passing").replace("200 OK", &count.to_string());
            black_box(world.ask("PUT", "/v1/catalog/register", &body))
        });
    });
    group.bench_function("agent_service_register", |b| {
        b.iter(|| {
            count += 1;
            // New ones, as long as an agent takes more.
            let id = count % 50_000;
            let body = format!(
                r#"{{"ID":"job-{id}","Name":"job","Port":{},"Check":{{"TTL":"10m"}}}}"#,
                count % 60_000 + 1
            );
            black_box(world.ask("PUT", "/v1/agent/service/register", &body))
        });
    });
    group.finish();
}

fn apply(c: &mut Criterion) {
    let put = |i: u64| {
        let key = format!("config/app-{:06}", i % 100_000);
        let entry = KvEntry { key: key.into(), value: VALUE.into(), flags: i, ..KvEntry::default() };
        Command::Kv(KvCommand { op: KvOp::Set, dir_ent: entry })
    };
    let mut store = Store::default();
    let mut changes = ChangeSet::default();
    let mut index = 0;
    while index < 100_000 {
        index += 1;
        store.apply(index, &put(index), &mut changes);
    }
    let mut group = c.benchmark_group("apply");
    group.bench_function("kv_set_of_100000", |b| {
        b.iter(|| {
            index += 1;
            store.apply(index, &put(index), &mut ChangeSet::default())
        });
    });
    // A view that holds the state before makes every touched page a copy.
    group.bench_function("kv_set_of_100000_beside_a_view", |b| {
        b.iter(|| {
            index += 1;
            let view = store.clone();
            store.apply(index, &put(index), &mut ChangeSet::default());
            view
        });
    });
    group.finish();
}

criterion_group!(benches, through, apply);
criterion_main!(benches);
