//! A cluster in one thread: real rafts, encoded messages, disks that forget what was not flushed, a
//! state machine that is a list of what was applied. Shared by the golden scripts and the random test.

use bytes::Bytes;
use lictor_core::ids::{ServerId, Ticket};
use lictor_core::raft::{
    Batch, Config, Effect, Entry, Image, Input, LogId, Membership, Message, Payload, Raft,
};
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// What a disk holds for certain.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) image: Image,
    pub(crate) data: Bytes,
}

impl Disk {
    /// Carries out one batch, in the order that `Batch` documents.
    pub(crate) fn write(&mut self, batch: Batch) {
        // Every batch crosses its binary form, as a recording would.
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        let batch = Batch::decode(Bytes::from(bytes)).expect("a batch survives its own encoding");
        let Image { hard, snapshot, log } = &mut self.image;
        if let Some(new) = batch.hard {
            assert!(new.term >= hard.term, "the term on disk goes back");
            *hard = new;
        }
        if let Some(from) = batch.truncate_from {
            log.retain(|entry| entry.index < from);
        }
        for entry in batch.append {
            if let Some(last) = log.last() {
                assert_eq!(entry.index.0, last.index.0 + 1, "a gap in the log on disk");
            }
            log.push(entry);
        }
        if let Some((meta, data)) = batch.snapshot {
            assert!(snapshot.as_ref().is_none_or(|old| old.index < meta.index), "the snapshot goes back");
            *snapshot = Some(meta);
            self.data = data;
        }
        if let Some(to) = batch.compact_to {
            assert!(snapshot.as_ref().is_some_and(|s| to <= s.index), "compacted beyond the snapshot");
            log.retain(|entry| entry.index > to);
        }
    }
}

/// The state machine: everything applied, in order.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Machine {
    pub(crate) applied: LogId,
    pub(crate) history: Vec<(LogId, Bytes)>,
}

impl Machine {
    fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.index.0, self.applied.index.0 + 1, "applied out of order");
        self.applied = entry.id();
        if let Payload::Command(command) = &entry.payload {
            self.history.push((entry.id(), command.clone()));
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        for (id, command) in &self.history {
            let payload = Payload::Command(command.clone());
            Entry { index: id.index, term: id.term, payload }.encode(&mut out);
        }
        Bytes::from(out)
    }

    pub(crate) fn decode(at: LogId, mut data: Bytes) -> Machine {
        let mut machine = Machine { applied: at, history: Vec::new() };
        while !data.is_empty() {
            let payload = u32::from_le_bytes(data[17..21].try_into().unwrap()) as usize;
            let entry = Entry::decode(data.split_to(21 + payload)).expect("own encoding");
            let Payload::Command(command) = &entry.payload else { panic!("only commands are kept") };
            machine.history.push((entry.id(), command.clone()));
        }
        machine
    }
}

/// One server, running or not.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) raft: Option<Raft>,
    pub(crate) disk: Disk,
    /// Batches handed out and not flushed.
    pub(crate) queue: VecDeque<(Ticket, Batch)>,
    pub(crate) machine: Machine,
    /// A snapshot that was asked for and not answered.
    pub(crate) building: Option<(LogId, Bytes)>,
    /// A snapshot that was read and is not on its disk yet.
    received: Option<Machine>,
    /// It cannot read what it is sent.
    pub(crate) blind: bool,
    /// This server's own clock.
    pub(crate) now: Instant,
    boots: u64,
    bootstrap: Option<Membership>,
}

/// A message on its way.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) from: ServerId,
    pub(crate) to: ServerId,
    pub(crate) bytes: Bytes,
}

pub(crate) struct Cluster {
    pub(crate) servers: BTreeMap<ServerId, Server>,
    pub(crate) net: VecDeque<Packet>,
    seed: u64,
}

pub(crate) fn id(name: &str) -> ServerId {
    ServerId::from(name)
}

/// Small sizes, so that every limit is met.
pub(crate) fn config(name: &str) -> Config {
    Config {
        election_timeout: Duration::from_millis(1000),
        heartbeat: Duration::from_millis(100),
        lease: Duration::from_millis(800),
        ..Config::new(id(name))
    }
}

impl Cluster {
    pub(crate) fn new(seed: u64) -> Cluster {
        Cluster { servers: BTreeMap::new(), net: VecDeque::new(), seed }
    }

