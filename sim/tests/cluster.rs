//! Whole clusters in the fast simulator: founding, gossip, client agents, anti-entropy, on a few fixed seeds.

use lictor_sim::fast::scenario;
use lictor_sim::fast::sweep::Sweep;

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
