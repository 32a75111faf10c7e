//! Reads: keys, health of services of several sizes (kept, and after one change), DNS answers.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lictor_benches::load::dns::{A, SRV, question};
use lictor_benches::workload::catalog::{VALUE, instance};
use lictor_benches::world::{NOW, World};
use lictor_core::dns::{self, Cache, Transport};
use lictor_core::rng::{Rng, Seed};
use std::hint::black_box;

fn http(c: &mut Criterion) {
    let mut world = World::populated();
    let mut group = c.benchmark_group("read");
    for (name, target) in [
        ("kv", "/v1/kv/bench/key"),
        ("kv_consistent", "/v1/kv/bench/key?consistent"),
        ("catalog_services", "/v1/catalog/services"),
        ("health_10", "/v1/health/service/web-10?passing"),
        ("health_100", "/v1/health/service/web-100?passing"),
        ("health_1000", "/v1/health/service/web-1000?passing"),
        ("health_node", "/v1/health/node/node-web-10-0003"),
    ] {
        group.bench_function(name, |b| b.iter(|| black_box(world.ask("GET", target, ""))));
    }
    // One instance changes, then the whole service is read.
    for size in [10, 100, 1000] {
        let (service, target) = (format!("web-{size}"), format!("/v1/health/service/web-{size}?passing"));
        let mut count = 0;
        group.bench_function(format!("health_{size}_changed"), |b| {
            b.iter(|| {
                count += 1;
                let changed = instance(&service, 3, "passing").replace("200 OK", &count.to_string());
                world.ask("PUT", "/v1/catalog/register", &changed);
                black_box(world.ask("GET", &target, ""))
            });
        });
    }
    group.finish();
}

fn answers(c: &mut Criterion) {
    let world = World::populated();
    let view = &world.view;
    let mut rng = Rng::new(Seed::from_u64(3));
    let mut out = Vec::with_capacity(4096);
    let mut group = c.benchmark_group("dns");
    for (name, kind, of, size) in [
        ("a_1", A, "web-1.service.consul", None),
        ("a_10", A, "web-10.service.consul", None),
        ("a_1000", A, "web-1000.service.consul", None),
        ("srv_10", SRV, "web-10.service.consul", Some(1232)),
        ("missing", A, "nothing.service.consul", None),
    ] {
        let query = question(of, kind, size);
        group.bench_function(format!("{name}_made"), |b| {
            b.iter(|| dns::answer(view, NOW, &mut rng, black_box(&query), Transport::Udp, &mut out));
        });
        let mut cache = Cache::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let query = black_box(&query);
                cache.answer(&view.store, &view.config, NOW, &mut rng, query, Transport::Udp, &mut out)
            });
        });
    }
    group.finish();
}

fn fan_out(c: &mut Criterion) {
    const WAITERS: usize = 1000;
    let mut group = c.benchmark_group("watch");
    group.sample_size(20);
    let mut world = World::populated();
    let mut count = 0;
    group.bench_function("1000_waiters_parked_and_woken", |b| {
        b.iter(|| {
            count += 1;
            let index = world.view.store.service_index("web-10");
            let target = format!("/v1/health/service/web-10?index={index}&wait=5m");
            for _ in 0..WAITERS {
                world.send("GET", &target, "");
            }
            let changed = instance("web-10", 3, "passing").replace("200 OK", &count.to_string());
            let (_, woken) = world.send("PUT", "/v1/catalog/register", &changed);
            assert_eq!(woken.len(), WAITERS + 1);
        });
    });
    group.bench_function("unrelated_write_beside_1000_waiters", |b| {
        b.iter_batched(
            || {
                count += 1;
                format!("{VALUE} {count}")
            },
            |value| world.ask("PUT", "/v1/kv/bench/unrelated", &value),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, http, answers, fan_out);
criterion_main!(benches);
