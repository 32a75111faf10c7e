//! Gossip: who is there, who is not, and what they shout to each other.
//!
//! SWIM with Lifeguard as memberlist does it, serf on top, Consul's rules on top of that; compatible on
//! the wire with all three. One machine per pool: a server has one for its datacenter and one for all
//! servers. It knows no clock and no socket; docs/gossip.md tells the protocol with its timelines.
//!
//! # The contract
//!
//! [`Gossip::boot`] once, then [`Gossip::step`] with one input, perform the effects in order, then
//! sleep until [`Gossip::deadline`]. A wake that comes too early or too late is harmless.
//!
//! # Invariants
//!
//! Held by construction: this member is in its own table; a suspicion runs exactly while a member is
//! suspected; at most one probe of our own runs; every queue and table has a limit; nothing that a peer
//! sends panics. Checked after every step: the first and the last but one.
//!
//! # Where the rules live
//!
//! | file | decides |
//! |---|---|
//! | `rumour` | what a rumour changes: incarnations, suspicion, refutation, reclaiming a name |
//! | `challenge` | names that are claimed from elsewhere, node IDs that have two names |
//! | `probe` | who is probed, how, and when a probe has failed |
//! | `spread` | who is told what, and what fits into a packet |
//! | `exchange` | streams: tables, joining, pings where packets fail |
//! | `leave` | leaving gracefully |
//! | `serf` | intents, user events, queries, keys, coordinates, reaping |
//! | `consul` | whom a pool lets in, what tags say |
//! | `wire` | bytes |
//! | `table`, `queue`, `suspicion`, `health`, `refusal`, `counts`, `scale` | the structures and formulas below |

mod admission;
mod challenge;
mod config;
pub mod consul;
mod counts;
mod effect;
mod exchange;
mod health;
mod leave;
mod names;
mod probe;
mod queue;
mod refusal;
mod rumour;
mod scale;
mod serf;
mod spread;
mod status;
mod suspicion;
mod table;
pub mod wire;

pub use admission::Admission;
pub use config::{Config, ConfigError, Logs, VSN};
pub use counts::Counts;
pub use effect::{Effect, Input, Stream};
pub use serf::{
    Coordinate, DIMENSIONS, KeyCommand, KeyReport, Member, MemberChange, QueryOptions, Status, TagsTooLong,
    decode_tags, encode_tags,
};
pub use status::Stats;

use crate::ids::CallId;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use challenge::{Challenge, Double, Silent, Source};
use exchange::{Joining, Open};
use health::Health;
use leave::Leaving;
use probe::{Probe, Relay};
use queue::Queue;
use refusal::Refusals;
use serf::Serf;
use suspicion::Suspicions;
use table::Table;
use wire::{Envelope, Message};

