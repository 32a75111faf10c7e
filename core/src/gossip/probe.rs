//! Is everybody still there: SWIM's probes, with Lifeguard's local health.
//!
//! One member is probed per interval, in a random order that passes everybody once a round. Without an
//! ack in time, others are asked to try, and a stream is tried beside them, for the network may lose
//! packets only. Without any answer until the interval ends, the member is suspected.

use super::exchange::{Purpose, Talk};
use super::table::Peer;
use super::wire::{
    Ack, Dead, IndirectPing, Message, Nack, Ping, StreamMessage, Suspect, WireState, ip_bytes,
};
use super::{Effect, Gossip, Member, Status, Stream};
use crate::Str;
use crate::event::Level;
use crate::time::{Duration, Instant};
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// Probes on behalf of others that may run at once.
const MAX_RELAYS: usize = 1024;

/// The probe that is running.
#[derive(Debug)]
pub(super) struct Probe {
    seq_no: u32,
    target: Str,
    addr: SocketAddr,
    incarnation: u32,
    sent: Instant,
    /// When others are asked; `None` once they are.
    indirect_at: Option<Instant>,
    deadline: Instant,
    expected_nacks: u32,
    nacks: u32,
    /// Whether a stream got through.
    streamed: bool,
}

/// A probe on behalf of another.
#[derive(Debug)]
pub(super) struct Relay {
    asker: SocketAddr,
    seq_no: u32,
    nack: bool,
    pub(super) until: Instant,
}

impl Probe {
    /// When something is to be done about it.
    pub(super) fn due(&self) -> Instant {
        self.indirect_at.map_or(self.deadline, |at| at.min(self.deadline))
    }
}

