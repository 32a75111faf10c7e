//! A cluster on machines of its own, in network namespaces, while the network loses packets or servers.
//!
//! Where the system allows no such thing the tests say so and show nothing.

use lictor_tests::namespace::Network;
use lictor_tests::node::Cluster;
use lictor_tests::writers::{Writers, assert_kept};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Three servers and an agent that are one, on the hosts of a network in this order.
fn cluster_on(network: &Network, name: &str) -> Cluster {
    let mut cluster = Cluster::prepare_on(network, name);
    cluster.launch();
    cluster.wait_until_whole();
    cluster
}

#[test]
fn a_leader_that_the_network_loses_is_replaced_and_follows_when_it_is_back() {
    let Some(network) = Network::or_skip(4) else { return };
    let cluster = cluster_on(&network, "split");
    let leader = cluster.leader();
    let others = (0..3).filter(|i| *i != leader).map(|i| &cluster.servers[i]);
    let writers = Writers::start("split", cluster.agents.iter().chain(others));
    sleep(Duration::from_secs(2));
    let since = Instant::now();
    network.cut(leader as u8);
    sleep(Duration::from_secs(30));
    let lost = &cluster.servers[leader];
    let stale = lost.ask("PUT", "/v1/kv/stale", "x").expect("an answer");
    assert_eq!(stale.status, 500, "a server that nobody hears took a write: {}", stale.text());
    let healed = Instant::now();
    network.mend();
    cluster.wait("the lost server follows", || lost.leader() == cluster.agents[0].leader());
    println!("the lost server follows {:?} after the network is mended", healed.elapsed());
    cluster.wait_until_whole();
    println!("all is well {:?} after the network is mended", healed.elapsed());
    let all = writers.finish();
    for written in &all {
        let gap = written.longest_gap(since);
        println!("the leader lost: longest gap through {} {gap:?}", written.through);
        assert!(gap < Duration::from_secs(20), "{gap:?} without a write through {}", written.through);
    }
    assert_kept(&all, "split", &cluster.servers);
}

#[test]
fn where_a_fifth_of_all_packets_is_lost_nobody_is_given_up() {
    let Some(network) = Network::or_skip(4) else { return };
    let cluster = cluster_on(&network, "lossy");
    let writers = Writers::start("lossy", cluster.agents.iter());
    sleep(Duration::from_secs(2));
    let since = Instant::now();
    network.lose(20);
    while since.elapsed() < Duration::from_secs(20) {
        for node in cluster.all() {
            let members = node.shows("/v1/agent/members");
            let failed = |m: &&serde_json::Value| m["Status"] == 4;
            let failed = members.as_array().and_then(|all| all.iter().find(failed));
            assert!(failed.is_none(), "{} has given up {}", node.name, failed.unwrap_or_default()["Name"]);
        }
        sleep(Duration::from_millis(500));
    }
    network.mend();
    cluster.wait_until_whole();
    let all = writers.finish();
    let written = all[0].moments.iter().filter(|at| **at > since).count();
    println!(
        "a fifth of all packets lost: {written} writes, longest gap {:?}, elections seen {}",
        all[0].longest_gap(since),
        cluster.servers.iter().map(|s| s.log().matches("cluster leadership acquired").count()).sum::<usize>()
            - 1
    );
    assert!(written > 10, "{written} writes in twenty seconds");
    assert_kept(&all, "lossy", &cluster.servers);
}
