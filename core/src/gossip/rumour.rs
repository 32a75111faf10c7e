//! What a rumour about a member changes: the rules of SWIM.
//!
//! A higher incarnation wins; of equal ones, death beats suspicion beats life. Only the member itself
//! raises its incarnation, to contradict what is said of it.

use super::challenge::Source;
use super::serf::{Member, Status};
use super::suspicion::Overdue;
use super::table::Peer;
use super::wire::{Alive, Dead, Message, Suspect, Vsn, WireState, ip_bytes, ip_from};
use super::{Gossip, decode_tags, scale};
use crate::Str;
use crate::event::Level;
use alloc::format;
use bytes::Bytes;
use core::net::SocketAddr;

/// A member raises its incarnation when it starts, changes or is accused. Beyond this a number was made up, by somebody
/// who wants a member dead that could not contradict him any more.
const MAX_INCARNATION: u32 = 1 << 31;

impl Gossip {
    /// Spreads a rumour; an older one about the same member is not spread any further.
    pub(super) fn spread(&mut self, name: &Str, message: &Message) {
        self.rumours.push(Some(name.clone()), &message.encode());
        self.eager_wanted = true;
    }

    /// What this member says of itself.
    fn own_alive(&self, peer: &Peer) -> Alive {
        Alive {
            addr: ip_bytes(peer.addr.ip()),
            incarnation: peer.incarnation,
            meta: Bytes::copy_from_slice(&peer.meta),
            node: peer.name.clone(),
            port: peer.addr.port(),
            vsn: Bytes::copy_from_slice(&peer.vsn),
        }
    }

    /// Enters this member into its own table, or changes what it shows.
    pub(super) fn announce_self(&mut self, meta: &[u8]) {
        self.incarnation = self.incarnation.saturating_add(1);
        let own = Peer {
            name: self.config.name.clone(),
            addr: self.config.advertise,
            meta: meta.into(),
            vsn: self.config.vsn,
            incarnation: self.incarnation,
            state: WireState::Alive,
            changed: self.now,
        };
        if !self.is_silent() {
            self.spread(&own.name.clone(), &Message::Alive(self.own_alive(&own)));
        }
        match self.table.get_mut(&own.name) {
            Some(peer) => {
                let changed = peer.meta != own.meta;
                *peer = Peer { changed: peer.changed, ..own.clone() };
                if changed {
                    self.on_member_updated(&own);
                }
            }
            None => {
                self.table.insert(own.clone(), &mut self.rng.probe);
                self.on_member_alive(&own);
            }
        }
    }

    /// Contradicts what is said of this member; unless it is about the other one that has its name.
    pub(super) fn refute(&mut self, accused: u32) {
        if mutant!(self, RefutesNothing) {
            return;
        }
        if self.is_silent() {
            return self.look_soon();
        }
        let name = self.config.name.clone();
        self.incarnation = self.incarnation.saturating_add(1).max(accused.saturating_add(1));
        self.health.apply(1);
        let incarnation = self.incarnation;
        let Some(peer) = self.table.get_mut(&name) else { return };
        peer.incarnation = incarnation;
        let own = peer.clone();
        self.spread(&name, &Message::Alive(self.own_alive(&own)));
    }

    /// Whoever repeats what this member has contradicted has not heard that, and may not before tables are exchanged.
    fn contradict_again(&mut self, accused: &Str, accuser: &Str) {
        let own = self.config.name.clone();
        if *accused != own || self.is_silent() || self.has_left() {
            return;
        }
        let accuser = self.table.get(accuser).filter(|peer| peer.name != own).map(|peer| peer.addr);
        let (Some(accuser), Some(peer)) = (accuser, self.table.get(&own)) else { return };
        let alive = Message::Alive(self.own_alive(peer));
        self.send(accuser, &alive);
    }

