//! How fast news spreads, how fast a death is found, and what it costs.

use super::{Bounds, World};
use bytes::Bytes;
use lictor_core::gossip::{Config, Effect, Input, MemberChange, Status};
use lictor_core::ids::CallId;
use lictor_core::time::{Duration, Instant};

/// What was measured in one pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Members.
    pub n: usize,
    /// From the first join until everybody knows everybody.
    pub assembled: Duration,
    /// From the join of one more until everybody knows it.
    pub joined: Duration,
    /// From a shout until the last member heard it.
    pub event: Duration,
    /// From a crash until the first member told it failed.
    pub first_failed: Duration,
    /// From a crash until the last one did.
    pub last_failed: Duration,
    /// Members that were called failed and were not.
    pub wrongly_failed: usize,
    /// Bytes of packets that one member sends in a second when nothing happens.
    pub idle_bytes: f64,
    /// Packets that one member sends in a second when nothing happens.
    pub idle_packets: f64,
    /// Bytes on streams that one member sends in a second when nothing happens.
    pub idle_stream_bytes: f64,
}

/// The longest time until members that joined all at once have told each other of all of them.
const SILENT: Duration = Duration::from_secs(3600);

/// Assembles a pool of `n`, lets it rest for as long as all need to exchange tables once, lets one more join, shouts,
/// crashes one, and measures. `tell` hears what is done and how long it took in the pool's own time, for this may take
/// long. `None`: something took longer than it may.
pub fn measure_spread(
    n: usize,
    seed: u64,
    configure: impl Fn(&mut Config),
    mut tell: impl FnMut(&str, Duration),
) -> Option<Spread> {
    let limit = Duration::from_secs(300);
    let mut world = World::new(n, seed, |_, config| configure(config));
    // That everybody hears of everybody is a lot to remember.
    world.listens = false;
    let all: Vec<usize> = (0..n).collect();
    let late = n - 1;
    let others = &all[..late];
    (1..late).for_each(|i| world.join(i, i / 2));
    let assembled = world.run_until(limit, |world| world.all_see(others, others, Status::Alive))?;
    tell("assembled", assembled);
    let joined = {
        world.join(late, 0);
        world.run_until(limit, |world| world.all_see(&all, &all, Status::Alive))?
    };
    tell("one more known to all", joined);
    // Thousands of news take minutes until each was sent as often as it may be; the pool is not at rest before.
    let silent = world.run_until(SILENT, World::is_silent)?;
    tell("nothing left to be told", silent);
    world.listens = true;
    let before = (world.packets, world.packet_bytes, world.stream_bytes);
    let rest = Bounds::new(world.config(0), n).exchange();
    world.run(rest);
    tell("rested", rest);
    let each = n as f64 * rest.as_secs_f64();
    let (packets, bytes, streamed) =
        (world.packets - before.0, world.packet_bytes - before.1, world.stream_bytes - before.2);
    let wrongly_failed = world.changes(MemberChange::Failed, Instant::ZERO);

    let at = world.now();
    world.told.clear();
    let (name, payload) = ("deploy".into(), Bytes::from_static(b"now"));
    world.tell(0, Input::UserEvent { call: CallId(0), name, payload, coalesce: false });
    let heard = |world: &World| {
        world.told.iter().filter(|told| matches!(told.what, Effect::UserEvent { .. })).count() == n
    };
    world.run_until(limit, heard)?;
    let event = world.told.last()?.at.since(at);
    tell("event heard by all", event);

    let at = world.now();
    world.told.clear();
    world.crash(late);
    world.run_until(limit, |world| world.all_see(others, &[late], Status::Failed))?;
    Some(Spread {
        n,
        assembled,
        joined,
        event,
        first_failed: world.told.first()?.at.since(at),
        last_failed: world.told.last()?.at.since(at),
        wrongly_failed,
        idle_bytes: bytes as f64 / each,
        idle_packets: packets as f64 / each,
        idle_stream_bytes: streamed as f64 / each,
    })
}
