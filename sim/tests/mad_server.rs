//! One server, real drivers, real HTTP: killed, cut off, slow, full, stopped.
//!
//! `MADSIM_TEST_SEED` is the first seed, `MADSIM_TEST_NUM` how many.

use lictor_core::node::{HaltReason, StopKind};
use lictor_io::driver::Exit;
use lictor_sim::mad::client::Client;
use lictor_sim::mad::disk::FullOn;
use lictor_sim::mad::load::{Load, PATIENCE};
use lictor_sim::mad::server::{Ended, Server};
use lictor_sim::mad::world::{World, run, sweep};
use madsim::time::{Instant, sleep, timeout};
use std::time::Duration;

const FILE: &str = "mad_server";

/// A load while the server is killed six times.
async fn killed(mut world: World, lies: bool) {
    let (mut server, load) = loaded(&mut world, 3, 2).await;
    if lies {
        server.lie();
    }
    for _ in 0..6 {
        sleep(world.pause(50, 2500)).await;
        server.kill();
        sleep(world.pause(0, 500)).await;
        load.server_starts(&server);
        server.start();
    }
    sleep(world.pause(500, 1500)).await;
    let (written, woken) = load.done();
    assert!(written > 50 && woken > 5, "{written} writes, {woken} wake-ups: too few to mean anything");
    load.finish(&server).await;
}