    /// Somebody is said to be alive.
    pub(super) fn on_alive(&mut self, alive: &Alive, source: Source) {
        if alive.incarnation > MAX_INCARNATION {
            return self
                .refuse("incarnation", "an alive message has an incarnation that nobody can have reached");
        }
        let own = alive.node == self.config.name;
        if own && self.has_left() {
            return;
        }
        let Some(addr) = self.address_of(&alive.addr, alive.port) else {
            return self.refuse("address", "an alive message has no usable address");
        };
        let known = self.table.get(&alive.node);
        if known.is_some_and(|peer| !own && peer.addr == addr && alive.incarnation <= peer.incarnation) {
            // As most of a table that is exchanged, and of what goes round.
            return;
        }
        let known_vsn = known.map(|peer| peer.vsn);
        let vsn = match Vsn::try_from(&alive.vsn[..]) {
            Ok(vsn) => vsn,
            Err(_) if self.config.admission.needs_versions() => {
                return self.refuse("version", "an alive message does not say its protocol versions");
            }
            Err(_) => known_vsn.unwrap_or_default(),
        };
        if !alive.vsn.is_empty() && (vsn[0] == 0 || vsn[1] == 0 || vsn[0] > vsn[1]) {
            return self.refuse("version", "an alive message says impossible protocol versions");
        }
        self.meets_its_id(alive, addr, source);
        if let Err(why) = self.admit_one(alive, addr, vsn) {
            return self.refuse("admission", &format!("ignoring alive message for '{}': {why}", alive.node));
        }
        if self.refuses_second_name(alive, addr) {
            return;
        }
        let Some(peer) = self.table.get(&alive.node) else { return self.on_new(alive, addr, vsn) };
        let mut reclaims = false;
        if peer.addr != addr {
            let reclaim = self.config.dead_node_reclaim;
            let free = match peer.state {
                WireState::Left => true,
                WireState::Dead if self.config.challenges && same_node(&peer.meta, &alive.meta) => true,
                WireState::Dead => !reclaim.is_zero() && self.now.since(peer.changed) > reclaim,
                WireState::Alive | WireState::Suspect => false,
            };
            if !free {
                let existing = peer.addr;
                if self.config.challenges {
                    return self.challenge(alive, (existing, addr), vsn, source);
                }
                return self.on_conflict(&alive.node, existing, addr);
            }
            let text = format!(
                "Updating address for left or failed node {} from {} to {addr}",
                peer.name, peer.addr
            );
            reclaims = true;
            self.log(Level::Info, text);
        }
        let Some(peer) = self.table.get(&alive.node) else { return };
        if own {
            let same = alive.incarnation == peer.incarnation && *alive.meta == *peer.meta && vsn == peer.vsn;
            if alive.incarnation < peer.incarnation || same {
                return;
            }
            self.suspicions.clear(&alive.node);
            self.log(Level::Warn, format!("Refuting an alive message for '{}' ({addr})", alive.node));
            return self.refute(alive.incarnation);
        }
        if alive.incarnation > peer.incarnation || reclaims {
            self.accept(alive, addr, vsn);
        }
    }

    /// What a known member says of itself holds from now on.
    pub(super) fn accept(&mut self, alive: &Alive, addr: SocketAddr, vsn: Vsn) {
        self.suspicions.clear(&alive.node);
        self.counts.alive += 1;
        let heard = Alive { port: addr.port(), ..alive.clone() };
        self.spread(&alive.node, &Message::Alive(heard));
        let now = self.now;
        let Some(peer) = self.table.get_mut(&alive.node) else { return };
        let (was_gone, changed) = (peer.is_gone(), *peer.meta != *alive.meta || peer.addr != addr);
        peer.addr = addr;
        peer.meta = (&*alive.meta).into();
        peer.vsn = vsn;
        peer.incarnation = alive.incarnation;
        if peer.state != WireState::Alive {
            peer.state = WireState::Alive;
            peer.changed = now;
        }
        let peer = peer.clone();
        if was_gone {
            self.on_member_alive(&peer);
        } else if changed {
            self.on_member_updated(&peer);
        }
    }

    /// Somebody is heard of for the first time.
    fn on_new(&mut self, alive: &Alive, addr: SocketAddr, vsn: Vsn) {
        // The gone are remembered by serf for days after SWIM forgot them.
        let known = self.serf.members.contains_key(&alive.node);
        let full = self.table.len() >= self.config.max_members
            || (!known && self.serf.members.len() >= self.config.max_members);
        if full {
            return self.refuse("members", "the table of members is full");
        }
        self.counts.alive += 1;
        let peer = Peer {
            name: alive.node.clone(),
            addr,
            meta: (&*alive.meta).into(),
            vsn,
            incarnation: alive.incarnation,
            state: WireState::Alive,
            changed: self.now,
        };
        let heard = Alive { port: addr.port(), ..alive.clone() };
        self.spread(&alive.node, &Message::Alive(heard));
        self.table.insert(peer.clone(), &mut self.rng.probe);
        self.on_member_alive(&peer);
    }

