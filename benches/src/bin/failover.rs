//! How long a cluster takes no writes when its leader is lost. `--help` says how.

use lictor_benches::built;
use lictor_benches::load::http::{Load, request};
use lictor_benches::report::{Spread, table, time};
use lictor_tests::namespace::Network;
use lictor_tests::node::{Cluster, Node, free_address};
use lictor_tests::writers::{Writers, Written, lost_at};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: failover [--rounds N] [--only NAME[,NAME...]] [--saturate SECONDS]

Three servers with raft_multiplier 1 and a client agent, each at an address of its own. A client writes through the
agent, one key after the other. The leader is lost; what is measured is the longest time without an acknowledged
write, from the round's start until all is well again. Prints Markdown. CONSUL_BIN adds a row of a Consul to each.

  --rounds    how often each fault happens (default 20)
  --only      these only: stop, kill, freeze, partition, move
  --saturate  writes on 64 connections to the leader for so long, and counts elections and slow answers

  stop        SIGTERM of the leader, as when servers are restarted one by one
  kill        kill -9 of the leader
  freeze      SIGSTOP of the leader for five seconds
  partition   the leader's network is cut for eight seconds (network namespaces: needs root, ip and tc)
  move        all three servers are killed and come back with new addresses, agent and client stay";

/// A way to lose the leader, and to have it back.
type Fault = fn(&mut Stage, leader: usize);

/// The faults by name.
const FAULTS: &[(&str, Fault)] =
    &[("stop", stop), ("kill", kill), ("freeze", freeze), ("partition", partition), ("move", move_all)];

/// A cluster at work, on machines of its own if it has a network.
struct Stage {
    cluster: Cluster,
    network: Option<Network>,
}

fn stop(stage: &mut Stage, leader: usize) {
    stage.cluster.servers[leader].signal("TERM");
    stage.cluster.servers[leader].wait_for_exit();
    sleep(Duration::from_secs(1));
    stage.cluster.servers[leader].launch();
}

fn kill(stage: &mut Stage, leader: usize) {
    stage.cluster.servers[leader].kill();
    sleep(Duration::from_secs(2));
    stage.cluster.servers[leader].launch();
}

fn freeze(stage: &mut Stage, leader: usize) {
    stage.cluster.servers[leader].signal("STOP");
    sleep(Duration::from_secs(5));
    stage.cluster.servers[leader].signal("CONT");
}

fn partition(stage: &mut Stage, leader: usize) {
    let network = stage.network.as_ref().expect("a network");
    network.cut(leader as u8);
    sleep(Duration::from_secs(8));
    network.mend();
}

fn move_all(stage: &mut Stage, _: usize) {
    stage.cluster.servers.iter_mut().for_each(Node::kill);
    for server in &mut stage.cluster.servers {
        server.ip = free_address();
        server.api = SocketAddr::new(server.ip, 8500);
    }
    stage.cluster.servers.iter_mut().for_each(Node::launch);
}

struct Options {
    rounds: usize,
    only: Vec<String>,
    saturate: Option<Duration>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match parse(&arguments).and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("failover: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> io::Result<Options> {
    let mut options = Options { rounds: 20, only: Vec::new(), saturate: None };
    let mut rest = arguments.iter();
    let bad = |what: &str| io::Error::other(format!("{what}; see --help"));
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| bad(&format!("{argument} wants a value")));
        match argument.as_str() {
            "--rounds" => options.rounds = value()?.parse().map_err(|_| bad("--rounds wants a number"))?,
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--saturate" => {
                let seconds = value()?.parse().map_err(|_| bad("--saturate wants seconds"))?;
                options.saturate = Some(Duration::from_secs(seconds));
            }
            other => return Err(bad(&format!("unknown argument {other}"))),
        }
    }
    match options.only.iter().find(|only| FAULTS.iter().all(|(name, _)| name != only)) {
        Some(unknown) => Err(bad(&format!("unknown fault {unknown}"))),
        None => Ok(options),
    }
}

