//! A name that is claimed from another address: is its owner still where it was?
//!
//! A node that died comes back under any address, with its node ID or, when its disk was lost, with a new one; its old
//! entry may say that it is alive for a while. And a copied data directory, or a careless name, brings a second
//! process while the first one lives. So the address that is known is asked, by a packet and by a stream, within one
//! probe interval. When nobody of that name answers there, the claim stands at once; otherwise it is refused.
//! (memberlist refuses every claim until the owner has been dead for 30 s; its members among ours still do.)
//!
//! Of two with the same node ID one has a copy of the other's data directory, and must stop: the one that is told of the
//! other by a third, or by a member that it asked to be let in, and was with others for less than [`NEW`]. Whoever was
//! there before hears of the claim from the claimant alone, for nobody passes it on; it goes on and says so. Of two with
//! different node IDs the later one waits outside, as with memberlist.
//!
//! Where two came at the same time, some members hold the one for the owner of the name and some the other, and each
//! is right as far as it can tell. So whoever is answered for by another asks all members whom they hold the name to be
//! (serf's question), and falls [`Silent`] if more of them side with the other: it claims the name no more and does not
//! answer to it, is missed by those who held it for the owner, and they take the other. It looks for the other now and
//! then, and speaks up again when nobody answers.

use super::decode_tags;
use super::wire::{Alive, Message, Ping, Vsn, ip_bytes};
use super::{Effect, Gossip, exchange::Talk};
use crate::Str;
use crate::event::Level;
use crate::time::{Duration, Instant};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Challenges at once; claims beyond that are refused.
const MAX: usize = 64;
/// A claim that was refused is not looked into again for so long.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Whoever has fallen silent takes its name back when its owner has not answered so often in a row: a starved process
/// is not to lose it.
const MISSES: u32 = 3;
/// For so long after it has met others a node is new among them.
const NEW: Duration = Duration::from_secs(30);

/// Whose word it is that somebody lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// That of the member at this address.
    Of(SocketAddr),
    /// That of a member that we asked to let us in.
    Joined,
    /// That of somebody who came to us.
    Unknown,
}

impl Source {
    /// Whether it is somebody else's word than that of the one at this address.
    fn tells_of(self, claimed: SocketAddr) -> bool {
        match self {
            Source::Of(from) => from != claimed,
            Source::Joined => true,
            Source::Unknown => false,
        }
    }
}

/// This node leaves its name to the one at this address, while that one answers to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent {
    owner: SocketAddr,
    /// When that one is asked for again.
    look_at: Instant,
    /// It has our node ID too: if it is there still, this node must stop.
    twin: bool,
    /// How often in a row it has not answered.
    missed: u32,
}

/// Somebody who lives under another name with our node ID, and is asked for.
#[derive(Clone, Debug)]
pub(super) struct Double {
    name: Str,
    at: SocketAddr,
    seq_no: u32,
    until: Instant,
}

/// A claim that is looked into.
#[derive(Debug)]
pub(super) struct Challenge {
    claim: Alive,
    claimed: SocketAddr,
    vsn: Vsn,
    /// Where the other one is asked for.
    asked: SocketAddr,
    /// It came from somebody else than the claimant.
    told: bool,
    seq_no: u32,
    /// Whoever has the name answers until then, or does not have it.
    until: Instant,
    answered: bool,
    /// It was answered for, and stays refused until then.
    refused: bool,
}

impl Gossip {
    /// When the first challenge is over.
    pub(super) fn challenges_until(&self) -> Option<Instant> {
        let looks = self.silent.map(|silent| silent.look_at);
        let doubles = self.double.as_ref().map(|double| double.until);
        self.challenges.values().map(|challenge| challenge.until).chain(looks).chain(doubles).min()
    }

