//! Three servers and three client agents under what happens to processes and machines: killed, frozen, rolled,
//! moved to other addresses, out of disk.
//!
//! Times are printed, not asserted, unless they are so long that something must be wrong.

use lictor_tests::node::{Cluster, Node, free_address};
use lictor_tests::small_disk::{MIB, SmallDisk, ballast};
use lictor_tests::writers::{Writers, Written, assert_kept};
use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A gap that means that a cluster did not go on by itself, even on a machine that is busy with other things.
const STANDSTILL: Duration = Duration::from_secs(20);

/// Prints and returns the longest gap of each writer since `since`.
fn gaps(all: &[Written], since: Instant, what: &str) -> Vec<Duration> {
    let gaps: Vec<Duration> = all.iter().map(|written| written.longest_gap(since)).collect();
    for (written, gap) in all.iter().zip(&gaps) {
        println!("{what}: longest gap through {} {gap:?}", written.through);
    }
    gaps
}

#[test]
fn a_leader_that_is_killed_is_replaced_and_comes_back_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start("killed", 3);
    let writers = Writers::start("killed", cluster.agents.iter());
    sleep(Duration::from_secs(1));
    for _ in 0..3 {
        let leader = cluster.leader();
        cluster.servers[leader].kill();
        let others: Vec<usize> = (0..3).filter(|i| *i != leader).collect();
        cluster.wait("another leads", || {
            let seen = cluster.servers[others[0]].leader();
            !seen.is_empty() && seen != cluster.servers[leader].rpc()
        });
        cluster.servers[leader].launch();
        cluster.wait_until_whole();
    }
    let all = writers.finish();
    for gap in gaps(&all, all[0].moments[0], "kill -9 of the leader, three times") {
        assert!(gap < STANDSTILL, "{gap:?} without a write");
    }
    assert_kept(&all, "killed", &cluster.servers);
}

#[test]
fn a_leader_that_is_frozen_is_replaced_and_follows_when_it_thaws() {
    let cluster = Cluster::start("frozen", 3);
    let leader = cluster.leader();
    let frozen = SocketAddr::new(cluster.servers[leader].ip, 8300);
    let elsewhere: Vec<bool> = cluster.agents.iter().map(|agent| !agent.is_connected_to(frozen)).collect();
    let writers = Writers::start("frozen", cluster.agents.iter());
    sleep(Duration::from_secs(1));
    let since = Instant::now();
    cluster.servers[leader].signal("STOP");
    sleep(Duration::from_secs(10));
    cluster.servers[leader].signal("CONT");
    cluster.wait_until_whole();
    let all = writers.finish();
    let gaps = gaps(&all, since, "SIGSTOP of the leader for ten seconds");
    for (gap, _) in gaps.iter().zip(&elsewhere).filter(|(_, elsewhere)| **elsewhere) {
        assert!(*gap < Duration::from_secs(8), "{gap:?} without a write through an agent of another server");
    }
    assert_kept(&all, "frozen", &cluster.servers);
}

#[test]
fn servers_are_restarted_in_turn_while_everything_goes_on() {
    let mut cluster = Cluster::start("rolled", 3);
    let writers = Writers::start("rolled", cluster.agents.iter());
    sleep(Duration::from_secs(1));
    for i in 0..3 {
        cluster.servers[i].signal("TERM");
        cluster.servers[i].wait_for_exit();
        cluster.servers[i].launch();
        cluster.wait_until_whole();
    }
    let all = writers.finish();
    for gap in gaps(&all, all[0].moments[0], "rolling restart") {
        assert!(gap < STANDSTILL, "{gap:?} without a write");
    }
    assert_kept(&all, "rolled", &cluster.servers);
}

/// Stops a server and starts it elsewhere on the data that it has.
fn moves(server: &mut Node) {
    server.ip = free_address();
    server.api = SocketAddr::new(server.ip, 8500);
}

#[test]
fn a_server_returns_with_a_new_address_and_then_all_of_them_at_once() {
    let mut cluster = Cluster::start("moved", 3);
    let writers = Writers::start("moved", cluster.agents.iter());
    sleep(Duration::from_secs(1));
    let one = cluster.leader();
    cluster.servers[one].kill();
    moves(&mut cluster.servers[one]);
    cluster.servers[one].launch();
    let since = Instant::now();
    cluster.wait_until_whole();
    println!("one server moved: whole again after {:?}", since.elapsed());

    let since = Instant::now();
    cluster.servers.iter_mut().for_each(Node::kill);
    cluster.servers.iter_mut().for_each(moves);
    cluster.servers.iter_mut().for_each(Node::launch);
    cluster.leader();
    println!("all servers moved: a leader after {:?}", since.elapsed());
    cluster.wait_until_whole();
    println!("all servers moved: whole again after {:?}", since.elapsed());
    // The pool between datacenters finds itself too, though nobody in it is where it was.
    cluster.wait("all servers see each other in the WAN pool", || {
        cluster.servers.iter().all(|server| {
            let members = server.shows("/v1/agent/members?wan=1");
            members.as_array().is_some_and(|all| all.iter().filter(|m| m["Status"] == 1).count() == 3)
        })
    });
    println!("all servers moved: in the WAN pool too after {:?}", since.elapsed());
    sleep(Duration::from_secs(1));
    let all = writers.finish();
    gaps(&all, all[0].moments[0], "one server moved, then all");
    assert_kept(&all, "moved", &cluster.servers);
}

#[test]
fn a_leader_whose_disk_fills_up_lets_another_lead_and_follows_when_it_has_room() {
    let Some(disk) = SmallDisk::or_skip(96) else { return };
    let mut cluster = Cluster::prepare("full", 3);
    cluster.servers[0].data = disk.path.join("data");
    cluster.launch();
    cluster.wait_until_whole();
    let id = cluster.servers[0].shows("/v1/agent/self")["Config"]["NodeID"].clone();
    let target = format!("/v1/operator/raft/transfer-leader?id={}", id.as_str().expect("an ID"));
    cluster.wait("the one on the small disk leads", || {
        let _ = cluster.servers[0].ask("POST", &target, "");
        cluster.leader() == 0
    });
    let writers = Writers::start("full", cluster.agents.iter());
    sleep(Duration::from_secs(1));
    let since = Instant::now();
    let rubbish = disk.path.join("ballast");
    ballast(&rubbish, 96 * MIB);
    cluster.wait("the full disk is noticed", || cluster.servers[0].log().contains("nearly full"));
    cluster.wait("another takes writes", || {
        cluster.agents[0].takes("/v1/kv/full/after", "x")
            && cluster.servers[1].leader() != cluster.servers[0].rpc()
    });
    sleep(Duration::from_secs(5));
    fs::remove_file(&rubbish).expect("ballast goes");
    if !cluster.servers[0].runs() {
        // A disk without any space left ends a server: it says why.
        assert!(cluster.servers[0].log().contains("write to disk failed"), "{}", cluster.servers[0].log());
        cluster.servers[0].launch();
    }
    cluster.wait_until_whole();
    let all = writers.finish();
    gaps(&all, since, "a full disk");
    assert_kept(&all, "full", &cluster.servers);
}