/// Waits until the server answers from its own leadership.
async fn ready(world: &mut World, server: &Server) {
    let (machine, _) = world.machine("probe");
    let mut client = Client::new("probe", server.address(0), &world.trace);
    let wait = machine.spawn(async move {
        loop {
            let answer = client.ask("GET", "/v1/kv/probe?consistent", "", PATIENCE).await;
            if answer.is_ok_and(|a| a.status == 404) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    timeout(Duration::from_secs(30), wait)
        .await
        .expect("a server with a healthy disk leads")
        .expect("no panic");
}

/// A server that makes snapshots often, with a load on it.
async fn loaded(world: &mut World, writers: u64, watchers: u64) -> (Server, Load) {
    let threshold = 20 + world.rng.below(60);
    let mut server = Server::new(world, |config| {
        config.raft_snapshot_threshold = threshold;
        config.raft_trailing_logs = 10;
    });
    server.start();
    let load = Load::start(world, &server, writers, watchers);
    (server, load)
}

#[test]
fn killed_at_any_time_it_keeps_what_it_acknowledged() {
    let test = "killed_at_any_time_it_keeps_what_it_acknowledged";
    sweep(FILE, test, 4, |world| killed(world, false));
}

/// A test of the test.
#[test]
fn a_server_that_acknowledges_before_it_flushes_is_found_out() {
    let test = "a_server_that_acknowledges_before_it_flushes_is_found_out";
    let found = (1..=10).any(|seed| {
        let caught = std::panic::catch_unwind(|| run(FILE, test, seed, |world| killed(world, true)));
        let panic = caught.err().and_then(|panic| panic.downcast::<String>().ok());
        panic.is_some_and(|why| why.contains("which is none of") || why.contains("went back"))
    });
    assert!(found, "ten seeds and six kills each have not shown a lost write");
}

#[test]
fn without_power_in_the_middle_of_a_commit_it_keeps_what_it_acknowledged() {
    let test = "without_power_in_the_middle_of_a_commit_it_keeps_what_it_acknowledged";
    sweep(FILE, test, 4, |mut world| async move {
        let (mut server, load) = loaded(&mut world, 3, 1).await;
        for _ in 0..8 {
            server.slow_down(world.pause(0, 5));
            // Opening the file counts too: some cuts hit the recovery from the one before.
            server.disk.stop_after(world.rng.below(400));
            while !server.disk.is_stopped() {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(world.pause(0, 3)).await;
            server.cut_power();
            sleep(world.pause(0, 200)).await;
            load.server_starts(&server);
            server.start();
        }
        server.slow_down(Duration::ZERO);
        sleep(world.pause(500, 1500)).await;
        assert!(load.done().0 > 20, "{:?}", load.done());
        load.finish(&server).await;
    });
}

#[test]
fn a_failed_flush_halts_it_with_a_clear_message_and_loses_nothing() {
    let test = "a_failed_flush_halts_it_with_a_clear_message_and_loses_nothing";
    sweep(FILE, test, 4, |mut world| async move {
        let (mut server, load) = loaded(&mut world, 3, 1).await;
        for _ in 0..3 {
            ready(&mut world, &server).await;
            let mut ended = None;
            for _ in 0..20 {
                server.disk.fail_sync_after(world.rng.below(60));
                ended = timeout(Duration::from_secs(20), server.ended()).await.ok();
                if ended.is_some() {
                    break;
                }
                // A segment that was being made in advance: it is made anew, and nothing depends on it.
                assert!(!server.disk.sync_will_fail(), "nothing was flushed");
            }
            match ended.expect("it halts") {
                Ended::Exit(Exit::Halted(HaltReason::PersistFailed(why))) => {
                    assert!(why.contains("could not be") && why.contains("rror"), "{why}");
                }
                other => panic!("it ended with {other:?}"),
            }
            load.server_starts(&server);
            server.start();
        }
        ready(&mut world, &server).await;
        load.finish(&server).await;
    });
}

#[test]
fn on_a_disk_that_others_fill_it_refuses_writes_before_the_end_and_goes_on_reading() {
    let test = "on_a_disk_that_others_fill_it_refuses_writes_before_the_end_and_goes_on_reading";
    sweep(FILE, test, 2, |mut world| async move {
        let mut server = Server::new(&mut world, |_| {});
        let on = if world.rng.ratio(1, 2) { FullOn::Grow } else { FullOn::Write };
        server.disk.set_capacity(400 << 20, on);
        server.start();
        ready(&mut world, &server).await;
        let (machine, _) = world.machine("client");
        let mut client = Client::new("client", server.address(1), &world.trace);
        let disk = server.disk.clone();
        let work = machine.spawn(async move {
            let put = client.ask("PUT", "/v1/kv/a", "1", PATIENCE).await;
            assert_eq!(put.map(|a| a.status), Ok(200));
            // While nobody writes, so that only the clock can notice.
            disk.leave_free(20 << 20);
            sleep(Duration::from_millis(1500)).await;
            let put = client.ask("PUT", "/v1/kv/a", "2", PATIENCE).await.expect("an answer");
            assert_eq!(put.status, 500);
            assert!(put.text().contains("nearly full"), "{}", put.text());
            for mode in ["", "&consistent", "&stale"] {
                let get = client.ask("GET", &format!("/v1/kv/a?raw{mode}"), "", PATIENCE).await;
                assert_eq!(get.map(|a| a.text()), Ok("1".to_owned()), "{mode}");
            }
            // Half as much again as the limit must be free before writes are taken again.
            disk.leave_free(50 << 20);
            sleep(Duration::from_millis(1500)).await;
            let put = client.ask("PUT", "/v1/kv/a", "3", PATIENCE).await.expect("an answer");
            assert_eq!(put.status, 500);
            disk.leave_free(200 << 20);
            sleep(Duration::from_millis(1500)).await;
            let put = client.ask("PUT", "/v1/kv/a", "4", PATIENCE).await;
            assert_eq!(put.map(|a| a.status), Ok(200));
        });
        work.await.expect("no panic");
        // A server that starts on a disk that is nearly full refuses from the first write on.
        server.kill();
        server.disk.leave_free(20 << 20);
        server.start();
        ready(&mut world, &server).await;
        let (machine, _) = world.machine("late client");
        let mut client = Client::new("late client", server.address(0), &world.trace);
        let work = machine.spawn(async move {
            let put = client.ask("PUT", "/v1/kv/a", "5", PATIENCE).await.expect("an answer");
            assert_eq!(put.status, 500, "{}", put.text());
            let get = client.ask("GET", "/v1/kv/a?raw", "", PATIENCE).await;
            assert_eq!(get.map(|a| a.text()), Ok("4".to_owned()));
        });
        work.await.expect("no panic");
    });
}

#[test]
fn on_a_slow_disk_reads_do_not_wait_and_writes_share_flushes() {
    let test = "on_a_slow_disk_reads_do_not_wait_and_writes_share_flushes";
    sweep(FILE, test, 2, |mut world| async move {
        let mut server = Server::new(&mut world, |_| {});
        server.start();
        ready(&mut world, &server).await;
        let flush = world.pause(200, 600);
        server.slow_down(flush);
        let before = server.disk.counts().syncs;
        let begin = Instant::now();
        let (machine, _) = world.machine("clients");
        let mut writers = Vec::new();
        for i in 0..30 {
            let mut client = Client::new(format!("writer{i}"), server.address(i), &world.trace);
            writers.push(machine.spawn(async move {
                for n in 0..5 {
                    let put = client.ask("PUT", &format!("/v1/kv/{i}/{n}"), "x", PATIENCE).await;
                    assert_eq!(put.map(|a| a.status), Ok(200));
                }
            }));
        }
        let mut client = Client::new("reader", server.address(0), &world.trace);
        let reader = machine.spawn(async move {
            for _ in 0..40 {
                let begin = Instant::now();
                let get = client.ask("GET", "/v1/kv/probe", "", PATIENCE).await;
                assert_eq!(get.map(|a| a.status), Ok(404));
                assert!(begin.elapsed() < Duration::from_millis(150), "a read waited for the disk");
            }
        });
        reader.await.expect("no panic");
        for writer in writers {
            writer.await.expect("no panic");
        }
        let syncs = server.disk.counts().syncs - before;
        assert!(syncs <= 60, "{syncs} flushes for 150 writes by 30 clients");
        let fair = flush * 15;
        assert!(begin.elapsed() < fair, "{:?} for five rounds of {flush:?}", begin.elapsed());
    });
}

#[test]
fn told_to_stop_it_answers_everybody_and_keeps_everything() {
    let test = "told_to_stop_it_answers_everybody_and_keeps_everything";
    sweep(FILE, test, 4, |mut world| async move {
        let mut server = Server::new(&mut world, |_| {});
        server.start();
        ready(&mut world, &server).await;
        server.slow_down(world.pause(10, 60));
        let (machine, _) = world.machine("clients");
        let mut clients = Vec::new();
        for i in 0..4 {
            let mut client = Client::new(format!("parked{i}"), server.address(i), &world.trace);
            clients.push(machine.spawn(async move {
                let get = client.ask("GET", "/v1/kv/none?index=1000&wait=60s", "", PATIENCE).await;
                let get = get.expect("a parked query is told of the end");
                assert_eq!((get.status, &*get.text()), (503, "the agent is shutting down\n"));
                None
            }));
        }
        sleep(Duration::from_millis(200)).await;
        for i in 0..4 {
            let mut client = Client::new(format!("writer{i}"), server.address(i), &world.trace);
            clients.push(machine.spawn(async move {
                let put = client.ask("PUT", &format!("/v1/kv/{i}"), "x", PATIENCE).await.ok()?;
                (put.status == 200).then_some(i)
            }));
        }
        sleep(world.pause(0, 60)).await;
        server.signal(StopKind::Terminate);
        let ended = timeout(Duration::from_secs(10), server.ended()).await.expect("it stops");
        assert!(matches!(ended, Ended::Exit(Exit::Stopped { kind: StopKind::Terminate, .. })), "{ended:?}");
        let mut acknowledged = Vec::new();
        for client in clients {
            acknowledged.extend(client.await.expect("no panic"));
        }
        server.slow_down(Duration::ZERO);
        server.start();
        ready(&mut world, &server).await;
        let (machine, _) = world.machine("late client");
        let mut client = Client::new("late client", server.address(0), &world.trace);
        let check = machine.spawn(async move {
            for i in acknowledged {
                let get = client.ask("GET", &format!("/v1/kv/{i}?raw"), "", PATIENCE).await;
                assert_eq!(get.map(|a| a.text()), Ok("x".to_owned()));
            }
        });
        check.await.expect("no panic");
    });
}
