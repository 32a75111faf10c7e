//! What serf adds to an exchange of tables.

use super::super::Gossip;
use super::member::Status;
use super::message::{self, Join, Leave, PushPull, UserEvent};
use bytes::Bytes;

impl Gossip {
    /// Clocks, the newest intents, who left, and the events of late.
    pub(in super::super) fn serf_state(&self) -> Bytes {
        let members = self.serf.members.iter();
        let left = members.clone().filter(|(_, known)| known.member.status == Status::Left);
        Bytes::from(message::encode(
            message::PUSH_PULL,
            &PushPull {
                event_ltime: self.serf.event_clock.time(),
                events: self.serf.events.to_wire(),
                ltime: self.serf.clock.time(),
                left_members: left.map(|(name, _)| name.clone()).collect(),
                query_ltime: self.serf.query_clock.time(),
                status_ltimes: members.map(|(name, known)| (name.clone(), known.status_ltime)).collect(),
            },
        ))
    }

    /// Takes in another's. `ignore_old`: events until now are not told.
    pub(in super::super) fn merge_serf_state(&mut self, state: &[u8], ignore_old: bool) {
        let body = match state.split_first() {
            None => return,
            Some((&message::PUSH_PULL, body)) => body,
            Some(_) => return self.refuse("serf", "the state of an exchange is not serf's"),
        };
        let theirs: PushPull = match message::decode(body) {
            Ok(theirs) => theirs,
            Err(error) => {
                let text = alloc::format!("Failed to decode the state of an exchange: {error}");
                return self.refuse("serf", &text);
            }
        };
        // The other's clocks stand at its next message; what it has seen is one less.
        self.serf.clock.witness(theirs.ltime.saturating_sub(1));
        self.serf.event_clock.witness(theirs.event_ltime.saturating_sub(1));
        self.serf.query_clock.witness(theirs.query_ltime.saturating_sub(1));
        for node in &theirs.left_members {
            let said = theirs.status_ltimes.get(node).copied().unwrap_or(0);
            // One later, so that it counts against the intent to join that is known.
            let leave = Leave { ltime: said.saturating_add(1), node: node.clone(), prune: false };
            self.on_leave_intent(&leave);
        }
        for (node, ltime) in &theirs.status_ltimes {
            if !theirs.left_members.contains(node) {
                self.on_join_intent(&Join { ltime: *ltime, node: node.clone() });
            }
        }
        if ignore_old {
            self.serf.events.start_at(theirs.event_ltime);
        }
        for past in theirs.events.into_iter().flatten() {
            for event in past.events {
                let (name, payload) = (event.name, event.payload);
                self.on_user_event(&UserEvent { coalesce: false, ltime: past.ltime, name, payload });
            }
        }
    }
}
