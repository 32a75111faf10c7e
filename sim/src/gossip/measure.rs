//! How fast news spreads, how fast a death is found, and what it costs.

use super::World;
use bytes::Bytes;
use lictor_core::gossip::{Config, Effect, Input, Status};
use lictor_core::ids::CallId;
use lictor_core::time::Duration;

/// What was measured in one pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Members.
    pub n: usize,
    /// From the first join until everybody knows everybody.
    pub assembled: Duration,
    /// From a shout until the last member heard it.
    pub event: Duration,
    /// From a crash until the first member told it failed.
    pub first_failed: Duration,
    /// From a crash until the last one did.
    pub last_failed: Duration,
    /// Bytes of packets that one member sends in a second when nothing happens.
    pub idle_bytes: u64,
    /// Packets that one member sends in a second when nothing happens.
    pub idle_packets: f64,
    /// Bytes on streams that one member sends in a second when nothing happens.
    pub idle_stream_bytes: u64,
}

/// Assembles a pool of `n`, lets it rest, shouts, crashes one, and measures. `None`: something took longer
/// than it may.
pub fn measure_spread(n: usize, seed: u64, configure: impl Fn(&mut Config)) -> Option<Spread> {
    let limit = Duration::from_secs(180);
    let mut world = World::new(n, seed, |_, config| configure(config));
    let all: Vec<usize> = (0..n).collect();
    (1..n).for_each(|i| world.join(i, i / 2));
    let assembled = world.run_until(limit, |world| world.all_see(&all, &all, Status::Alive))?;
    // Until the last rumour was sent as often as it may be.
    world.run(Duration::from_secs(30));
    let before = (world.packets, world.packet_bytes, world.stream_bytes);
    world.run(Duration::from_secs(60));
    let each = n as u64 * 60;

    let at = world.now();
    world.told.clear();
    let (name, payload) = ("deploy".into(), Bytes::from_static(b"now"));
    let (packets, bytes, streamed) =
        (world.packets - before.0, world.packet_bytes - before.1, world.stream_bytes - before.2);
    world.tell(0, Input::UserEvent { call: CallId(0), name, payload, coalesce: false });
    let heard = |world: &World| {
        world.told.iter().filter(|told| matches!(told.what, Effect::UserEvent { .. })).count() == n
    };
    world.run_until(limit, heard)?;
    let event = world.told.last()?.at.since(at);

    let at = world.now();
    world.told.clear();
    world.crash(n - 1);
    let survivors = &all[..n - 1];
    world.run_until(limit, |world| world.all_see(survivors, &[n - 1], Status::Failed))?;
    Some(Spread {
        n,
        assembled,
        event,
        first_failed: world.told.first()?.at.since(at),
        last_failed: world.told.last()?.at.since(at),
        idle_bytes: bytes / each,
        idle_packets: packets as f64 / each as f64,
        idle_stream_bytes: streamed / each,
    })
}
