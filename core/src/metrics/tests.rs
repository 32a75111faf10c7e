//! What is counted comes out, in both forms, and in the right interval.

use super::*;
use crate::json;
use crate::time::{Duration, Instant, Now, WallTime};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::collections::BTreeSet;

fn at(seconds: u64) -> Now {
    Now { mono: Instant(seconds * 1_000_000_000), wall: WallTime(seconds as i64 * 1_000_000_000) }
}

fn naming(filter: &Filter) -> Naming<'_> {
    Naming {
        prefix: "consul",
        hostname: Some("my-host"),
        node: "n1",
        filter,
        server: true,
        retention_seconds: 60,
    }
}

fn in_json(report: &Report, filter: &Filter) -> serde_json::Value {
    serde_json::from_slice(&json::to_vec(|w| report.json(&naming(filter), w))).expect("JSON")
}

fn report(now: Now, recorders: &[&Recorder]) -> Report {
    let mut report = Report::new(now, at(0));
    recorders.iter().for_each(|r| report.add(r));
    report
}

#[test]
fn json_shows_the_last_finished_interval_and_only_it() {
    let mut recorder = Recorder::default();
    for second in [101, 102, 109, 110, 119] {
        recorder.count(at(second), Metric::RaftApply);
    }
    let counted = |now: u64| {
        let json = in_json(&report(at(now), &[&recorder]), &Filter::default());
        json["Counters"][0]["Count"].as_u64().unwrap_or(0)
    };
    assert_eq!(counted(119), 3);
    assert_eq!(counted(120), 2);
    assert_eq!(counted(130), 0);
    let json = in_json(&report(at(119), &[&recorder]), &Filter::default());
    assert_eq!(json["Timestamp"], "1970-01-01 00:01:40 +0000 UTC");
    assert_eq!(json["Counters"][0]["Rate"], 0.3);
    let mut young = Report::new(at(5), at(1));
    recorder = Recorder::default();
    recorder.count(at(2), Metric::RaftApply);
    young.add(&recorder);
    assert_eq!(in_json(&young, &Filter::default())["Counters"][0]["Count"], 1, "nothing is finished yet");
}

#[test]
fn threads_add_up_and_deviations_are_right() {
    let mut threads = [Recorder::default(), Recorder::default()];
    for (thread, ms) in [(0, 1), (1, 2), (1, 3), (1, 10)] {
        threads[thread].time(at(100), Metric::KvsApply, Duration::from_millis(ms));
    }
    let json = in_json(&report(at(110), &threads.each_ref()), &Filter::default());
    let sample = &json["Samples"][0];
    assert_eq!(sample["Name"], "consul.kvs.apply");
    for (field, expected) in [("Count", 4.0), ("Sum", 16.0), ("Min", 1.0), ("Max", 10.0), ("Mean", 4.0)] {
        assert_eq!(sample[field].as_f64(), Some(expected), "{field}");
    }
    let deviation = sample["Stddev"].as_f64().expect("a number");
    assert!((deviation - (50.0f64 / 3.0).sqrt()).abs() < 1e-9, "{deviation}");
}

#[test]
fn quantiles_are_within_a_sixteenth_of_the_truth() {
    let mut recorder = Recorder::default();
    let mut values: Vec<f64> = (0..5000u32).map(|n| 0.05 * 1.001f64.powi((n * 7919 % 5000) as i32)).collect();
    for value in &values {
        recorder.sample(at(100), Metric::RaftCommitTime, *value);
    }
    values.sort_by(f64::total_cmp);
    let text = report(at(101), &[&recorder]).prometheus(&naming(&Filter::default()));
    for (q, rank) in [("0.5", 2500), ("0.9", 4500), ("0.99", 4950)] {
        let found = value_of(&text, &format!("consul_raft_commitTime{{quantile=\"{q}\"}}"));
        assert!((found / values[rank] - 1.0).abs() < 1.0 / 16.0, "{q}: {found} for {}", values[rank]);
    }
    let old = report(at(125), &[&recorder]).prometheus(&naming(&Filter::default()));
    assert!(
        value_of(&old, "consul_raft_commitTime{quantile=\"0.5\"}").is_nan(),
        "nothing was measured lately"
    );
    assert_eq!(value_of(&old, "consul_raft_commitTime_count"), 5000.0);
}

fn value_of(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
}

#[test]
fn everything_is_there_from_the_start_each_family_once() {
    let text = report(at(3), &[]).prometheus(&naming(&Filter::default()));
    assert_eq!(value_of(&text, "consul_raft_apply"), 0.0);
    assert_eq!(value_of(&text, "consul_raft_leader"), 0.0);
    assert_eq!(value_of(&text, "consul_health_service_query_tag"), 0.0);
    assert_eq!(value_of(&text, "consul_kvs_apply_count"), 0.0);
    assert!(value_of(&text, "consul_kvs_apply{quantile=\"0.99\"}").is_nan());
    let families: Vec<&str> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
    let distinct: BTreeSet<&&str> = families.iter().collect();
    assert_eq!(families.len(), distinct.len());
    let names: BTreeSet<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len(), "two metrics of one name");
}

#[test]
fn a_client_agent_does_not_look_like_a_server_that_is_not_well() {
    let filter = Filter::default();
    let text = report(at(3), &[]).prometheus(&Naming { server: false, ..naming(&filter) });
    assert_eq!(value_of(&text, "consul_rpc_queries_blocking"), 0.0);
    assert!(!text.contains("consul_autopilot_healthy") && !text.contains("consul_raft_peers"), "{text}");
}

