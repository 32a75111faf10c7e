//! `sim gossip`: pools of gossip alone, measured against memberlist's formulas.

use super::args::Args;
use lictor_core::Str;
use lictor_core::gossip::Config;
use lictor_sim::gossip::{Bounds, Spread, measure_spread};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Pools of so many members take minutes.
const SLOW: usize = 500;

pub(crate) const HELP: &str = "\
usage: sim gossip [--members N,N,...] [--from SEED] [--seeds N] [--tick]

Assembles pools of so many members (100,1000) of gossip alone with memberlist's parameters for a local network,
measures how fast they assemble, take in one more, hear an event and miss a dead member, and what one member sends
when nothing happens. Below each row stands what the parameters give: expected times and costs, and the bounds within
which times must be. Exit code 1 if one is not. --tick sends fresh rumours with the next round, as memberlist does,
instead of at once. 1,000 members take two minutes, 5,000 take two hours and 18 GB; how far it is goes to standard
error.
";

pub(crate) fn gossip(args: &Args) -> Result<ExitCode, String> {
    let pools = args.members.clone().unwrap_or_else(|| vec![100, 1000]);
    println!(
        "| members | assembled | one more known to all | event heard by all | death told first | by all | one \
         member at rest, a second |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut wrong = 0;
    for n in pools {
        for seed in args.from..args.from + args.seeds.unwrap_or(1) {
            let begun = Instant::now();
            // Of small pools there is nothing to be told: they are measured at once.
            let tell = |what: &str, took: Duration| {
                if n >= SLOW {
                    let so_far = begun.elapsed().as_secs();
                    eprintln!("{n} members, {so_far} s: {what} in {took:.2?} of the pool's time");
                }
            };
            let Some(spread) = measure_spread(n, seed, |config| config.eager = !args.tick, tell) else {
                println!("| {n} | seed {seed}: not within five minutes |");
                wrong += 1;
                continue;
            };
            row(&spread);
            wrong += judge(&spread, seed);
        }
        formula(n);
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

fn lan() -> Config {
    Config::lan(Str::from("n"), SocketAddr::from(([10, 0, 0, 0], 8301)))
}

fn row(s: &Spread) {
    println!(
        "| {} | {:.1?} | {:.2?} | {:.2?} | {:.1?} | {:.1?} | {:.2} packets, {:.0} B; {:.0} B on streams |",
        s.n,
        s.assembled,
        s.joined,
        s.event,
        s.first_failed,
        s.last_failed,
        s.idle_packets,
        s.idle_bytes,
        s.idle_stream_bytes
    );
}

/// What the parameters give.
fn formula(n: usize) {
    let config = lan();
    let bounds = Bounds::new(&config, n);
    println!(
        "| by formula | | within {:.1?} | within {:.1?} | {:.1?} expected, {:.1?} at least | within {:.1?} | {:.2} \
         packets; {:.0} B on streams |",
        bounds.spread(),
        bounds.spread(),
        bounds.death_expected(),
        bounds.suspicion_min(),
        bounds.death(),
        bounds.packets(),
        bounds.stream_bytes(ROW)
    );
}

/// Bytes of one member in a table, as the measured pools have them: no tags, names of a few letters.
const ROW: f64 = 66.0;

/// Says what is out of bounds; how many things are.
fn judge(s: &Spread, seed: u64) -> usize {
    let config = lan();
    let bounds = Bounds::new(&config, s.n);
    let rules = [
        ("one more is known within the time of a rumour", s.joined <= bounds.spread()),
        ("an event is heard within the time of a rumour", s.event <= bounds.spread()),
        ("nobody is called failed before the shortest suspicion", s.first_failed >= bounds.suspicion_min()),
        ("the dead are found within the bound", s.last_failed <= bounds.death()),
        ("nobody is called failed who is not", s.wrongly_failed == 0),
        ("packets at rest are pings and acks", s.idle_packets <= 1.1 * bounds.packets()),
        ("streams at rest are exchanges of tables", s.idle_stream_bytes <= 1.2 * bounds.stream_bytes(ROW)),
    ];
    let broken: Vec<&str> = rules.iter().filter(|(_, holds)| !holds).map(|(rule, _)| *rule).collect();
    for rule in &broken {
        println!("VIOLATION gossip of {} members, seed {seed}: {rule}: {s:?}", s.n);
    }
    broken.len()
}
