//! Members on one heap of events.

use super::Net;
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::gossip::{Config, Effect, Gossip, Input, MemberChange, Status, Stream};
use lictor_core::ids::CallId;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a member told its owner, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When.
    pub at: Instant,
    /// Which member told.
    pub member: usize,
    /// What; never bytes to be carried.
    pub what: Effect,
}

#[derive(Debug)]
struct Host {
    config: Config,
    gossip: Option<Gossip>,
    /// Counts lives: what was meant for an earlier one is dropped.
    life: u64,
    wake: Instant,
    accepted: u64,
}

/// What is to come, for one life of one member.
#[derive(Debug)]
struct Due {
    to: usize,
    life: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Wake,
    Input(Input),
    /// A connection arrives: who opens it, under which number.
    Knock {
        from: usize,
        life: u64,
        stream: Stream,
    },
}

/// The members and all that is under way.
#[derive(Debug)]
pub struct World {
    /// What lies between members; may be changed at any time.
    pub net: Net,
    hosts: Vec<Host>,
    by_addr: BTreeMap<SocketAddr, usize>,
    due: BTreeMap<(Instant, u64), Due>,
    order: u64,
    now: Instant,
    rng: Rng,
    /// The two ends of each connection.
    ends: BTreeMap<(usize, Stream), (usize, Stream)>,
    /// All that was told, in order, unless nobody listens.
    pub told: Vec<Happened>,
    /// Whether what is told is kept.
    pub listens: bool,
    /// Packets sent, whether they arrived or not.
    pub packets: u64,
    /// Their bytes, without IP and UDP headers.
    pub packet_bytes: u64,
    /// Bytes sent on streams.
    pub stream_bytes: u64,
}

/// The address of member `i`.
fn addr(i: usize) -> SocketAddr {
    SocketAddr::from(([10, (i >> 16) as u8, (i >> 8) as u8, i as u8], 8301))
}

