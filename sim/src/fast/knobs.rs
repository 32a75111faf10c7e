//! What a run can be tuned by. A scenario pins some, a seed draws the rest, a plan writes all of them down.

use std::fmt::Write;

macro_rules! knobs {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:literal, calm $calm:expr;)+) => {
        /// The settings of one run; every one is a whole number with its unit in its name.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Knobs {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Default for Knobs {
            fn default() -> Knobs {
                Knobs { $($name: $default,)+ }
            }
        }

        impl Knobs {
            /// Name and meaning of each, in order.
            pub const ALL: &'static [(&'static str, &'static str)] =
                &[$((stringify!($name), concat!($($doc),+)),)+];

            /// Sets the knob called `name`; false when there is none.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => return false,
                }
                true
            }

            /// Every knob as `name value` lines, in order.
            pub fn lines(&self) -> String {
                let mut out = String::new();
                $(let _ = writeln!(out, "{} {}", stringify!($name), self.$name);)+
                out
            }

            /// One candidate for each knob that is not calm yet: the same with that one knob calmed.
            pub fn calmer(&self) -> Vec<(&'static str, Knobs)> {
                let mut all = Vec::new();
                $(
                    let calm: Option<u64> = $calm;
                    if let Some(calm) = calm && calm != self.$name {
                        all.push((stringify!($name), Knobs { $name: calm, ..self.clone() }));
                    }
                )+
                all
            }
        }
    };
}

knobs! {
    /// Servers that found the cluster.
    servers = 3, calm None;
    /// Servers without data that an operator may add.
    spares = 0, calm Some(0);
    /// 1: nodes gossip, found their cluster and join by themselves; 0: servers know each other, and have raft alone.
    gossip = 0, calm None;
    /// Client agents, whose numbers come behind those of the servers; they need gossip.
    agents = 0, calm None;
    /// The last so many agents are dead when everything heals, and stay so.
    buried = 0, calm Some(0);
    /// Servers of a second datacenter, whose numbers come last; all servers are in one more pool then.
    far_servers = 0, calm Some(0);
    /// The last so many agents but the copies bear the names of the first ones, and start when the plan says so.
    namesakes = 0, calm Some(0);
    /// The last so many agents start as copies of others, when the plan says so.
    copies = 0, calm Some(0);
    /// Services that each node's owner looks after.
    services = 2, calm Some(1);
    /// 1: gossip is encrypted.
    encrypt = 0, calm Some(0);
    /// Mean time between two changes of the gossip key, in milliseconds; 0: it is never changed.
    rotate_ms = 0, calm Some(0);
    /// Datagrams in a thousand that are lost.
    packet_loss_permille = 0, calm Some(0);
    /// How old the answers of the name server are, in milliseconds.
    names_lag_ms = 0, calm Some(0);
    /// Answers of the name server in a thousand that are wrong.
    names_lie_permille = 0, calm Some(0);
    /// Virtual seconds of faults before everything heals.
    seconds = 30, calm None;
    /// `raft_multiplier`: seconds of election timeout.
    multiplier = 1, calm None;
    /// Clients that read and write.
    clients = 4, calm Some(1);
    /// Clients that do nothing but blocking reads.
    watchers = 2, calm Some(0);
    /// Clients that have sessions and take locks.
    holders = 0, calm Some(0);
    /// Mean pause of a client between two requests, in milliseconds.
    think_ms = 250, calm None;
    /// Keys that clients fight over.
    keys = 8, calm None;
    /// Largest value, in bytes.
    value_bytes = 40, calm Some(16);
    /// Writes in a thousand that write what the client has last read there.
    repeat_permille = 0, calm Some(0);
    /// Reads in a thousand that are `?stale`.
    stale_permille = 250, calm Some(0);
    /// Reads in a thousand that are `?consistent`.
    consistent_permille = 250, calm Some(0);
    /// Requests in a thousand that go to another server than the client's own.
    roam_permille = 200, calm Some(0);
    /// Mean delay of a message, in microseconds.
    delay_us = 1000, calm Some(500);
    /// Messages in a thousand that are lost.
    loss_permille = 0, calm Some(0);
    /// Messages in a thousand that arrive twice.
    duplicate_permille = 0, calm Some(0);
    /// Pieces of snapshots in a thousand that arrive damaged.
    spoil_permille = 0, calm Some(0);
    /// 1: messages of a link stay in order, as on a stream; 0: they overtake each other.
    ordered = 1, calm Some(1);
    /// Requests and answers in a thousand that are lost between client and server.
    client_loss_permille = 0, calm Some(0);
    /// Mean time of a disk flush, in microseconds.
    flush_us = 300, calm Some(200);
    /// Flushes in a thousand that take a hundred times as long.
    stall_permille = 0, calm Some(0);
    /// How far a clock's rate may be off, in parts per million. Below 333,333, or the lease is not sound.
    drift_ppm = 0, calm Some(0);
    /// Bytes of the parts in which an archive is restored.
    part_bytes = 1048576, calm Some(1048576);
    /// `raft_snapshot_threshold`.
    snapshot_every = 16384, calm None;
    /// `raft_trailing_logs`.
    trailing_logs = 10240, calm None;
    /// A known bug put back into every node, by its number in `lictor_core::Mutant`; needs the feature `mutants`.
    mutant = 0, calm None;
    /// 1: one client lies about what it was answered. For the canary: such a run must fail.
    liar = 0, calm None;
}

