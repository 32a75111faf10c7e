//! The same seed does the same, in every process; another seed does something else.

use lictor_sim::mad::load::Load;
use lictor_sim::mad::server::Server;
use lictor_sim::mad::world::{World, run};
use madsim::time::sleep;
use std::process::Command;
use std::time::Duration;

const FILE: &str = "mad_determinism";
const TEST: &str = "a_seed_replays_in_another_process_byte_for_byte";
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

fn hash_in_a_process_of_its_own(seed: u64) -> String {
    let program = std::env::current_exe().expect("the test knows its program");
    let child = Command::new(program)
        .args([TEST, "--exact", "--nocapture"])
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

#[test]
fn a_seed_replays_in_another_process_byte_for_byte() {
    if let Ok(seed) = std::env::var(CHILD) {
        let seed = seed.parse().expect("a seed");
        println!("HASH {:016x}", run(FILE, TEST, seed, scenario));
        return;
    }
    let here = format!("{:016x}", run(FILE, TEST, 1, scenario));
    for _ in 0..3 {
        assert_eq!(hash_in_a_process_of_its_own(1), here, "another process did something else");
    }
    assert_ne!(hash_in_a_process_of_its_own(2), here, "the seed makes no difference");
}

#[test]
fn a_seed_replays_in_the_same_process() {
    let test = "a_seed_replays_in_the_same_process";
    let first = run(FILE, test, 3, scenario);
    assert_eq!(run(FILE, test, 3, scenario), first);
    assert_ne!(run(FILE, test, 4, scenario), first);
}