#[test]
fn gauges_are_shown_by_both_names_and_labels_are_escaped() {
    let mut report = report(at(3), &[]);
    report.gauge(Gauge::new(Metric::RaftPeers, 3.0));
    report.gauge(Gauge::new(Metric::RpcQueriesBlocking, 1.0));
    report.gauge(Gauge::new(Metric::RpcQueriesBlocking, 2.0));
    let mut recorder = Recorder::default();
    recorder.count_named(at(3), Metric::HealthServiceQuery, "a\"b\\c\nd", "");
    report.add(&recorder);
    let text = report.prometheus(&naming(&Filter::default()));
    assert_eq!(value_of(&text, "consul_raft_peers"), 3.0);
    assert_eq!(value_of(&text, "consul_my_host_raft_peers"), 3.0);
    assert_eq!(value_of(&text, "consul_rpc_queries_blocking"), 3.0, "gauges of threads add up");
    assert!(text.contains("consul_health_service_query{service=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
    assert!(text.contains("\nconsul_health_service_query 0\n"));
    let json = in_json(&report, &Filter::default());
    assert_eq!(json["Gauges"][0]["Name"], "consul.my-host.raft.peers");
    let bare = Naming { hostname: None, ..naming(&Filter { default: true, rules: Vec::new() }) }
        .plain(Metric::RaftPeers);
    assert_eq!(bare, "consul.raft.peers");
}

#[test]
fn names_that_strangers_ask_for_cannot_fill_the_memory() {
    let mut recorder = Recorder::default();
    for n in 0..3 * MAX_NAMED {
        recorder.count_named(at(100), Metric::CatalogServiceNotFound, &n.to_string(), "");
    }
    let counters = report(at(100), &[&recorder]).counters;
    assert_eq!(counters.len(), MAX_NAMED + 1);
    assert_eq!(counters.values().map(|c| c.total).sum::<u64>(), 3 * MAX_NAMED as u64, "none is lost");
    // Once the storm is over, new names find room again.
    recorder.count_named(at(200), Metric::CatalogServiceNotFound, "late", "");
    assert_eq!(report(at(200), &[&recorder]).counters.len(), 2);
}

#[test]
fn names_longer_than_any_service_has_are_counted_without() {
    let mut recorder = Recorder::default();
    let name = "n".repeat(MAX_NAME_BYTES - 1);
    for tag in ["t", "tt"] {
        recorder.count_named(at(100), Metric::HealthServiceQueryTags, &name, tag);
    }
    let text = report(at(100), &[&recorder]).prometheus(&naming(&Filter::default()));
    assert_eq!(value_of(&text, "consul_health_service_query_tags"), 1.0);
    assert!(text.contains(&format!("{{service=\"{name}\",tag=\"t\"}} 1\n")), "{text}");
    assert!(!text.contains("tag=\"tt\""));
}

#[test]
fn a_series_with_labels_ends_after_the_retention_time() {
    let mut recorder = Recorder::default();
    recorder.count_named(at(100), Metric::HealthServiceQuery, "web", "blue");
    let filter = Filter::default();
    let shown = |now| {
        let text = report(at(now), &[&recorder]).prometheus(&naming(&filter));
        text.contains("consul_health_service_query{service=\"web\",tag=\"blue\"} 1")
    };
    assert!(shown(100) && shown(165));
    assert!(!shown(180));
}

#[test]
fn the_longest_rule_of_the_filter_decides_and_bad_rules_are_named() {
    let rules: Vec<String> = ["-consul.raft", "+consul.raft.apply", "bad", "", "+consul.kvs", "-consul.kvs"]
        .map(String::from)
        .into();
    let (filter, warnings) = Filter::parse(&rules, true);
    assert!(filter.shows("consul.rpc.query") && filter.shows("consul.raft.apply"));
    assert!(!filter.shows("consul.raft.peers") && !filter.shows("consul.kvs.apply"));
    assert_eq!(
        warnings,
        [
            "Filter rule must begin with either '+' or '-': \"bad\"",
            "Cannot have empty filter rule in prefix_filter"
        ]
    );
    let mut recorder = Recorder::default();
    recorder.count(at(100), Metric::RaftBarrier);
    recorder.count(at(100), Metric::RaftApply);
    let report = report(at(110), &[&recorder]);
    assert_eq!(in_json(&report, &filter)["Counters"].as_array().map(Vec::len), Some(1));
    assert_eq!(value_of(&report.prometheus(&naming(&filter)), "consul_raft_barrier"), 0.0);
}

#[test]
fn requests_to_the_catalog_are_counted_by_what_became_of_them() {
    let mut recorder = Recorder::default();
    let nodes = Endpoint { number: 3, method: "GET", pattern: "/v1/catalog/nodes" };
    let other = Endpoint { number: 4, method: "GET", pattern: "/v1/kv/" };
    for endpoint in [nodes, other] {
        for status in [200, 400, 500] {
            recorder.asked(at(1), endpoint);
            recorder.answered(at(1), endpoint, status, Duration::ZERO);
        }
    }
    let text = report(at(11), &[&recorder]).prometheus(&naming(&Filter::default()));
    for (name, count) in [("api", 3), ("api_success", 1), ("rpc_error", 1)] {
        let series = format!("consul_client_{name}_catalog_nodes{{node=");
        let line = text.lines().find(|line| line.starts_with(&series)).expect(&series);
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
    assert!(text.contains("consul_client_api_catalog_services 0\n"), "{text}");
}