impl World {
    /// `n` members named `n0`, `n1`, ... that know only themselves.
    pub fn new(n: usize, seed: u64, configure: impl Fn(usize, &mut Config)) -> World {
        let mut world = World {
            net: Net::default(),
            hosts: Vec::new(),
            by_addr: BTreeMap::new(),
            due: BTreeMap::new(),
            order: 0,
            now: Instant::ZERO + Duration::from_secs(1),
            rng: Rng::new(Seed::from_u64(seed)),
            ends: BTreeMap::new(),
            told: Vec::new(),
            listens: true,
            packets: 0,
            packet_bytes: 0,
            stream_bytes: 0,
        };
        for i in 0..n {
            let mut config = Config::lan(format!("n{i}").as_str().into(), addr(i));
            configure(i, &mut config);
            world.by_addr.insert(config.advertise, i);
            world.hosts.push(Host { config, gossip: None, life: 0, wake: Instant::FAR_FUTURE, accepted: 0 });
            world.start(i);
        }
        world
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The settings of a member.
    pub fn config(&self, i: usize) -> &Config {
        &self.hosts[i].config
    }

    /// How many members there are, up or not.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// A member that is up.
    ///
    /// # Panics
    /// If it is down.
    pub fn gossip(&self, i: usize) -> &Gossip {
        self.hosts[i].gossip.as_ref().expect("the member is up")
    }

    /// Boots a member, which knows nothing of its earlier life.
    pub fn start(&mut self, i: usize) {
        let rng = self.rng.fork(&format!("member {i} life {}", self.hosts[i].life));
        let mut effects = Vec::new();
        let config = self.hosts[i].config.clone();
        let gossip = Gossip::boot(config, &rng, self.now, &mut effects).expect("a sound config");
        self.hosts[i].gossip = Some(gossip);
        self.hosts[i].wake = Instant::FAR_FUTURE;
        self.perform(i, effects);
    }

    /// Boots a member under another address.
    pub fn start_at(&mut self, i: usize, advertise: SocketAddr) {
        self.by_addr.remove(&self.hosts[i].config.advertise);
        self.by_addr.insert(advertise, i);
        self.hosts[i].config.advertise = advertise;
        self.start(i);
    }

    /// Stops a member without a word.
    pub fn crash(&mut self, i: usize) {
        self.hosts[i].gossip = None;
        self.hosts[i].life += 1;
        let gone: Vec<_> =
            self.ends.iter().filter(|((a, _), (b, _))| *a == i || *b == i).map(|(k, _)| *k).collect();
        for end in gone {
            let Some((peer, stream)) = self.ends.remove(&end) else { continue };
            let reason = "connection reset by peer".to_owned();
            self.later(Duration::from_millis(1), peer, What::Input(Input::StreamClosed { stream, reason }));
        }
    }

    /// Tells a member something now.
    pub fn tell(&mut self, i: usize, input: Input) {
        let Some(gossip) = &mut self.hosts[i].gossip else { return };
        let mut effects = Vec::new();
        gossip.step(self.now, input, &mut effects);
        self.perform(i, effects);
    }

    /// Has a member join another.
    pub fn join(&mut self, i: usize, with: usize) {
        let addrs = vec![self.hosts[with].config.advertise];
        self.tell(i, Input::Join { call: CallId(i as u64), addrs, ignore_old: false });
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((&(at, order), _)) = self.due.first_key_value() {
            if at > until {
                break;
            }
            let Some(due) = self.due.remove(&(at, order)) else { break };
            self.now = at;
            self.arrive(due);
        }
        self.now = until;
    }

    /// Lets time pass until something holds, which is looked at every 50 ms; gives the time it took.
    pub fn run_until(&mut self, limit: Duration, holds: impl Fn(&World) -> bool) -> Option<Duration> {
        let start = self.now;
        while !holds(self) {
            if self.now.since(start) >= limit {
                return None;
            }
            self.run(Duration::from_millis(50));
        }
        Some(self.now.since(start))
    }

    /// Whether every member of `who` sees every member of `whom` so.
    pub fn all_see(&self, who: &[usize], whom: &[usize], status: Status) -> bool {
        who.iter().all(|i| whom.iter().all(|j| self.status(*i, *j) == Some(status)))
    }

    /// Whether nobody has a rumour that is still to be sent on.
    pub fn is_silent(&self) -> bool {
        (0..self.hosts.len()).all(|i| self.gossip(i).has_told_all())
    }

    /// How one member sees another.
    pub fn status(&self, i: usize, j: usize) -> Option<Status> {
        let name: &Str = &self.hosts[j].config.name;
        self.gossip(i).member(name).map(|member| member.status)
    }

    /// How often members told such a change since `since`.
    pub fn changes(&self, change: MemberChange, since: Instant) -> usize {
        let is = |effect: &Effect| matches!(effect, Effect::Member { change: told, .. } if *told == change);
        self.told.iter().filter(|told| told.at >= since && is(&told.what)).count()
    }

    fn later(&mut self, after: Duration, to: usize, what: What) {
        self.order += 1;
        let life = self.hosts[to].life;
        self.due.insert((self.now + after, self.order), Due { to, life, what });
    }

    fn arrive(&mut self, due: Due) {
        let Due { to, life, what } = due;
        match what {
            What::Knock { from, life: opener, stream } => self.knock(to, from, opener, stream),
            _ if self.hosts[to].life != life => {}
            // Of several wakes only the one that is still due counts.
            What::Wake if self.hosts[to].wake != self.now => {}
            What::Wake => {
                self.hosts[to].wake = Instant::FAR_FUTURE;
                self.tell(to, Input::Wake);
            }
            What::Input(input) => self.tell(to, input),
        }
    }

    fn knock(&mut self, to: usize, from: usize, life: u64, stream: Stream) {
        if self.hosts[from].life != life {
            return;
        }
        if self.hosts[to].gossip.is_none() {
            let reason = "connection refused".to_owned();
            return self.later(self.net.latency.1, from, What::Input(Input::StreamClosed { stream, reason }));
        }
        self.hosts[to].accepted += 1;
        let accepted = Stream::Accepted(self.hosts[to].accepted);
        self.ends.insert((from, stream), (to, accepted));
        self.ends.insert((to, accepted), (from, stream));
        let peer = self.hosts[from].config.advertise;
        self.tell(to, Input::StreamAccepted { stream: accepted, from: peer });
        self.later(self.net.latency.1, from, What::Input(Input::StreamOpened { stream }));
    }

    fn perform(&mut self, i: usize, effects: Vec<Effect>) {
        for effect in effects {
            if matches!(effect, Effect::PersistKeys { .. }) {
                self.later(self.net.latency.1, i, What::Input(Input::KeysKept));
            }
            match effect {
                Effect::Packet { to, bytes } => self.packet(i, to, bytes),
                Effect::Open { stream, to } => self.open(i, stream, to),
                Effect::Write { stream, bytes } => {
                    self.stream_bytes += bytes.len() as u64;
                    if let Some(&(peer, end)) = self.ends.get(&(i, stream))
                        && self.net.connects(i, peer)
                    {
                        // Streams take the longest way always, so they keep their order.
                        let input = Input::StreamBytes { stream: end, bytes };
                        self.later(self.net.latency.1, peer, What::Input(input));
                    }
                }
                Effect::Close { stream } => {
                    if let Some((peer, end)) = self.ends.remove(&(i, stream))
                        && self.ends.remove(&(peer, end)).is_some()
                        && self.net.connects(i, peer)
                    {
                        let input = Input::StreamClosed { stream: end, reason: "EOF".to_owned() };
                        self.later(self.net.latency.1, peer, What::Input(input));
                    }
                }
                Effect::Log(_) | Effect::Coordinate { .. } => {}
                what if self.listens => self.told.push(Happened { at: self.now, member: i, what }),
                _ => {}
            }
        }
        let Some(gossip) = &self.hosts[i].gossip else { return };
        let deadline = gossip.deadline().max(self.now + Duration::from_nanos(1));
        if deadline < self.hosts[i].wake {
            self.hosts[i].wake = deadline;
            let after = deadline.since(self.now);
            self.later(after, i, What::Wake);
        }
    }

    fn packet(&mut self, from: usize, to: SocketAddr, bytes: Bytes) {
        self.packets += 1;
        self.packet_bytes += bytes.len() as u64;
        let Some(&to) = self.by_addr.get(&to) else { return };
        if self.net.delivers(from, to, &mut self.rng) {
            let delay = self.net.delay(&mut self.rng);
            let from = self.hosts[from].config.advertise;
            self.later(delay, to, What::Input(Input::Packet { from, bytes }));
        }
    }

    fn open(&mut self, from: usize, stream: Stream, to: SocketAddr) {
        let life = self.hosts[from].life;
        match self.by_addr.get(&to) {
            Some(&to) if self.net.connects(from, to) && self.net.connects(to, from) => {
                self.later(self.net.latency.1, to, What::Knock { from, life, stream });
            }
            // Nobody answers: the machine's own deadline ends it.
            _ => {}
        }
    }
}
