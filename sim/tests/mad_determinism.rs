//! The same seed does the same, in every process; another seed does something else.

use lictor_sim::mad::cluster::Cluster;
use lictor_sim::mad::load::Load;
use lictor_sim::mad::server::Server;
use lictor_sim::mad::world::{World, run};
use madsim::time::sleep;
use std::process::Command;
use std::time::Duration;

const FILE: &str = "mad_determinism";
/// Set for the processes that the test starts.
const CHILD: &str = "LICTOR_MAD_CHILD";

/// Kills, a power cut in the middle of a commit, writers, watchers, impatient clients, snapshots.
async fn scenario(mut world: World) {
    let mut server = Server::new(&mut world, |config| {
        config.raft_snapshot_threshold = 30;
        config.raft_trailing_logs = 10;
    });
    server.start();
    let load = Load::start(&mut world, &server, 3, 2);
    for round in 0..4 {
        sleep(world.pause(100, 1000)).await;
        if round % 2 == 0 {
            server.kill();
        } else {
            server.disk.stop_after(world.rng.below(100));
            while !server.disk.is_stopped() {
                sleep(Duration::from_millis(1)).await;
            }
            server.cut_power();
        }
        load.server_starts(&server);
        server.start();
    }
    sleep(Duration::from_millis(500)).await;
    load.finish(&server).await;
}

/// Lost datagrams, a leader that is cut off, a power cut, a restarted agent, writers and watchers.
async fn of_a_cluster(mut world: World) {
    let mut cluster = Cluster::started(&mut world).await;
    cluster.register(&cluster.agents[0], "web").await;
    let load = Load::on_cluster(&mut world, &cluster.addresses(), 5, 2);
    world.links.lose(100);
    let leader = cluster.leader().await;
    cluster.isolate(leader);
    sleep(world.pause(2000, 5000)).await;
    cluster.servers[(leader + 1) % 3].cut_power();
    cluster.agents[0].kill();
    sleep(world.pause(500, 2000)).await;
    cluster.mend();
    cluster.servers[(leader + 1) % 3].start();
    cluster.agents[0].start();
    cluster.judge(load, &["web"]).await;
}

fn hash_in_a_process_of_its_own(test: &str, seed: u64) -> String {
    let program = std::env::current_exe().expect("the test knows its program");
    let child = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, seed.to_string())
        .output()
        .expect("the test can start itself");
    let out = String::from_utf8_lossy(&child.stdout);
    let hash = out.split("HASH ").nth(1).and_then(|rest| rest.split_whitespace().next());
    match hash {
        Some(hash) if child.status.success() => hash.to_owned(),
        _ => panic!("seed {seed} failed:\n{out}{}", String::from_utf8_lossy(&child.stderr)),
    }
}

/// One seed here and in `others` processes, another seed in one more.
fn replays<S>(test: &str, others: usize, scenario: fn(World) -> S)
where
    S: Future<Output = ()> + 'static,
{
    if let Ok(seed) = std::env::var(CHILD) {
        let seed = seed.parse().expect("a seed");
        println!("HASH {:016x}", run(FILE, test, seed, scenario));
        return;
    }
    let here = format!("{:016x}", run(FILE, test, 1, scenario));
    for _ in 0..others {
        assert_eq!(hash_in_a_process_of_its_own(test, 1), here, "another process did something else");
    }
    assert_ne!(hash_in_a_process_of_its_own(test, 2), here, "the seed makes no difference");
}

#[test]
fn a_seed_replays_in_another_process_byte_for_byte() {
    replays("a_seed_replays_in_another_process_byte_for_byte", 3, scenario);
}

#[test]
fn a_cluster_replays_in_another_process_byte_for_byte() {
    replays("a_cluster_replays_in_another_process_byte_for_byte", 2, of_a_cluster);
}

#[test]
fn a_seed_replays_in_the_same_process() {
    let test = "a_seed_replays_in_the_same_process";
    let first = run(FILE, test, 3, scenario);
    assert_eq!(run(FILE, test, 3, scenario), first);
    assert_ne!(run(FILE, test, 4, scenario), first);
}