impl Knobs {
    /// Servers and spares.
    pub fn slots(&self) -> usize {
        (self.servers + self.spares) as usize
    }

    /// Servers, spares and agents of the first datacenter.
    pub fn near(&self) -> usize {
        self.slots() + self.agents as usize
    }

    /// All hosts.
    pub fn hosts(&self) -> usize {
        self.near() + self.far_servers as usize
    }

    /// The datacenter of a host: 0 or 1.
    pub fn datacenter(&self, slot: usize) -> usize {
        usize::from(slot >= self.near())
    }

    /// Whether it is the first server of its datacenter: those find each other, and the others through them.
    pub fn is_first(&self, slot: usize) -> bool {
        slot == 0 || self.far_servers > 0 && slot == self.near()
    }

    /// Hosts that wait for the plan to start them come last, from this one.
    pub fn late(&self) -> usize {
        self.hosts() - (self.namesakes + self.copies) as usize
    }

    /// Checks that the run makes sense.
    pub fn validate(&self) -> Result<(), String> {
        let one_of = |what: &str, ok: bool| if ok { Ok(()) } else { Err(format!("{what} is out of range")) };
        one_of("servers", (1..=7).contains(&self.servers))?;
        one_of("spares", self.spares <= 4)?;
        one_of("agents", self.agents <= if self.gossip == 1 { 20 } else { 0 } && self.buried <= self.agents)?;
        let alone = self.spares + self.namesakes + self.copies + self.buried + self.rotate_ms == 0;
        one_of("far_servers", self.far_servers == 0 || self.far_servers <= 5 && self.gossip == 1 && alone)?;
        let late = self.namesakes + self.copies;
        one_of("namesakes", self.namesakes + late <= self.agents && (late == 0 || self.buried == 0))?;
        one_of("rotate_ms", self.rotate_ms == 0 || self.encrypt == 1)?;
        one_of("services", self.services <= 64)?;
        one_of("seconds", (1..=3600).contains(&self.seconds))?;
        one_of("multiplier", (1..=10).contains(&self.multiplier))?;
        one_of("clients", self.clients <= 64 && self.watchers <= 64 && self.holders <= 64)?;
        one_of("think_ms", (1..=60_000).contains(&self.think_ms))?;
        one_of("keys", (1..=1000).contains(&self.keys))?;
        one_of("mutant", self.mutant == 0 || cfg!(feature = "mutants"))?;
        one_of("drift_ppm", self.drift_ppm <= 330_000)?;
        one_of("delay_us", (1..=1_000_000).contains(&self.delay_us))?;
        one_of("flush_us", (1..=1_000_000).contains(&self.flush_us))
    }
}