fn measure(options: &Options) -> io::Result<()> {
    let mut programs = vec![("Lictor", built::lictor()?)];
    if let Some(consul) = std::env::var_os("CONSUL_BIN") {
        programs.push(("Consul", consul.into()));
    }
    if let Some(time) = options.saturate {
        return programs.iter().try_for_each(|(name, program)| saturate(name, program, time));
    }
    let mut rows = Vec::new();
    for (name, fault) in FAULTS {
        if !options.only.is_empty() && options.only.iter().all(|only| only != name) {
            continue;
        }
        for (kind, program) in &programs {
            rows.extend(row(name, *fault, kind, program, options.rounds));
        }
    }
    println!("{}", table(&["fault", "", "no write for", "slowest rounds", "writes lost"], &rows));
    Ok(())
}

/// A cluster of `program` that is one; `None` where there is no network for a fault that wants one.
fn stage(fault: &str, program: &Path) -> Option<Stage> {
    let network = if fault == "partition" { Some(Network::or_skip(4)?) } else { None };
    let mut cluster = match &network {
        Some(network) => Cluster::prepare_on(network, fault),
        None => Cluster::prepare(fault, 1),
    };
    for node in cluster.servers.iter_mut().chain(&mut cluster.agents) {
        node.program = Some(program.to_path_buf());
        // Whoever is gone for a moment must be a voter when it is back.
        if node.more["server"] == true {
            node.more["autopilot"] = serde_json::json!({"cleanup_dead_servers": false});
        }
    }
    cluster.launch();
    cluster.wait_until_whole();
    Some(Stage { cluster, network })
}

fn row(name: &str, fault: Fault, kind: &str, program: &Path, rounds: usize) -> Option<Vec<String>> {
    let mut stage = stage(name, program)?;
    let mut gaps: Vec<f64> = Vec::new();
    let mut all: Vec<Written> = Vec::new();
    for round in 0..rounds {
        let leader = stage.cluster.leader();
        let writers = Writers::start(&format!("kept/{round}"), stage.cluster.agents.iter());
        sleep(Duration::from_secs(1));
        let since = Instant::now();
        fault(&mut stage, leader);
        stage.cluster.wait_until_whole();
        let written = writers.finish();
        let gap = written[0].longest_gap(since);
        eprintln!("{kind} {name} {round}: {} without a write {:?}", time(gap), written[0].refusals());
        gaps.push(gap.as_secs_f64());
        all.extend(written);
    }
    let lost: usize = stage
        .cluster
        .servers
        .iter()
        .map(|server| lost_at(&all, "kept", server).len())
        .max()
        .unwrap_or_default();
    let writes: usize = all.iter().map(|written| written.acknowledged.len()).sum();
    let spread = Spread::of(gaps.iter().copied());
    gaps.sort_by(f64::total_cmp);
    let slowest = gaps.iter().rev().take(3).map(|gap| format!("{gap:.2}")).collect::<Vec<_>>();
    Some(vec![
        name.to_owned(),
        kind.to_owned(),
        format!("{:.2} s ({:.2}-{:.2})", spread.median, spread.min, spread.max),
        slowest.join(", "),
        format!("{lost} of {writes}"),
    ])
}

/// Writes as fast as they are answered, and counts what a saturated cluster must not do.
fn saturate(kind: &str, program: &Path, length: Duration) -> io::Result<()> {
    let Some(stage) = stage("saturate", program) else { return Ok(()) };
    let cluster = &stage.cluster;
    let terms = || cluster.servers.iter().map(term).max().unwrap_or_default();
    let (leader, before) = (cluster.leader(), terms());
    let mut load = Load::connect(cluster.servers[leader].api, 64)?;
    let mut n = 0_u64;
    let mut run = load.run(length, |connection| {
        n += 1;
        request("PUT", &format!("/v1/kv/saturated/{connection}/{}", n % 1000), &[b'x'; 36])
    })?;
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| time(run.quantile(part)));
    println!(
        "{kind}: {} writes in {}, {:.0} a second, {} failed; half within {half}, \
         99 of 100 within {most}, all within {all}; {} elections",
        run.done,
        time(run.elapsed),
        run.done as f64 / run.elapsed.as_secs_f64(),
        run.failed,
        terms() - before
    );
    Ok(())
}

/// The raft term of a server.
fn term(server: &Node) -> u64 {
    let stats = &server.shows("/v1/agent/self")["Stats"]["raft"]["term"];
    stats.as_str().and_then(|term| term.parse().ok()).unwrap_or_default()
}