    /// Boots a new server with an empty disk.
    pub(crate) fn add(&mut self, config: Config, bootstrap: Option<Membership>) -> Vec<Effect> {
        let name = config.id.clone();
        let server = Server {
            config,
            raft: None,
            disk: Disk::default(),
            queue: VecDeque::new(),
            machine: Machine::default(),
            building: None,
            received: None,
            blind: false,
            now: Instant(1_000_000_000),
            boots: 0,
            bootstrap,
        };
        self.servers.insert(name.clone(), server);
        self.restart(&name)
    }

    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.get_mut(name).unwrap_or_else(|| panic!("no server {name}"))
    }

    /// Boots a server from its disk.
    pub(crate) fn restart(&mut self, name: &str) -> Vec<Effect> {
        let seed = self.seed;
        let server = self.server(name);
        server.boots += 1;
        let rng = Rng::new(Seed::from_u64(seed)).fork(name).fork(&server.boots.to_string());
        let disk = server.disk.clone();
        server.machine = match &disk.image.snapshot {
            Some(meta) => Machine::decode(meta.id(), disk.data),
            None => Machine::default(),
        };
        let raft = Raft::boot(server.config.clone(), disk.image, server.bootstrap.clone(), rng, server.now);
        server.raft = Some(raft.expect("the disk is sound"));
        self.drain(name)
    }

    /// Stops a server; of the batches not flushed, the first `kept` reached the disk all the same.
    pub(crate) fn crash(&mut self, name: &str, kept: usize) {
        let server = self.server(name);
        server.raft = None;
        server.building = None;
        server.received = None;
        let queue = std::mem::take(&mut server.queue);
        for (_, batch) in queue.into_iter().take(kept) {
            server.disk.write(batch);
        }
    }

    pub(crate) fn is_up(&self, name: &str) -> bool {
        self.servers[name].raft.is_some()
    }

    pub(crate) fn raft(&self, name: &str) -> &Raft {
        self.servers[name].raft.as_ref().unwrap_or_else(|| panic!("{name} is down"))
    }

    /// Hands one input to a server and carries out its effects; returns them. Nothing when it is down.
    pub(crate) fn input(&mut self, name: &str, input: Input) -> Vec<Effect> {
        let server = self.server(name);
        let now = server.now;
        match &mut server.raft {
            Some(raft) => raft.handle(now, input),
            None => return Vec::new(),
        }
        self.drain(name)
    }

    fn drain(&mut self, name: &str) -> Vec<Effect> {
        let mut all = Vec::new();
        let server = self.servers.get_mut(name).unwrap();
        let raft = server.raft.as_mut().unwrap();
        let mut checked = None;
        loop {
            let Some(effect) = raft.poll_effect() else {
                let Some(input) = checked.take() else { break };
                raft.handle(server.now, input);
                continue;
            };
            match &effect {
                Effect::Send { to, message } => {
                    let bytes = message.encode();
                    assert_eq!(Message::decode(bytes.clone()).as_ref(), Ok(message));
                    self.net.push_back(Packet { from: id(name), to: to.clone(), bytes });
                }
                Effect::Persist { ticket, batch } => {
                    server.queue.push_back((*ticket, batch.clone()));
                }
                Effect::Apply { entries } => entries.iter().for_each(|e| server.machine.apply(e)),
                Effect::BuildSnapshot { at } => {
                    assert_eq!(*at, server.machine.applied, "a snapshot of what is applied");
                    server.building = Some((*at, server.machine.encode()));
                }
                Effect::CheckSnapshot { meta, data } => {
                    let readable = !server.blind;
                    if readable {
                        server.received = Some(Machine::decode(meta.id(), data.clone()));
                    }
                    checked = Some(Input::SnapshotChecked { at: meta.id(), readable });
                }
                Effect::RestoreSnapshot { meta } => {
                    let read = server.received.take_if(|machine| machine.applied == meta.id());
                    server.machine = read.expect("only what was read is restored");
                }
                Effect::Accepted { .. }
                | Effect::Rejected { .. }
                | Effect::Lost { .. }
                | Effect::Unknown { .. }
                | Effect::ReadReady { .. }
                | Effect::ReadRejected { .. }
                | Effect::TransferEnded { .. }
                | Effect::RoleChanged { .. }
                | Effect::MembershipChanged { .. } => {}
                Effect::Contradicted { at } => panic!("the leader contradicts what is committed at {at}"),
            }
            all.push(effect);
        }
        all
    }

    /// Flushes the first `count` batches of a server with one `Persisted`.
    pub(crate) fn flush(&mut self, name: &str, count: usize) -> Vec<Effect> {
        let server = self.server(name);
        let mut upto = None;
        for _ in 0..count {
            let Some((ticket, batch)) = server.queue.pop_front() else { break };
            server.disk.write(batch);
            upto = Some(ticket);
        }
        match upto {
            Some(upto) => self.input(name, Input::Persisted { upto }),
            None => Vec::new(),
        }
    }

    /// Answers an outstanding `BuildSnapshot`.
    pub(crate) fn build(&mut self, name: &str) -> Vec<Effect> {
        match self.server(name).building.take() {
            Some((at, data)) => self.input(name, Input::SnapshotBuilt { index: at.index, data }),
            None => Vec::new(),
        }
    }

    /// Delivers one message.
    pub(crate) fn deliver(&mut self, packet: Packet) -> Vec<Effect> {
        let message = Message::decode(packet.bytes).expect("own encoding");
        if !self.servers.contains_key(&packet.to) {
            return Vec::new();
        }
        self.input(&packet.to, Input::Message { from: packet.from, message })
    }
}
