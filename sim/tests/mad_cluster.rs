//! Three servers and two client agents, real drivers, real gossip, RPC and HTTP: cut off, killed, rolled, moved.
//!
//! `MADSIM_TEST_SEED` is the first seed, `MADSIM_TEST_NUM` how many.

use lictor_core::node::StopKind;
use lictor_io::driver::Exit;
use lictor_sim::mad::cluster::Cluster;
use lictor_sim::mad::disk::FullOn;
use lictor_sim::mad::load::Load;
use lictor_sim::mad::server::{Ended, Server};
use lictor_sim::mad::world::{World, sweep};
use madsim::time::{sleep, timeout};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const FILE: &str = "mad_cluster";

/// A cluster with a service at an agent, and clients of all five.
async fn loaded(world: &mut World) -> (Cluster, Load) {
    loaded_at(world, 5).await
}

/// The same, with clients of the first so many only: the agents come first, which never move.
async fn loaded_at(world: &mut World, addresses: usize) -> (Cluster, Load) {
    let cluster = Cluster::started(world).await;
    cluster.register(&cluster.agents[0], "web").await;
    let load = Load::on_cluster(world, &cluster.addresses()[..addresses], 5, 2);
    sleep(world.pause(500, 1500)).await;
    load.longest_gap();
    (cluster, load)
}

/// Sends SIGTERM and waits for the process to end.
async fn stop(server: &Server) {
    server.signal(StopKind::Terminate);
    let ended = timeout(Duration::from_secs(30), server.ended()).await.expect("it stops");
    assert!(matches!(ended, Ended::Exit(Exit::Stopped { kind: StopKind::Terminate, .. })), "{ended:?}");
}

