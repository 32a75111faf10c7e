//! Prints the numbers of `docs/gossip.md`: `cargo run --release -p lictor-sim --example gossip_spread -- 100 1000`.

use lictor_sim::gossip::{Spread, measure_spread};

fn main() {
    println!(
        "| members | fresh rumours | assembled | shout heard by all | death told first | by all | at rest, a second |"
    );
    println!("|---|---|---|---|---|---|---|");
    for argument in std::env::args().skip(1) {
        let Ok(n) = argument.parse::<usize>() else {
            eprintln!("{argument:?} is no number of members");
            std::process::exit(2);
        };
        for eager in [false, true] {
            match measure_spread(n, 1, |config| config.eager = eager) {
                Some(spread) => row(eager, &spread),
                None => println!("| {n} | eager {eager}: not within three minutes |"),
            }
        }
    }
}

fn row(eager: bool, spread: &Spread) {
    let Spread {
        n,
        assembled,
        event,
        first_failed,
        last_failed,
        idle_packets,
        idle_bytes,
        idle_stream_bytes,
    } = spread;
    let sent = if eager { "at once" } else { "with the tick" };
    println!(
        "| {n} | {sent} | {assembled:.2?} | {event:.2?} | {first_failed:.1?} | {last_failed:.1?} | \
         {idle_packets:.1} packets, {idle_bytes} B; {idle_stream_bytes} B on streams |"
    );
}
