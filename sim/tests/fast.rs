//! The fast simulator on a few fixed seeds per scenario, its determinism, its canary and its corpus.
//! `cargo run --release -p lictor-sim --bin sim -- sweep` is the same with more seeds.

use lictor_sim::fast::plan::Plan;
use lictor_sim::fast::run::run;
use lictor_sim::fast::scenario::{self, CANARY};
use lictor_sim::fast::sweep::Sweep;
use lictor_sim::fast::trace::Trace;
use lictor_sim::fast::verdict::Kind;

/// Runs seeds of one scenario, which must pass and meet what the scenario is about.
fn sweep(name: &str, seeds: std::ops::Range<u64>) {
    let scenario = scenario::named(name).expect("a scenario of this name");
    let mut sweep = Sweep::default();
    for seed in seeds {
        if let Err((_, violation)) = sweep.one(&scenario, seed) {
            panic!(
                "{violation}\nREPRODUCE cargo run --release -p lictor-sim --bin sim -- replay --seed {seed} \
                 --scenario {name}"
            );
        }
    }
    let missing: Vec<&str> = sweep.missing().iter().map(|(_, mark)| mark.text()).collect();
    assert!(missing.is_empty(), "{name} never met: {missing:?}");
    assert!(sweep.confirmed > 100, "{name}: the oracle confirmed {} answers", sweep.confirmed);
}

#[test]
fn a_cluster_without_faults_serves() {
    sweep("calm", 0..8);
}

#[test]
fn partitions_of_every_shape_are_survived() {
    sweep("partition", 0..8);
}

#[test]
fn leaders_that_do_not_hear_of_their_successors_answer_nothing_stale() {
    sweep("handover", 0..4);
}

#[test]
fn a_lost_quorum_comes_back() {
    sweep("quorum-loss", 0..4);
}

#[test]
fn a_storm_of_restarts_loses_nothing() {
    sweep("restart-storm", 0..4);
}

#[test]
fn lost_disks_of_a_minority_are_replaced() {
    sweep("disk-loss", 0..4);
}

#[test]
fn torn_and_failed_writes_lose_nothing_acknowledged() {
    sweep("torn-writes", 0..8);
}

#[test]
fn slow_disks_are_survived() {
    sweep("slow-disk", 0..4);
}

#[test]
fn drifting_clocks_give_no_stale_reads() {
    sweep("clock-drift", 0..4);
}

#[test]
fn membership_changes_under_faults() {
    sweep("membership", 0..8);
}

#[test]
fn snapshots_bring_up_who_fell_behind() {
    sweep("snapshot", 0..18);
}

#[test]
fn archives_are_restored_whole_or_not_at_all() {
    sweep("restores", 0..18);
}

#[test]
fn chaos_is_survived() {
    sweep("chaos", 0..6);
}

#[test]
fn the_same_plan_gives_the_same_run() {
    for name in ["chaos", "membership"] {
        let plan = scenario::named(name).expect("a scenario").plan(11);
        let (one, two) = (run(&plan, Trace::new(false, true)), run(&plan, Trace::new(true, true)));
        assert_eq!(one.hashes.len(), two.hashes.len());
        let first = one.hashes.iter().zip(&two.hashes).position(|(a, b)| a != b);
        assert_eq!(first, None, "{name}: the first event that differs");
        assert_eq!((one.hash, one.operations), (two.hash, two.operations));
    }
    let other = scenario::named("chaos").expect("a scenario");
    let hash = |seed| run(&other.plan(seed), Trace::new(false, false)).hash;
    assert_ne!(hash(11), hash(12), "another seed gives another run");
}

#[test]
fn a_plan_gives_the_same_run_after_going_through_text() {
    let plan = scenario::named("chaos").expect("a scenario").plan(13);
    let loaded: Plan = plan.to_string().parse().expect("a plan's own text");
    let (one, two) = (run(&plan, Trace::new(false, false)), run(&loaded, Trace::new(false, false)));
    assert_eq!(one.hash, two.hash);
}

#[test]
fn a_client_that_lies_is_found_out() {
    for seed in 0..2 {
        let found = Sweep::default().one(&CANARY, seed).expect_err("the lie must be found");
        assert_eq!(found.1.kind, Kind::Linearizability, "{}", found.1);
    }
}

#[test]
fn plans_that_once_failed_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut plans = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|e| e != "plan") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a plan is text");
        let plan: Plan = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let report = run(&plan, Trace::new(false, false));
        assert_eq!(report.violation, None, "{}", path.display());
        plans += 1;
    }
    assert!(plans > 0, "the corpus is empty");
}
