//! What the store's tables take for each entry: live bytes and allocations, as asked of the allocator.
//!
//! The process beside them (allocator's rounding, log, views) is measured by the harness's `size`.

use lictor_benches::workload::catalog::VALUE;
use lictor_core::Str;
use lictor_core::command::{Command, KvCommand, Register};
use lictor_core::store::Store;
use lictor_core::types::{HealthCheck, KvEntry, KvOp, NodeService};
use lictor_core::watch::ChangeSet;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn put(i: u64) -> Command {
    let key = format!("config/app-{i:06}");
    let entry = KvEntry { key: key.into(), value: VALUE.into(), ..KvEntry::default() };
    Command::Kv(KvCommand { op: KvOp::Set, dir_ent: entry })
}

/// An instance on a node of its own, with a check, two tags and metadata, as the harness registers them.
fn instance(i: u64) -> Command {
    let (name, at) = (format!("svc-{}", i / 50), i % 50);
    let (node, id) = (format!("node-{name}-{at:04}"), format!("{name}-{at}"));
    let service = NodeService {
        id: Str::from(&id),
        service: Str::from(&name),
        tags: [Str::from("v1"), Str::from("primary")].into(),
        port: 8080,
        meta: [(Str::from("version"), Str::from("1.4.2"))].into_iter().collect(),
        ..NodeService::default()
    };
    let check = HealthCheck {
        node: Str::from(&node),
        check_id: Str::from(format!("service:{id}")),
        name: Str::from("http on 8080"),
        status: Str::from("passing"),
        service_id: Str::from(&id),
        output: Str::from(format!("HTTP GET http://10.0.0.{at}:8080/health: 200 OK Output: ok")),
        ..HealthCheck::default()
    };
    Command::Register(Box::new(Register {
        node,
        address: format!("10.0.0.{at}"),
        datacenter: "dc1".into(),
        service: Some(service),
        check: Some(check),
        ..Register::default()
    }))
}

/// Applies `count` commands to an empty store and prints what an entry takes, applied and read back.
fn measure(what: &str, count: u64, command: impl Fn(u64) -> Command) {
    let region = Region::new(GLOBAL);
    let held = |region: &Region<'_, System>| {
        let s = region.change();
        let live = |more: usize, less: usize| more.saturating_sub(less) as f64 / count as f64;
        (live(s.bytes_allocated, s.bytes_deallocated), live(s.allocations, s.deallocations))
    };
    let mut store = Store::default();
    for i in 0..count {
        store.apply(i + 1, &command(i), &mut ChangeSet::default());
    }
    let (bytes, allocations) = held(&region);
    println!("{what:<40} {bytes:>8.0} B {allocations:>6.1} allocations");
    let encoded = store.encode_snapshot();
    drop(store);
    let region = Region::new(GLOBAL);
    let store = Store::decode_snapshot(&encoded).expect("a snapshot that was just written");
    let (bytes, allocations) = held(&region);
    println!("{:<40} {bytes:>8.0} B {allocations:>6.1} allocations", format!("{what}, from a snapshot"));
    drop(store);
}

fn main() {
    measure("key in order, 36 bytes", 100_000, put);
    measure("key in any order, 36 bytes", 100_000, |i| put(i * 7919 % 100_000));
    measure("instance with node and check", 5_000, instance);
}