impl Gossip {
    pub(super) fn next_seq_no(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    pub(super) fn own_ping(&self, seq_no: u32, node: Str) -> Ping {
        Ping {
            node,
            seq_no,
            source_addr: ip_bytes(self.config.advertise.ip()),
            source_node: self.config.name.clone(),
            source_port: self.config.advertise.port(),
        }
    }

    /// Probes the next member, unless a probe is still running.
    pub(super) fn probe_next(&mut self) {
        if self.probe.is_some() {
            return;
        }
        let window = self.config.gossip_to_the_dead;
        let own = self.config.name.clone();
        let Some(peer) = self.table.next_to_probe(&own, self.now, window, &mut self.rng.probe) else {
            return;
        };
        let peer = peer.clone();
        self.counts.degraded_probes += u64::from(self.health.score() > 0);
        self.start_probe(&peer);
    }

    fn start_probe(&mut self, peer: &Peer) {
        let seq_no = self.next_seq_no();
        let ping = Message::Ping(self.own_ping(seq_no, peer.name.clone()));
        self.probe = Some(Probe {
            seq_no,
            target: peer.name.clone(),
            addr: peer.addr,
            incarnation: peer.incarnation,
            sent: self.now,
            indirect_at: Some(self.now + self.config.probe_timeout),
            deadline: self.now + self.health.stretch(self.config.probe_interval),
            expected_nacks: 0,
            nacks: 0,
            streamed: false,
        });
        if peer.state == WireState::Alive {
            return self.send(peer.addr, &ping);
        }
        // A suspect learns at once what is said of it, so that it can refute it.
        let suspect = Message::Suspect(Suspect {
            from: self.config.name.clone(),
            incarnation: peer.incarnation,
            node: peer.name.clone(),
        });
        let parts = [Bytes::from(ping.encode()), Bytes::from(suspect.encode())];
        self.send_parts(peer.addr, peer.reads_checksums(), &parts);
    }

    /// Moves the running probe on when its time has come.
    pub(super) fn check_probe(&mut self) {
        let now = self.now;
        let Some(probe) = &mut self.probe else { return };
        if probe.indirect_at.is_some_and(|at| at <= now) {
            probe.indirect_at = None;
            self.ask_others();
        }
        if self.probe.as_ref().is_some_and(|probe| probe.deadline <= now) {
            self.end_probe();
        }
    }

    fn ask_others(&mut self) {
        let Some(probe) = &self.probe else { return };
        let (own, target) = (&self.config.name, probe.target.clone());
        let text = format!("Failed UDP ping: {target} (timeout reached)");
        let helpers: Vec<(SocketAddr, bool)> = self
            .table
            .pick(self.config.indirect_checks, &mut self.rng.probe, |peer| {
                peer.name != *own && peer.name != target && peer.state == WireState::Alive
            })
            .iter()
            .map(|peer| (peer.addr, peer.protocol_max() >= 4))
            .collect();
        let streams = self.table.get(&target).is_some_and(|peer| peer.protocol_max() >= 3);
        let ask = IndirectPing {
            nack: false,
            node: target.clone(),
            port: probe.addr.port(),
            seq_no: probe.seq_no,
            source_addr: ip_bytes(self.config.advertise.ip()),
            source_node: self.config.name.clone(),
            source_port: self.config.advertise.port(),
            target: ip_bytes(probe.addr.ip()),
        };
        let (to, seq_no, until) = (probe.addr, probe.seq_no, probe.deadline);
        self.log(Level::Debug, text);
        for (helper, nack) in helpers {
            if let Some(probe) = self.probe.as_mut().filter(|_| nack) {
                probe.expected_nacks += 1;
            }
            self.send(helper, &Message::IndirectPing(IndirectPing { nack, ..ask.clone() }));
        }
        if streams {
            let ping = self.own_ping(seq_no, target);
            self.open(to, Talk::Pinging { ping, until });
        }
    }

    fn end_probe(&mut self) {
        let Some(probe) = self.probe.take() else { return };
        if probe.streamed {
            let text = format!(
                "Was able to connect to {} over TCP but UDP probes failed, network may be misconfigured",
                probe.target
            );
            self.log(Level::Warn, text);
            return self.health.apply(-1);
        }
        let missing =
            if probe.expected_nacks == 0 { 1 } else { probe.expected_nacks.saturating_sub(probe.nacks) };
        self.health.apply(missing as i32);
        self.log(Level::Info, format!("Suspect {} has failed, no acks received", probe.target));
        self.on_suspect(&Suspect {
            from: self.config.name.clone(),
            incarnation: probe.incarnation,
            node: probe.target,
        });
    }

    /// Somebody asks whether we are there.
    pub(super) fn on_ping(&mut self, from: SocketAddr, ping: &Ping) {
        if !ping.node.is_empty() && ping.node != self.config.name {
            return self.refuse("ping", &format!("Got ping for unexpected node '{}'", ping.node));
        }
        if self.is_own_challenge(ping) || (self.is_silent() && !ping.node.is_empty()) {
            return;
        }
        let to = ping.reply_to().unwrap_or(from);
        let ack = Message::Ack(Ack { payload: self.ack_payload(), seq_no: ping.seq_no });
        let known = self.table.get(&ping.source_node).filter(|peer| peer.is_gone() && peer.addr == to);
        let Some(peer) = known.filter(|_| !mutant!(self, TellsTheDeadNothing)) else {
            self.send(to, &ack);
            return self.meet_again(&ping.source_node, to);
        };
        // Whoever asks is not gone: it learns at once what is said of it, so that it can refute it.
        let from = if peer.state == WireState::Left { &peer.name } else { &self.config.name };
        let (from, incarnation, node) = (from.clone(), peer.incarnation, peer.name.clone());
        let dead = Message::Dead(Dead { from, incarnation, node });
        let parts = [Bytes::from(ack.encode()), Bytes::from(dead.encode())];
        self.send_parts(to, peer.reads_checksums(), &parts);
    }

    /// Somebody is there of whom serf has kept that it is gone, and SWIM nothing any more: tables are exchanged.
    fn meet_again(&mut self, name: &str, at: SocketAddr) {
        let known = self.serf.members.get(name).map(|known| &known.member);
        let gone =
            |member: &Member| member.addr == at && matches!(member.status, Status::Failed | Status::Left);
        let wanted = !self.has_left() && !self.is_exchanging_with(at);
        if self.table.get(name).is_none() && known.is_some_and(gone) && wanted {
            self.exchange(at, Purpose::Reconnect);
        }
    }

    /// Somebody asks us to probe another.
    pub(super) fn on_indirect_ping(&mut self, from: SocketAddr, ask: &IndirectPing) {
        let Some(target) = self.address_of(&ask.target, ask.port) else {
            return self.refuse("address", "an indirect ping has no usable target");
        };
        if self.relays.len() >= MAX_RELAYS {
            return self.refuse("relays", "too many probes for others are running");
        }
        let seq_no = self.next_seq_no();
        let relay = Relay {
            asker: ask.reply_to().unwrap_or(from),
            seq_no: ask.seq_no,
            nack: ask.nack,
            until: self.now + self.config.probe_timeout,
        };
        self.relays.insert(seq_no, relay);
        self.send(target, &Message::Ping(self.own_ping(seq_no, ask.node.clone())));
    }

    /// An answer to a ping of ours, from this address.
    pub(super) fn on_ack(&mut self, ack: &Ack, from: SocketAddr) {
        if let Some(probe) = self.probe.take_if(|probe| probe.seq_no == ack.seq_no) {
            self.health.apply(-1);
            // Later, it may have come through another member: that says nothing about the distance.
            if probe.indirect_at.is_some() {
                let rtt: Duration = self.now.since(probe.sent);
                self.on_round_trip(&probe.target, rtt, &ack.payload);
            }
        } else if let Some(relay) = self.relays.remove(&ack.seq_no) {
            let ack = Ack { payload: Bytes::new(), seq_no: relay.seq_no };
            self.send(relay.asker, &Message::Ack(ack));
        } else {
            self.on_challenge_ack(ack.seq_no, Some(from));
        }
    }

    /// A helper had no answer either, but it is there.
    pub(super) fn on_nack(&mut self, nack: &Nack) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.seq_no == nack.seq_no) {
            probe.nacks = (probe.nacks + 1).min(probe.expected_nacks);
        }
    }

    /// Ends the probes for others whose time is over.
    pub(super) fn check_relays(&mut self) {
        while let Some((&seq_no, _)) = self.relays.iter().find(|(_, relay)| relay.until <= self.now) {
            let Some(relay) = self.relays.remove(&seq_no) else { return };
            if relay.nack {
                self.send(relay.asker, &Message::Nack(Nack { seq_no: relay.seq_no }));
            }
        }
    }

    /// A stream got a ping's answer.
    pub(super) fn on_stream_ack(&mut self, asked: u32, message: &StreamMessage) {
        match message {
            StreamMessage::Ack(ack) if ack.seq_no == asked => {
                if let Some(probe) = self.probe.as_mut().filter(|probe| probe.seq_no == asked) {
                    probe.streamed = true;
                } else {
                    self.on_challenge_ack(asked, None);
                }
            }
            _ => self.refuse("stream", "a ping over a stream had another answer than its ack"),
        }
    }

    /// Somebody pings over a stream.
    pub(super) fn on_stream_ping(&mut self, stream: Stream, ping: &Ping) {
        if !ping.node.is_empty() && ping.node != self.config.name {
            self.refuse("ping", &format!("Got ping for unexpected node '{}'", ping.node));
        } else if !self.is_own_challenge(ping) && !self.is_silent() {
            let ack = StreamMessage::Ack(Ack { payload: Bytes::new(), seq_no: ping.seq_no });
            self.write(stream, &ack);
        }
        self.effects.push(Effect::Close { stream });
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Alive;
    use super::super::{Config, Input, VSN};
    use super::*;
    use crate::rng::{Rng, Seed};

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(1_000_000 + ms)
    }

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 8301))
    }

    /// A member that has just started.
    fn boot(name: &str, n: u8) -> Gossip {
        let config = Config::lan(name.into(), addr(n));
        Gossip::boot(config, &Rng::new(Seed::from_u64(n.into())), at(0), &mut Vec::new()).expect("sound")
    }

    /// What a member does when it hears this from the address 9.
    fn hear(gossip: &mut Gossip, ms: u64, message: &Message) -> Vec<Effect> {
        let mut effects = Vec::new();
        let input = Input::Packet { from: addr(9), bytes: Bytes::from(message.encode()) };
        gossip.step(at(ms), input, &mut effects);
        effects
    }

    /// `me`, for whom `other` has died.
    fn bereaved() -> Gossip {
        let mut me = boot("me", 1);
        let alive = Alive {
            addr: ip_bytes(addr(2).ip()),
            incarnation: 5,
            meta: Bytes::new(),
            node: "other".into(),
            port: 8301,
            vsn: Bytes::copy_from_slice(&VSN),
        };
        hear(&mut me, 10, &Message::Alive(alive));
        let dead = Dead { from: "third".into(), incarnation: 5, node: "other".into() };
        hear(&mut me, 20, &Message::Dead(dead));
        me
    }

    #[test]
    fn whoever_is_taken_for_dead_and_pings_hears_of_it_with_the_ack_and_refutes_it() {
        let (mut me, mut other) = (bereaved(), boot("other", 2));
        let ping = Message::Ping(other.own_ping(7, "me".into()));
        for effect in hear(&mut me, 30, &ping) {
            let Effect::Packet { to, bytes } = effect else { continue };
            assert_eq!(to, addr(2));
            other.step(at(40), Input::Packet { from: addr(1), bytes }, &mut Vec::new());
        }
        let own = other.table.get("other").expect("itself");
        assert!(own.incarnation > 5 && own.state == WireState::Alive, "{own:?}");
    }

    #[test]
    fn whoever_was_forgotten_as_dead_and_pings_is_asked_for_its_table_once_at_a_time() {
        let (mut me, other) = (bereaved(), boot("other", 2));
        me.table.forget_gone(at(100_000), Duration::from_secs(30));
        let ping = Message::Ping(other.own_ping(7, "me".into()));
        let opened = |effects: &[Effect]| {
            effects.iter().filter(|e| matches!(e, Effect::Open { to, .. } if *to == addr(2))).count()
        };
        assert_eq!(opened(&hear(&mut me, 30, &ping)), 1);
        assert_eq!(opened(&hear(&mut me, 40, &ping)), 0, "one is running");
        // A stranger says nothing of itself by a ping.
        let stranger =
            Message::Ping(Ping { source_node: "stranger".into(), ..other.own_ping(8, "me".into()) });
        assert_eq!(opened(&hear(&mut me, 50, &stranger)), 0);
    }
}
