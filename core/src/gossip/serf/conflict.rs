//! Two members of one name: the others know who had it first.

use super::super::wire::ip_bytes;
use super::super::{Effect, Gossip};
use super::asked::Asker;
use super::message::{self, ConflictResponse};
use super::query::{INTERNAL, Incoming, QueryOptions};
use crate::Str;
use crate::event::Level;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// The question's name behind [`INTERNAL`].
pub(super) const CONFLICT: &str = "conflict";

/// What a member said about the name.
pub(super) fn read(payload: &[u8]) -> Option<ConflictResponse> {
    match payload.split_first() {
        Some((&message::CONFLICT_RESPONSE, body)) => message::decode(body).ok(),
        _ => None,
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
        let asking = self.serf.asked.values().any(|asked| matches!(asked.asker, Asker::Conflict { .. }));
        if resolve && !asking {
            let question: Str = format!("{INTERNAL}{CONFLICT}").as_str().into();
            let payload = Bytes::copy_from_slice(name.as_bytes());
            let asker = Asker::Conflict { answers: 0, for_us: 0 };
            if let Err((_, reason)) = self.ask(asker, question, payload, &QueryOptions::default()) {
                self.log_serf(Level::Error, format!("Failed to start name conflict resolution: {reason}"));
            }
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

    /// The majority of the answers decides.
    pub(super) fn on_conflict_counted(&mut self, answers: usize, for_us: usize) {
        if for_us > answers / 2 {
            let text = format!("majority in name conflict resolution [{for_us} / {answers}]");
            return self.log_serf(Level::Info, text);
        }
        let text = format!("minority in name conflict resolution, quitting [{for_us} / {answers}]");
        self.log_serf(Level::Warn, text);
        self.effects.push(Effect::NameLost);
    }
}
