//! Whole clusters in the fast simulator: founding, gossip, client agents, anti-entropy, on a few fixed seeds.

use lictor_sim::fast::plan::Plan;
use lictor_sim::fast::run::run;
use lictor_sim::fast::scenario;
use lictor_sim::fast::sweep::Sweep;
use lictor_sim::fast::trace::Trace;

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
fn servers_found_their_cluster_and_agents_bring_their_services_into_the_catalog() {
    sweep("cluster-calm", 0..6);
}

#[test]
fn a_crowd_of_agents_is_in_the_catalog_and_its_dead_are_critical() {
    sweep("cluster-crowd", 1..3);
}

#[test]
fn a_cluster_is_founded_once_whatever_happens_meanwhile() {
    sweep("cluster-founding", 0..6);
}

#[test]
fn cuts_losses_and_starved_processes_are_forgotten_once_they_are_over() {
    sweep("cluster-faults", 0..4);
}

#[test]
fn the_dead_are_found_within_the_time_that_the_parameters_give() {
    sweep("cluster-deaths", 0..2);
}

#[test]
fn whoever_was_alone_and_is_called_failed_is_back_as_soon_as_it_asks() {
    sweep("cluster-alone", 0..2);
}

#[test]
fn starved_processes_make_nobody_else_fail_for_long() {
    sweep("cluster-starved", 0..2);
}

#[test]
fn a_fleet_needs_no_servers_for_its_own_and_does_not_storm_them() {
    sweep("cluster-herd", 0..2);
}

#[test]
fn servers_and_agents_come_back_under_any_address() {
    sweep("cluster-moves", 0..5);
}

#[test]
fn a_cluster_is_rolled_one_by_one() {
    sweep("cluster-rolling", 0..4);
}

#[test]
fn agents_and_a_minority_of_servers_lose_their_disks() {
    sweep("cluster-disks", 0..4);
}

#[test]
fn datacenters_answer_each_other_after_every_cut_and_stay_apart() {
    sweep("cluster-wan", 0..3);
}

#[test]
fn names_and_ids_have_one_owner_whoever_else_claims_them() {
    sweep("cluster-names", 0..4);
}

#[test]
fn copies_of_servers_stop_and_nothing_acknowledged_is_lost() {
    sweep("cluster-clones", 0..4);
}

#[test]
fn the_gossip_key_is_changed_and_nobody_is_lost() {
    sweep("cluster-keys", 0..2);
}

#[test]
fn the_same_plan_gives_the_same_run() {
    let plan = scenario::named("cluster-moves").expect("a scenario").plan(11);
    let loaded: Plan = plan.to_string().parse().expect("a plan's own text");
    let (one, two) = (run(&plan, Trace::new(false, false)), run(&loaded, Trace::new(true, false)));
    assert_eq!((one.hash, one.events, one.violation), (two.hash, two.events, two.violation));
}