/// Kills, or cuts the power, either of which may hit a write in the middle.
async fn fell(world: &mut World, server: &Server) {
    if world.rng.ratio(1, 2) {
        server.disk.stop_after(world.rng.below(60));
        for _ in 0..2000 {
            if server.disk.is_stopped() {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
    if world.rng.ratio(1, 2) { server.kill() } else { server.cut_power() }
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_comes_back() {
    sweep(FILE, "a_leader_that_is_cut_off_is_replaced_and_comes_back", 2, |mut world| async move {
        let (cluster, load) = loaded(&mut world).await;
        cluster.isolate(cluster.leader().await);
        cluster.register(&cluster.agents[1], "db").await;
        sleep(world.pause(5_000, 40_000)).await;
        let gap = load.longest_gap();
        assert!(gap < Duration::from_secs(5), "nobody wrote for {gap:?}");
        cluster.mend();
        sleep(world.pause(500, 5000)).await;
        cluster.judge(load, &["web", "db"]).await;
    });
}

#[test]
fn without_a_quorum_nothing_is_acknowledged_and_with_one_everything_goes_on() {
    let test = "without_a_quorum_nothing_is_acknowledged_and_with_one_everything_goes_on";
    sweep(FILE, test, 2, |mut world| async move {
        let (mut cluster, load) = loaded(&mut world).await;
        let stays = world.rng.below(3) as usize;
        let cut_off = world.rng.ratio(1, 3);
        for i in (0..3).filter(|i| *i != stays) {
            if cut_off {
                cluster.isolate(i);
            } else {
                fell(&mut world, &cluster.servers[i]).await;
            }
        }
        // What had reached two may still be answered, and a leader that hears nobody steps down.
        sleep(Duration::from_secs(3)).await;
        let (before, _) = load.done();
        sleep(world.pause(5_000, 30_000)).await;
        assert_eq!(load.done().0, before, "one of three acknowledged a write");
        cluster.mend();
        if !cut_off {
            for i in (0..3).filter(|i| *i != stays) {
                cluster.servers[i].start();
                sleep(world.pause(0, 3000)).await;
            }
        }
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn each_server_is_restarted_in_turn_and_clients_hardly_notice() {
    let test = "each_server_is_restarted_in_turn_and_clients_hardly_notice";
    sweep(FILE, test, 1, |mut world| async move {
        let (mut cluster, load) = loaded(&mut world).await;
        for i in 0..3 {
            stop(&cluster.servers[i]).await;
            sleep(world.pause(0, 3000)).await;
            cluster.servers[i].start();
            cluster.whole().await;
        }
        let gap = load.longest_gap();
        assert!(gap < Duration::from_secs(5), "nobody wrote for {gap:?}");
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn servers_that_are_killed_or_lose_power_in_the_middle_of_a_write_come_back() {
    let test = "servers_that_are_killed_or_lose_power_in_the_middle_of_a_write_come_back";
    sweep(FILE, test, 1, |mut world| async move {
        let (mut cluster, load) = loaded(&mut world).await;
        for _ in 0..3 {
            let i = world.rng.below(3) as usize;
            fell(&mut world, &cluster.servers[i]).await;
            sleep(world.pause(0, 8000)).await;
            cluster.servers[i].start();
            sleep(world.pause(2000, 5000)).await;
        }
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn an_agent_that_is_killed_comes_back_with_its_services() {
    sweep(FILE, "an_agent_that_is_killed_comes_back_with_its_services", 1, |mut world| async move {
        let (mut cluster, load) = loaded(&mut world).await;
        for _ in 0..2 {
            fell(&mut world, &cluster.agents[0]).await;
            sleep(world.pause(0, 20_000)).await;
            cluster.agents[0].start();
            sleep(world.pause(0, 3000)).await;
        }
        let gap = load.longest_gap();
        assert!(gap < Duration::from_secs(5), "nobody wrote for {gap:?}");
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn all_servers_return_with_new_addresses_at_once() {
    sweep(FILE, "all_servers_return_with_new_addresses_at_once", 1, |mut world| async move {
        let (mut cluster, load) = loaded_at(&mut world, 2).await;
        for server in &cluster.servers {
            if world.rng.ratio(1, 2) { server.kill() } else { server.cut_power() }
        }
        sleep(world.pause(0, 10_000)).await;
        for i in 0..3 {
            cluster.readdress(i, IpAddr::V4(Ipv4Addr::new(10, 0, 1, i as u8 + 1)));
            cluster.servers[i].start();
            sleep(world.pause(0, 3000)).await;
        }
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn a_leader_whose_disk_is_nearly_full_lets_another_lead() {
    sweep(FILE, "a_leader_whose_disk_is_nearly_full_lets_another_lead", 1, |mut world| async move {
        let (cluster, load) = loaded(&mut world).await;
        let disk = &cluster.servers[cluster.leader().await].disk;
        disk.set_capacity(400 << 20, FullOn::Grow);
        disk.leave_free(20 << 20);
        sleep(Duration::from_secs(20)).await;
        let gap = load.longest_gap();
        assert!(gap < Duration::from_secs(5), "nobody wrote for {gap:?}");
        disk.leave_free(200 << 20);
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn where_datagrams_are_lost_nobody_is_given_up_and_writes_go_on() {
    sweep(FILE, "where_datagrams_are_lost_nobody_is_given_up_and_writes_go_on", 1, |mut world| async move {
        let (cluster, load) = loaded(&mut world).await;
        world.links.lose(100 + world.rng.below(200));
        for _ in 0..30 {
            sleep(Duration::from_secs(1)).await;
            let members = cluster.text(&cluster.agents[0], "/v1/agent/members").await;
            assert!(!members.contains(r#""Status":4"#), "somebody is taken for failed: {members}");
        }
        let gap = load.longest_gap();
        assert!(gap < Duration::from_secs(2), "nobody wrote for {gap:?}");
        world.links.lose(0);
        cluster.judge(load, &["web"]).await;
    });
}

#[test]
fn of_everything_that_may_happen_some_happens_at_once() {
    sweep(FILE, "of_everything_that_may_happen_some_happens_at_once", 2, |mut world| async move {
        let (mut cluster, load) = loaded_at(&mut world, 2).await;
        let mut moved = 0;
        for _ in 0..4 {
            world.links.lose(if world.rng.ratio(1, 2) { world.rng.below(300) } else { 0 });
            let mut down = Vec::new();
            for i in 0..3 {
                match world.rng.below(6) {
                    0 => cluster.isolate(i),
                    1 => {
                        let (one, other) = (&cluster.servers[i], &cluster.servers[(i + 1) % 3]);
                        world.links.cut(one.machine(), other.machine());
                    }
                    2 | 3 => {
                        fell(&mut world, &cluster.servers[i]).await;
                        down.push(i);
                    }
                    _ => {}
                }
            }
            let agent = world.rng.below(4) as usize;
            if agent < 2 {
                fell(&mut world, &cluster.agents[agent]).await;
            }
            sleep(world.pause(0, 15_000)).await;
            for i in down {
                if world.rng.ratio(1, 4) {
                    moved += 1;
                    cluster.readdress(i, IpAddr::V4(Ipv4Addr::new(10, 0, 1, moved)));
                }
                cluster.servers[i].start();
            }
            if agent < 2 {
                cluster.agents[agent].start();
            }
            if world.rng.ratio(2, 3) {
                cluster.mend();
            }
            sleep(world.pause(0, 15_000)).await;
        }
        world.links.lose(0);
        cluster.mend();
        cluster.judge(load, &["web"]).await;
    });
}