    /// Somebody claims the name of the first address from the second.
    pub(super) fn challenge(
        &mut self,
        claim: &Alive,
        (known, claimed): (SocketAddr, SocketAddr),
        vsn: Vsn,
        source: Source,
    ) {
        let own = claim.node == self.config.name;
        if own && self.silent.is_some_and(|silent| silent.owner != claimed) {
            return;
        }
        let told = source.tells_of(claimed);
        if let Some(challenge) = self.challenges.get_mut(&claim.node).filter(|c| c.claimed == claimed) {
            if challenge.refused {
                return self.on_conflict(&claim.node, known, claimed);
            }
            challenge.told |= told;
            if challenge.claim.incarnation < claim.incarnation {
                challenge.claim = claim.clone();
            }
            return;
        }
        if self.challenges.len() >= MAX || self.challenges.contains_key(&claim.node) {
            return self.on_conflict(&claim.node, known, claimed);
        }
        if own && claim.incarnation >= self.incarnation && self.silent.is_none() {
            // Others may believe us to be there: they are told where we are.
            self.refute(claim.incarnation);
        }
        // The other one is asked: of our own name we know where we are.
        let asked = if own { claimed } else { known };
        let seq_no = self.next_seq_no();
        let until = self.now + self.config.probe_interval;
        let ping = self.own_ping(seq_no, claim.node.clone());
        self.send(asked, &Message::Ping(ping.clone()));
        self.open(asked, Talk::Pinging { ping, until });
        let claim = claim.clone();
        let challenge =
            Challenge { claim, claimed, vsn, asked, told, seq_no, until, answered: false, refused: false };
        self.challenges.insert(challenge.claim.node.clone(), challenge);
    }

    /// An answer to a ping, perhaps to that of a challenge; `from` in a packet. Numbers begin anew with each life of a
    /// node, so an answer from elsewhere is to a ping of an earlier one: somebody stood still meanwhile.
    pub(super) fn on_challenge_ack(&mut self, seq_no: u32, from: Option<SocketAddr>) {
        let running = |challenge: &&mut Challenge| {
            let asked = from.is_none_or(|from| from == challenge.asked);
            challenge.seq_no == seq_no && !challenge.refused && asked
        };
        let found =
            |double: &mut Double| double.seq_no == seq_no && from.is_none_or(|from| from == double.at);
        if let Some(Double { name, at, .. }) = self.double.take_if(found) {
            return self.stop_as_twin_of(name, at);
        }
        if let Some(challenge) = self.challenges.values_mut().find(running) {
            (challenge.answered, challenge.until) = (true, self.now);
        }
    }

    /// A ping reached its own sender: the address that is asked is one of ours, and says nothing.
    pub(super) fn is_own_challenge(&self, ping: &Ping) -> bool {
        ping.reply_to() == Some(self.config.advertise)
            && self.challenges.values().any(|challenge| challenge.seq_no == ping.seq_no)
    }