    /// A port that is absent is ours.
    pub(super) fn address_of(&self, raw: &[u8], port: u16) -> Option<SocketAddr> {
        let port = if port == 0 { self.config.advertise.port() } else { port };
        Some(SocketAddr::new(ip_from(raw)?, port))
    }

    fn admit_one(&self, alive: &Alive, addr: SocketAddr, vsn: Vsn) -> Result<(), alloc::string::String> {
        let member = Member::new(alive.node.clone(), addr, &alive.meta, vsn, Status::Alive);
        self.config.admission.admit(&[member])
    }

    /// Somebody is said not to answer.
    pub(super) fn on_suspect(&mut self, suspect: &Suspect) {
        let Some(peer) = self.table.get(&suspect.node) else { return };
        if suspect.incarnation > MAX_INCARNATION {
            return self.refuse("incarnation", "a suspicion has an incarnation that nobody can have reached");
        }
        if suspect.incarnation < peer.incarnation {
            return self.contradict_again(&suspect.node, &suspect.from);
        }
        if self.suspicions.is_running(&suspect.node) {
            if self.suspicions.confirm(&suspect.node, &suspect.from, self.now) {
                self.spread(&suspect.node, &Message::Suspect(suspect.clone()));
            }
            return;
        }
        if peer.state != WireState::Alive {
            return;
        }
        if suspect.node == self.config.name {
            if !self.has_left() {
                self.log(Level::Warn, format!("Refuting a suspect message (from: {})", suspect.from));
                self.refute(suspect.incarnation);
            }
            return;
        }
        self.counts.suspect += 1;
        self.spread(&suspect.node, &Message::Suspect(suspect.clone()));
        let (now, n) = (self.now, self.table.len());
        if let Some(peer) = self.table.get_mut(&suspect.node) {
            peer.incarnation = suspect.incarnation;
            peer.state = WireState::Suspect;
            peer.changed = now;
        }
        let wanted = self.config.suspicion_mult.saturating_sub(2);
        let wanted = if n < wanted as usize + 2 { 0 } else { wanted };
        let min = scale::suspicion_timeout(self.config.suspicion_mult, n, self.config.probe_interval);
        let max = min * self.config.suspicion_max_mult;
        self.suspicions.start(&suspect.node, suspect.from.clone(), wanted, (min, max), now);
    }

    /// A suspicion's time is over without a word from the suspect.
    pub(super) fn on_suspicion_over(&mut self, overdue: Overdue) {
        let Some(peer) = self.table.get(&overdue.name).filter(|peer| peer.state == WireState::Suspect) else {
            return;
        };
        let dead = Dead {
            from: self.config.name.clone(),
            incarnation: peer.incarnation,
            node: overdue.name.clone(),
        };
        let text = format!(
            "Marking {} as failed, suspect timeout reached ({} peer confirmations)",
            overdue.name, overdue.confirmations
        );
        self.log(Level::Info, text);
        self.on_dead(&dead);
    }

    /// Somebody is said to be dead, or says itself that it leaves.
    pub(super) fn on_dead(&mut self, dead: &Dead) {
        let Some(peer) = self.table.get(&dead.node) else { return };
        if dead.incarnation > MAX_INCARNATION {
            return self.refuse("incarnation", "a death has an incarnation that nobody can have reached");
        }
        if dead.incarnation < peer.incarnation {
            return self.contradict_again(&dead.node, &dead.from);
        }
        self.suspicions.clear(&dead.node);
        if peer.is_gone() {
            return;
        }
        if dead.node == self.config.name && !self.has_left() {
            self.log(Level::Warn, format!("Refuting a dead message (from: {})", dead.from));
            return self.refute(dead.incarnation);
        }
        self.counts.dead += 1;
        self.spread(&dead.node, &Message::Dead(dead.clone()));
        let now = self.now;
        let Some(peer) = self.table.get_mut(&dead.node) else { return };
        peer.incarnation = dead.incarnation;
        peer.state = if dead.node == dead.from { WireState::Left } else { WireState::Dead };
        peer.changed = now;
        self.on_member_gone(&dead.node);
    }
}

/// Whether two members' tags name the same node ID.
fn same_node(one: &[u8], other: &[u8]) -> bool {
    let id = |meta| decode_tags(meta).get("id").filter(|id| !id.is_empty()).cloned();
    id(one).is_some_and(|one| id(other) == Some(one))
}