/// One member of one pool.
#[derive(Debug)]
pub struct Gossip {
    config: Config,
    envelope: Envelope,
    rng: Streams,
    /// The newest time seen.
    now: Instant,
    table: Table,
    suspicions: Suspicions,
    rumours: Queue,
    health: Health,
    /// Our own.
    incarnation: u32,
    sequence: u32,
    probe: Option<Probe>,
    relays: BTreeMap<u32, Relay>,
    /// By the name that is claimed.
    challenges: BTreeMap<crate::Str, Challenge>,
    /// Set while another has our name.
    silent: Option<Silent>,
    /// Set while somebody is asked for who has our node ID.
    double: Option<Double>,
    /// Who was seen last with a node ID.
    owners: BTreeMap<crate::Str, crate::Str>,
    /// When this node first saw another one.
    met_at: Option<Instant>,
    streams: BTreeMap<Stream, Open>,
    last_stream: u64,
    joins: BTreeMap<CallId, Joining>,
    leaving: Leaving,
    /// Calls that wait for the same end.
    leave_calls: Vec<CallId>,
    probe_at: Instant,
    gossip_at: Instant,
    push_pull_at: Instant,
    /// Whether something was queued that was never sent.
    eager_wanted: bool,
    /// No eager round before this.
    eager_from: Instant,
    refusals: Refusals,
    counts: Counts,
    serf: Serf,
    effects: Vec<Effect>,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

/// One stream of random numbers per use, so that one part's draws never shift another's.
#[derive(Debug)]
struct Streams {
    probe: Rng,
    spread: Rng,
    nonce: Rng,
    query: Rng,
    coordinate: Rng,
}

/// The next tick of an interval after `now`, without a burst for those that were missed, and in step with them:
/// members that find each other have not ticked before, and are not to tick together.
fn next_tick(at: Instant, interval: Duration, now: Instant) -> Instant {
    let missed = now.since(at).as_nanos() / interval.as_nanos().max(1);
    at + interval * u32::try_from(missed + 1).unwrap_or(u32::MAX)
}

impl Gossip {
    /// Starts a member that knows nobody but itself. `rng` is forked by label, never drawn from.
    pub fn boot(
        config: Config,
        rng: &Rng,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<Gossip, ConfigError> {
        config.validate()?;
        // Members that start together do not tick together.
        let mut stagger = rng.fork("gossip.stagger");
        let mut first = |interval: Duration| now + stagger.duration(Duration::ZERO, interval);
        let mut gossip = Gossip {
            envelope: config.envelope.clone(),
            rng: Streams {
                probe: rng.fork("gossip.probe"),
                spread: rng.fork("gossip.spread"),
                nonce: rng.fork("gossip.nonce"),
                query: rng.fork("gossip.query"),
                coordinate: rng.fork("gossip.coordinate"),
            },
            now,
            table: Table::default(),
            suspicions: Suspicions::default(),
            rumours: Queue::default(),
            health: Health::default(),
            incarnation: 0,
            sequence: 0,
            probe: None,
            relays: BTreeMap::new(),
            challenges: BTreeMap::new(),
            silent: None,
            double: None,
            owners: BTreeMap::new(),
            met_at: None,
            streams: BTreeMap::new(),
            last_stream: 0,
            joins: BTreeMap::new(),
            leaving: Leaving::No,
            leave_calls: Vec::new(),
            probe_at: first(config.probe_interval),
            gossip_at: first(config.gossip_interval),
            push_pull_at: first(config.push_pull_interval),
            eager_wanted: false,
            eager_from: now,
            refusals: Refusals::default(),
            counts: Counts::default(),
            serf: Serf::new(first(config.reap_interval), first(config.reconnect_interval)),
            effects: Vec::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
            config,
        };
        // Sound by `validate`.
        let meta = encode_tags(&gossip.config.tags).unwrap_or_default();
        gossip.announce_self(&meta);
        effects.append(&mut gossip.effects);
        Ok(gossip)
    }

    /// Takes in one event at `now`, and appends what is to be done about it.
    pub fn step(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        match input {
            Input::Wake => {}
            Input::Packet { from, bytes } => {
                self.counts.packet_bytes_in += bytes.len() as u64;
                self.on_packet(from, &bytes);
            }
            Input::StreamAccepted { stream, from } => {
                self.counts.streams_in += 1;
                self.on_accepted(stream, from);
            }
            Input::StreamTurnedAway { from } => {
                self.counts.streams_in += 1;
                self.on_stream_turned_away(from);
            }
            Input::StreamOpened { stream } => self.on_opened(stream),
            Input::StreamBytes { stream, bytes } => self.on_bytes(stream, &bytes),
            Input::StreamClosed { stream, reason } => self.on_closed(stream, &reason),
            Input::Join { call, addrs, ignore_old } => self.on_join(call, addrs, ignore_old),
            Input::Leave { call } => self.on_leave(call),
            Input::ForceLeave { name, prune } => self.on_force_leave(name, prune),
            Input::UserEvent { call, name, payload, coalesce } => self.shout(call, name, payload, coalesce),
            Input::Query { call, name, payload, options } => self.on_ask(call, name, payload, &options),
            Input::Respond { query, payload } => self.on_respond(query, payload),
            Input::SetTags { tags } => self.on_set_tags(tags),
            Input::Keys { call, command, relay_factor } => self.command_keys(call, &command, relay_factor),
            Input::KeysKept => self.on_keys_kept(),
        }
        self.check_deadlines();
        self.check_invariants();
        self.counts.ordered(&self.effects);
        effects.append(&mut self.effects);
    }

    /// When [`Input::Wake`] is due next.
    pub fn deadline(&self) -> Instant {
        // Ticks that would find nobody need not wake anyone; they are caught up with when somebody comes.
        let ticks =
            [self.probe_at, self.gossip_at, self.push_pull_at].into_iter().filter(|_| !self.is_alone());
        let others = [
            self.probe.as_ref().map(Probe::due),
            self.relays.values().map(|relay| relay.until).min(),
            self.suspicions.next_due(),
            self.streams_until(),
            self.challenges_until(),
            self.leaving.until(),
            self.eager_at(),
        ];
        ticks.chain(others.into_iter().flatten()).fold(self.serf.deadline(), Instant::min)
    }

    /// Whether there is nobody to probe, to tell or to compare tables with.
    fn is_alone(&self) -> bool {
        self.table.len() == 1 && self.table.get(&self.config.name).is_some()
    }

    fn on_packet(&mut self, from: core::net::SocketAddr, bytes: &[u8]) {
        let opened = match self.envelope.open(bytes) {
            Ok(opened) => opened,
            Err(error) => {
                return self.refuse(error.kind(), &alloc::format!("packet from {from} refused: {error}"));
            }
        };
        if let Some(error) = opened.refused {
            self.refuse(error.kind(), &alloc::format!("part of a packet from {from} refused: {error}"));
        }
        // News of life first: it may contradict what stands beside it.
        let (alive, others): (Vec<_>, Vec<_>) =
            opened.messages.iter().partition(|message| matches!(message, Message::Alive(_)));
        for message in alive.into_iter().chain(others) {
            match message {
                Message::Ping(ping) => self.on_ping(from, ping),
                Message::IndirectPing(ask) => self.on_indirect_ping(from, ask),
                Message::Ack(ack) => self.on_ack(ack, from),
                Message::Nack(nack) => self.on_nack(nack),
                Message::Suspect(suspect) => self.on_suspect(suspect),
                Message::Alive(alive) => self.on_alive(alive, Source::Of(from)),
                Message::Dead(dead) => self.on_dead(dead),
                Message::User(bytes) => self.on_user(bytes),
            }
        }
    }

    fn on_set_tags(&mut self, tags: BTreeMap<crate::Str, crate::Str>) {
        match encode_tags(&tags) {
            Ok(_) if self.has_left() => {
                let reason = "this node has left the cluster".into();
                self.effects.push(Effect::TagsRefused { reason });
            }
            Ok(meta) => {
                self.config.tags = tags;
                self.announce_self(&meta);
            }
            Err(error) => {
                let reason = alloc::string::ToString::to_string(&error);
                self.effects.push(Effect::TagsRefused { reason });
            }
        }
    }

    fn check_deadlines(&mut self) {
        let now = self.now;
        self.check_probe();
        self.check_relays();
        self.check_challenges();
        while let Some(overdue) = self.suspicions.pop_due(now) {
            if !mutant!(self, SuspectsForEver) {
                self.on_suspicion_over(overdue);
            }
        }
        self.check_streams();
        self.check_asked();
        self.check_prunes();
        if self.probe_at <= now {
            self.probe_at = next_tick(self.probe_at, self.config.probe_interval, now);
            self.probe_next();
        }
        if self.push_pull_at <= now {
            let interval = scale::push_pull_interval(self.config.push_pull_interval, self.table.len());
            self.push_pull_at = next_tick(self.push_pull_at, interval, now);
            self.exchange_with_any();
        }
        if self.serf.reap_at <= now {
            self.serf.reap_at = next_tick(self.serf.reap_at, self.config.reap_interval, now);
            self.reap();
        }
        if self.serf.reconnect_at <= now {
            self.serf.reconnect_at = next_tick(self.serf.reconnect_at, self.config.reconnect_interval, now);
            self.reconnect();
        }
        if self.gossip_at <= now {
            self.gossip_at = next_tick(self.gossip_at, self.config.gossip_interval, now);
            self.gossip_round();
        }
        if self.eager_at().is_some_and(|at| at <= now) {
            self.eager_round();
        }
        self.check_leaving();
    }

    fn check_invariants(&self) {
        invariant!(self.table.get(&self.config.name).is_some() || self.has_left(), "not in our own table");
        invariant!(self.table.len() <= self.config.max_members, "{} members", self.table.len());
    }
}