    /// Decides the challenges whose time is over.
    pub(super) fn check_challenges(&mut self) {
        self.look_for_the_owner();
        self.double.take_if(|double| double.until <= self.now);
        let due = |(_, c): &(&Str, &Challenge)| c.until <= self.now;
        let names: Vec<Str> = self.challenges.iter().filter(due).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(mut challenge) = self.challenges.remove(&name) else { continue };
            if challenge.refused {
                continue;
            }
            let known = self.table.get(&name).map(|peer| peer.addr);
            if challenge.answered {
                challenge.refused = true;
                challenge.until = self.now + REMEMBERED;
                self.refuse_claim(&challenge, known.unwrap_or(challenge.claimed));
                self.challenges.insert(name, challenge);
            } else if name == self.config.name {
                if !self.misses_the_owner() {
                    self.refute(challenge.claim.incarnation);
                }
            } else if known.is_some_and(|known| known != challenge.claimed) {
                let text = format!(
                    "Updating address for node {name} to {}: nobody answers for it where it was",
                    challenge.claimed
                );
                self.log(Level::Info, text);
                self.accept(&challenge.claim, challenge.claimed, challenge.vsn);
            }
        }
    }

    fn refuse_claim(&mut self, challenge: &Challenge, known: SocketAddr) {
        let (name, claimed) = (&challenge.claim.node, challenge.claimed);
        self.on_conflict(name, known, claimed);
        if *name != self.config.name {
            return;
        }
        if let Some(silent) = &mut self.silent {
            silent.missed = 0;
            if silent.twin {
                self.stop_as_twin_of(name.clone(), claimed);
            }
            return;
        }
        let id = decode_tags(&challenge.claim.meta).get("id").cloned().unwrap_or_default();
        let own_id = self.config.tags.get("id").cloned().unwrap_or_default();
        if id == own_id && self.is_new() && challenge.told {
            return self.stop_as_twin_of(name.clone(), claimed);
        }
        let text = format!(
            "The name '{name}' is taken: the node at {claimed} with ID '{id}' answers to it, and this one at {known} \
             has ID '{own_id}'. Whoever came later stays outside until the other one is gone: give it another \
             node_name, or stop the other one"
        );
        self.refuse("name", &text);
        self.ask_for_the_owner();
    }

    /// Most members hold another for the owner of this node's name.
    pub(super) fn fall_silent(&mut self, owner: SocketAddr) {
        if self.silent.is_none() && !self.has_left() && !mutant!(self, ClaimsForEver) {
            let name = &self.config.name;
            let text = format!(
                "The name '{name}' is taken: most members know it at {owner}, and this one answers to it no more while \
                 that one does"
            );
            self.refuse("outvoted", &text);
            self.rumours.forget(&self.config.name);
            let rival = self.challenges.get(&self.config.name).filter(|rival| rival.claimed == owner);
            let twin = rival.is_some_and(|rival| self.has_own_id(&rival.claim.meta));
            self.silent = Some(Silent { owner, look_at: self.now + self.until_next_look(), twin, missed: 0 });
        }
    }

    /// Two that have fallen silent for each other do not look at the same time.
    fn until_next_look(&mut self) -> Duration {
        self.rng.query.duration(REMEMBERED, REMEMBERED * 2)
    }

    /// The owner of this node's name has not answered. Whether that is to be seen once more.
    fn misses_the_owner(&mut self) -> bool {
        let soon = self.now + self.config.probe_interval;
        let Some(silent) = &mut self.silent else { return false };
        silent.missed += 1;
        if silent.missed < MISSES {
            silent.look_at = soon;
            return true;
        }
        let text =
            format!("Nobody answers to the name '{}' at {}: it is free", self.config.name, silent.owner);
        self.silent = None;
        self.log(Level::Info, text);
        false
    }

    /// Whether this node's name is another's at the time.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.is_some()
    }

    /// The other one that has this node's name is said not to be well.
    pub(super) fn look_soon(&mut self) {
        let soon = self.now + self.config.probe_interval;
        if let Some(silent) = &mut self.silent {
            silent.look_at = silent.look_at.min(soon);
        }
    }

    /// Asks once more whether the other one that has this node's name is there, if it is time.
    fn look_for_the_owner(&mut self) {
        let Some(silent) = self.silent.filter(|silent| silent.look_at <= self.now) else { return };
        let owner = silent.owner;
        self.silent = Some(Silent { look_at: self.now + self.until_next_look(), ..silent });
        let (node, vsn) = (self.config.name.clone(), self.config.vsn);
        self.challenges.remove(&node);
        let claim = Alive { node, addr: ip_bytes(owner.ip()), port: owner.port(), ..Alive::default() };
        self.challenge(&claim, (self.config.advertise, owner), vsn, Source::Of(owner));
    }

    fn stop_as_twin_of(&mut self, name: Str, at: SocketAddr) {
        if !mutant!(self, TwinsGoOn) {
            self.effects.push(Effect::Twin { name, at });
        }
    }

    /// Whether this node has been among others for a short time only.
    fn is_new(&self) -> bool {
        self.met_at.is_none_or(|met| self.now < met + NEW)
    }

    /// Whether these tags show our node ID.
    fn has_own_id(&self, meta: &[u8]) -> bool {
        let own = self.config.tags.get("id").filter(|id| !id.is_empty());
        own.is_some() && decode_tags(meta).get("id") == own
    }

    /// Somebody is said to live under another name with our node ID: one of the two data directories is a copy. If this
    /// node came later and the other one answers, this one stops.
    pub(super) fn meets_its_id(&mut self, alive: &Alive, addr: SocketAddr, source: Source) {
        let later = self.is_new() && source.tells_of(addr);
        let other = self.config.challenges && alive.node != self.config.name;
        if !later || !other || self.double.is_some() || self.has_left() {
            return;
        }
        let own = self.config.admission.identity(&self.config.tags);
        if own.is_none() || own != self.config.admission.identity(&decode_tags(&alive.meta)) {
            return;
        }
        let seq_no = self.next_seq_no();
        let until = self.now + self.config.probe_interval;
        let ping = self.own_ping(seq_no, alive.node.clone());
        self.double = Some(Double { name: alive.node.clone(), at: addr, seq_no, until });
        self.send(addr, &Message::Ping(ping.clone()));
        self.open(addr, Talk::Pinging { ping, until });
    }

    /// Another member that is there has this identity.
    fn owner_of(&self, identity: &str, name: &str) -> Option<(Str, SocketAddr)> {
        let owner = self.owners.get(identity).filter(|owner| !owner.eq_ignore_ascii_case(name))?;
        let member = &self.serf.members.get(owner)?.member;
        let there = matches!(member.status, super::Status::Alive | super::Status::Leaving);
        let is_its_own = self.config.admission.identity(&member.tags).is_some_and(|own| *own == *identity);
        (there && is_its_own).then(|| (owner.clone(), member.addr))
    }

    /// Refuses a second name of a node ID whose owner is there; true if it did.
    pub(super) fn refuses_second_name(&mut self, alive: &Alive, addr: SocketAddr) -> bool {
        if alive.node == self.config.name {
            return false;
        }
        let tags = decode_tags(&alive.meta);
        let Some(identity) = self.config.admission.identity(&tags) else { return false };
        let Some((owner, at)) = self.owner_of(&identity, &alive.node) else { return false };
        let id = tags.get("id").cloned().unwrap_or_default();
        let text = format!(
            "Member '{}' at {addr} has conflicting node ID '{id}' with member '{owner}' at {at}, and is kept out: \
             if its data directory is a copy, remove node-id from it",
            alive.node
        );
        self.refuse("node-id", &text);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::serf::Status;
    use super::super::wire::Suspect;
    use super::super::wire::{Ack, WireState};
    use super::super::{Admission, Config, Input, VSN, consul, encode_tags};
    use super::*;
    use crate::rng::{Rng, Seed};
    use alloc::collections::BTreeMap;
    use bytes::Bytes;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(1_000_000 + ms)
    }

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 8301))
    }

    fn tags(id: &str) -> BTreeMap<Str, Str> {
        let pairs = [("role", "node"), ("dc", "dc1"), ("id", id)];
        pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn server_tags(dc: &str, id: &str) -> BTreeMap<Str, Str> {
        let pairs = [("role", "consul"), ("dc", dc), ("id", id), ("port", "8300"), ("build", "1.21.5:x")];
        let more = [("vsn", "2"), ("raft_vsn", "3")];
        pairs.into_iter().chain(more).map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// A member `me` with the ID `own` at the address 1.
    struct Me {
        gossip: Gossip,
        effects: Vec<Effect>,
    }

    fn me() -> Me {
        let rules =
            consul::LanRules { datacenter: "dc1".into(), node_id: "own".into(), node_name: "me".into() };
        let admission = Admission::ConsulLan(rules);
        boot(Config { tags: tags("own"), admission, ..Config::lan("me".into(), addr(1)) })
    }

    /// In the pool of all servers.
    fn server() -> Me {
        let (tags, admission) = (server_tags("dc1", "own"), Admission::ConsulWan);
        boot(Config { tags, admission, ..Config::wan("me.dc1".into(), addr(1)) })
    }

    fn boot(config: Config) -> Me {
        let config = Config { challenges: true, ..config };
        let mut effects = Vec::new();
        let gossip = Gossip::boot(config, &Rng::new(Seed::from_u64(1)), at(0), &mut effects).expect("sound");
        Me { gossip, effects }
    }

    impl Me {
        fn hears(&mut self, ms: u64, message: &Message) {
            self.hears_from(addr(9), ms, message);
        }

        fn hears_from(&mut self, from: SocketAddr, ms: u64, message: &Message) {
            let bytes = Bytes::from(message.encode());
            let input = Input::Packet { from, bytes };
            self.gossip.step(at(ms), input, &mut self.effects);
        }

        fn alive(&mut self, ms: u64, name: &str, id: &str, n: u8, incarnation: u32) {
            self.alive_with(ms, name, &tags(id), n, incarnation);
        }

        fn alive_with(&mut self, ms: u64, name: &str, tags: &BTreeMap<Str, Str>, n: u8, incarnation: u32) {
            let alive = Alive {
                addr: ip_bytes(addr(n).ip()),
                incarnation,
                meta: Bytes::from(encode_tags(tags).expect("short")),
                node: name.into(),
                port: 8301,
                vsn: Bytes::copy_from_slice(&VSN),
            };
            self.hears(ms, &Message::Alive(alive));
        }

        /// A message of serf's: its kind, and MessagePack.
        fn says(&mut self, ms: u64, bytes: &'static [u8]) {
            self.hears(ms, &Message::User(Bytes::from_static(bytes)));
        }

        fn passes(&mut self, until: u64) {
            while self.gossip.deadline() <= at(until) {
                let due = self.gossip.deadline();
                self.gossip.step(due, Input::Wake, &mut self.effects);
            }
        }

        /// The ping of the challenge that runs is answered.
        fn answered(&mut self, ms: u64) {
            let Challenge { seq_no, asked, .. } =
                *self.gossip.challenges.values().next().expect("a challenge");
            self.hears_from(asked, ms, &Message::Ack(Ack { payload: Bytes::new(), seq_no }));
        }

        fn place(&self, name: &str) -> Option<SocketAddr> {
            self.gossip.member(name).map(|member| member.addr)
        }

        fn logged(&self, text: &str) -> bool {
            self.effects.iter().any(|e| matches!(e, Effect::Log(event) if event.message.contains(text)))
        }

        fn twin(&self) -> Option<SocketAddr> {
            self.effects.iter().find_map(|effect| match effect {
                Effect::Twin { at, .. } => Some(*at),
                _ => None,
            })
        }
    }

    #[test]
    fn a_node_that_died_unnoticed_is_taken_at_its_new_address_within_a_probe_interval() {
        for id in ["x", "another, for its disk was lost"] {
            let mut me = me();
            me.alive(0, "a", "x", 2, 5);
            me.alive(100, "a", id, 3, 1);
            assert_eq!(me.place("a"), Some(addr(2)), "it may be there still");
            me.passes(1_200);
            assert_eq!(me.place("a"), Some(addr(3)), "{id}");
            assert!(me.logged("Updating address for node a to 10.0.0.3:8301"));
            let told = me.effects.iter().any(
                |e| matches!(e, Effect::Member { member, .. } if &*member.name == "a" && member.addr == addr(3)),
            );
            assert!(told);
        }
    }

    #[test]
    fn a_node_known_to_be_dead_is_taken_at_once_if_it_is_the_same_one() {
        let mut me = me();
        me.alive(0, "a", "x", 2, 5);
        let peer = me.gossip.table.get_mut("a").expect("known");
        peer.state = WireState::Dead;
        me.alive(100, "a", "x", 3, 1);
        assert_eq!(me.place("a"), Some(addr(3)));
    }

    #[test]
    fn who_answers_keeps_the_name_and_the_log_names_both_addresses() {
        let mut me = me();
        me.alive(0, "a", "x", 2, 5);
        me.alive(100, "a", "x", 3, 9);
        me.answered(150);
        me.passes(5_000);
        me.alive(5_000, "a", "x", 3, 10);
        me.passes(7_000);
        assert_eq!(me.place("a"), Some(addr(2)));
        assert!(me.logged("Name conflict for 'a' both 10.0.0.2:8301 and 10.0.0.3:8301 are claiming"));
    }

    #[test]
    fn an_answer_from_elsewhere_is_to_a_ping_of_an_earlier_life() {
        let mut me = me();
        me.alive(0, "b", "y", 5, 1);
        me.alive(0, "me", "own", 2, 7);
        let seq_no = me.gossip.challenges.values().next().expect("a challenge").seq_no;
        me.hears_from(addr(5), 100, &Message::Ack(Ack { payload: Bytes::new(), seq_no }));
        me.passes(5_000);
        assert_eq!(me.twin(), None);
    }

    #[test]
    fn a_copy_that_comes_when_its_original_lives_stops_and_the_original_does_not() {
        let mut copy = me();
        copy.alive(0, "b", "y", 5, 1);
        copy.alive(0, "me", "own", 2, 7);
        copy.answered(100);
        assert_eq!(copy.twin(), Some(addr(2)));

        let mut other = me();
        other.alive(0, "b", "y", 5, 1);
        other.alive(0, "me", "another", 2, 7);
        other.answered(100);
        assert_eq!(other.twin(), None, "its disk is its own: it waits for the name");
        assert!(
            other.logged("The name 'me' is taken: the node at 10.0.0.2:8301 with ID 'another' answers to it")
        );

        let mut original = me();
        original.alive(0, "b", "y", 5, 1);
        original.passes(60_000);
        original.alive(60_000, "me", "own", 2, 7);
        original.answered(60_100);
        assert_eq!(original.twin(), None);
        assert!(original.logged("Node name conflicts with another node at 10.0.0.2:8301"));
    }

    #[test]
    fn who_hears_of_a_claim_from_the_claimant_alone_was_there_first() {
        let mut original = me();
        original.alive(0, "b", "y", 5, 1);
        // The tests' packets come from there.
        original.alive(100, "me", "own", 9, 7);
        original.answered(150);
        assert_eq!(original.twin(), None);
    }

    #[test]
    fn a_node_that_moved_tells_those_who_believe_it_to_be_where_it_was() {
        let mut me = me();
        me.alive(0, "me", "own", 2, 7);
        assert!(me.gossip.incarnation > 7);
        me.passes(2_000);
        assert_eq!((me.place("me"), me.twin()), (Some(addr(1)), None));
    }

    #[test]
    fn a_ping_that_comes_back_to_its_sender_accuses_nobody() {
        let mut me = me();
        me.alive(0, "me", "own", 2, 7);
        let seq_no = me.gossip.challenges.values().next().expect("a challenge").seq_no;
        let ping = me.gossip.own_ping(seq_no, "me".into());
        me.effects.clear();
        me.hears(10, &Message::Ping(ping));
        assert!(!me.effects.iter().any(|e| matches!(e, Effect::Packet { .. })), "it is not answered");
    }

    #[test]
    fn a_node_id_that_was_given_up_is_forgotten() {
        let mut me = me();
        for n in 1..=50 {
            me.alive(u64::from(n) * 10, "a", &format!("id {n}"), 2, n);
        }
        assert_eq!(me.gossip.owners.len(), 2, "{:?}", me.gossip.owners);
    }

    #[test]
    fn an_incarnation_that_nobody_can_have_reached_accuses_nobody() {
        let mut me = me();
        me.alive(0, "a", "x", 2, 1);
        for node in ["a", "me"] {
            let (from, incarnation) = (Str::from("b"), u32::MAX);
            me.hears(10, &Message::Suspect(Suspect { from: from.clone(), incarnation, node: node.into() }));
            let dead = super::super::wire::Dead { from, incarnation, node: node.into() };
            me.hears(20, &Message::Dead(dead));
        }
        me.alive(30, "a", "x", 3, u32::MAX);
        assert_eq!(me.place("a"), Some(addr(2)));
        assert_eq!(me.gossip.member("a").map(|member| member.status), Some(Status::Alive));
        assert!(me.gossip.incarnation < 10, "{}", me.gossip.incarnation);
    }

    #[test]
    fn who_repeats_what_was_contradicted_is_told_again_and_nobody_else() {
        let mut me = me();
        me.alive(0, "a", "x", 2, 1);
        let accusation = |from: &str, node: &str| {
            Message::Suspect(Suspect { from: from.into(), incarnation: 1, node: node.into() })
        };
        me.hears(10, &accusation("a", "me"));
        let contradicted = me.gossip.incarnation;
        assert!(contradicted > 1);
        me.effects.clear();
        for (from, node) in [("a", "me"), ("stranger", "me"), ("me", "me")] {
            me.hears(20, &accusation(from, node));
        }
        let to = |effect: &Effect| match effect {
            Effect::Packet { to, .. } => Some(*to),
            _ => None,
        };
        let told: Vec<SocketAddr> = me.effects.iter().filter_map(to).collect();
        assert_eq!((told, me.gossip.incarnation), (Vec::from([addr(2)]), contradicted));
    }

    #[test]
    fn a_member_that_was_to_be_pruned_and_says_that_it_is_there_stays() {
        let mut me = me();
        me.alive(0, "a", "x", 2, 1);
        me.says(10, b"\x00\x83\xa5LTime\x05\xa4Node\xa1a\xa5Prune\xc3");
        assert_eq!(me.gossip.member("a").map(|member| member.status), Some(Status::Leaving));
        me.says(20, b"\x01\x82\xa5LTime\x06\xa4Node\xa1a");
        me.passes(60_000);
        assert!(me.gossip.member("a").is_some());
    }

    #[test]
    fn a_copy_under_another_name_stops_when_it_hears_of_its_original_and_that_one_answers() {
        let (original, told) = (addr(2), addr(9));
        for (since, ack_from, stops) in [(0, original, true), (0, told, false), (60_000, original, false)] {
            let mut copy = me();
            copy.alive(0, "b", "y", 5, 1);
            copy.passes(since);
            copy.alive(since, "first", "own", 2, 7);
            let seq_no = copy.gossip.double.as_ref().map_or(0, |double| double.seq_no);
            copy.hears_from(ack_from, since + 100, &Message::Ack(Ack { payload: Bytes::new(), seq_no }));
            assert_eq!(copy.twin(), stops.then_some(original), "since {since} ms, {ack_from} answers");
            assert_eq!(copy.place("first"), None, "one ID, one name");
        }
    }

    #[test]
    fn whoever_was_renamed_goes_on_when_its_old_name_does_not_answer() {
        let mut me = me();
        me.alive(0, "b", "y", 5, 1);
        me.alive(10, "old", "own", 2, 7);
        me.passes(5_000);
        assert_eq!((me.twin(), me.gossip.double.is_some()), (None, false));
    }

    #[test]
    fn a_second_name_of_a_node_id_is_kept_out_while_the_first_is_there() {
        let mut me = me();
        me.alive(0, "a", "x", 2, 1);
        me.alive(10, "b", "x", 3, 1);
        assert_eq!(me.place("b"), None);
        assert!(me.logged(
            "Member 'b' at 10.0.0.3:8301 has conflicting node ID 'x' with member 'a' at 10.0.0.2:8301"
        ));
        let dead = super::super::wire::Dead { from: "c".into(), incarnation: 1, node: "a".into() };
        me.hears(20, &Message::Dead(dead));
        me.alive(30, "b", "x", 3, 1);
        assert_eq!(me.place("b"), Some(addr(3)), "it was renamed");
    }

    #[test]
    fn in_the_pool_of_all_servers_a_node_id_has_one_name_in_each_datacenter() {
        let mut me = server();
        me.alive_with(0, "a.dc1", &server_tags("dc1", "x"), 2, 1);
        me.alive_with(10, "b.dc1", &server_tags("dc1", "x"), 3, 1);
        assert_eq!(me.place("b.dc1"), None, "a copy of the data directory of a");
        me.alive_with(20, "c.dc1", &server_tags("dc1", "own"), 4, 1);
        assert_eq!(me.place("c.dc1"), None, "a copy of this one's");
        me.alive_with(30, "a.dc2", &server_tags("dc2", "x"), 5, 1);
        assert_eq!(me.place("a.dc2"), Some(addr(5)), "another datacenter");
        let dead = super::super::wire::Dead { from: "c".into(), incarnation: 1, node: "a.dc1".into() };
        me.hears(40, &Message::Dead(dead));
        me.alive_with(50, "b.dc1", &server_tags("dc1", "x"), 3, 2);
        assert_eq!(me.place("b.dc1"), Some(addr(3)), "it was renamed");
    }
}
