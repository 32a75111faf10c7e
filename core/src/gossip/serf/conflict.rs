//! Two members of one name: the others know who had it first.

use super::super::wire::{ip_bytes, ip_from};
use super::super::{Effect, Gossip};
use super::asked::Asker;
use super::message::{self, ConflictResponse};
use super::query::{INTERNAL, Incoming, QueryOptions};
use crate::Str;
use crate::event::Level;
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Reverse;
use core::net::SocketAddr;

/// The question's name behind [`INTERNAL`].
pub(super) const CONFLICT: &str = "conflict";
/// Members that repeat each answer of [`FEW`]: those that get lost could turn the vote.
const RELAYS: u8 = 2;
const FEW: usize = 64;
/// They are not asked more often: it is longer than a question lasts.
const AGAIN: Duration = Duration::from_secs(30);

/// How many members hold which address for that of the name.
pub(super) type Sides = BTreeMap<SocketAddr, usize>;

/// Counts what a member said about the name.
pub(super) fn count(sides: &mut Sides, payload: &[u8]) {
    let held: Option<ConflictResponse> = match payload.split_first() {
        Some((&message::CONFLICT_RESPONSE, body)) => message::decode(body).ok(),
        _ => None,
    };
    if let Some((ip, port)) = held.and_then(|held| Some((ip_from(&held.addr)?, held.port))) {
        *sides.entry(SocketAddr::new(ip, port)).or_default() += 1;
    }
}

impl Gossip {
    /// Somebody claims a name from another address.
    pub(in super::super) fn on_conflict(&mut self, name: &Str, existing: SocketAddr, other: SocketAddr) {
        if *name != self.config.name {
            let text = format!("Name conflict for '{name}' both {existing} and {other} are claiming");
            return self.refuse("conflict", &text);
        }
        let resolve = self.config.resolve_conflicts;
        let text = format!(
            "Node name conflicts with another node at {other}. Names must be unique! (Resolution enabled: {resolve})"
        );
        self.refuse("conflict", &text);
        if resolve {
            self.ask_for_the_owner();
        }
    }

    /// Asks all members whom they know by this node's name, unless that is being asked.
    pub(in super::super) fn ask_for_the_owner(&mut self) {
        if self.serf.conflict_from > self.now {
            return;
        }
        self.serf.conflict_from = self.now + AGAIN;
        let question: Str = format!("{INTERNAL}{CONFLICT}").as_str().into();
        let payload = Bytes::copy_from_slice(self.config.name.as_bytes());
        let asker = Asker::Conflict(Sides::new());
        let relay_factor = if self.serf.members.len() <= FEW { RELAYS } else { 0 };
        let options = QueryOptions { relay_factor, ..QueryOptions::default() };
        if let Err((_, reason)) = self.ask(asker, question, payload, &options) {
            self.log_serf(Level::Error, format!("Failed to start name conflict resolution: {reason}"));
        }
    }

    /// Says whom we know by that name; whoever has it does not answer for itself.
    pub(super) fn answer_conflict(&mut self, incoming: &Incoming, payload: &[u8]) {
        let Ok(name) = core::str::from_utf8(payload) else { return };
        if name == &*self.config.name {
            return;
        }
        let answer: Vec<u8> = match self.serf.members.get(name).map(|known| &known.member) {
            None => alloc::vec![message::CONFLICT_RESPONSE, 0xc0],
            Some(member) => message::encode(
                message::CONFLICT_RESPONSE,
                &ConflictResponse {
                    addr: ip_bytes(member.addr.ip()),
                    delegate_cur: member.vsn[5],
                    delegate_max: member.vsn[4],
                    delegate_min: member.vsn[3],
                    name: member.name.clone(),
                    port: member.addr.port(),
                    protocol_cur: member.vsn[2],
                    protocol_max: member.vsn[1],
                    protocol_min: member.vsn[0],
                    status: member.status.number(),
                    tags: member.tags.clone(),
                },
            ),
        };
        self.send_answer(incoming, 0, Bytes::from(answer));
    }

    /// The answers decide: how many side with whom. Plain serf goes on if more than half side with it, and stops
    /// otherwise. Where claims are looked into, whoever has fewer than another falls silent; of two that have as many,
    /// the one at the higher address.
    pub(super) fn on_conflict_counted(&mut self, sides: &Sides) {
        let own = self.config.advertise;
        let for_us = sides.get(&own).copied().unwrap_or(0);
        let answers: usize = sides.values().sum();
        if self.config.resolve_conflicts {
            if for_us > answers / 2 {
                let text = format!("majority in name conflict resolution [{for_us} / {answers}]");
                return self.log_serf(Level::Info, text);
            }
            let text = format!("minority in name conflict resolution, quitting [{for_us} / {answers}]");
            self.log_serf(Level::Warn, text);
            return self.effects.push(Effect::NameLost);
        }
        let others = sides.iter().filter(|(at, _)| **at != own);
        let Some((&rival, &for_it)) = others.max_by_key(|(at, count)| (**count, Reverse(**at))) else {
            return;
        };
        if (for_it, Reverse(rival)) > (for_us, Reverse(own)) {
            self.fall_silent(rival);
        }
    }
}
