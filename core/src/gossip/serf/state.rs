//! What serf adds to an exchange of tables.

use super::super::Gossip;
use super::super::wire::MAX_NODES;
use super::member::{Known, Status};
use super::message::{self, Join, Leave, PushPull, UserEvent};
use crate::Str;
use alloc::collections::BTreeSet;
use bytes::Bytes;

impl Gossip {
    /// Clocks, the newest intents, who left, and the events of late.
    pub(in super::super) fn serf_state(&self) -> Bytes {
        let members = self.serf.members.iter();
        let has_left = |known: &Known| known.member.status == Status::Left;
        let left = members.clone().filter(|(_, known)| has_left(known));
        // Of who has left and means to come back, no one else shall hear that it left when it came back.
        let ltime = |known: &Known| if has_left(known) { known.leave_ltime } else { known.status_ltime };
        Bytes::from(message::encode(
            message::PUSH_PULL,
            &PushPull {
                event_ltime: self.serf.event_clock.time(),
                events: self.serf.events.to_wire(),
                ltime: self.serf.clock.time(),
                left_members: left.map(|(name, _)| name.clone()).collect(),
                query_ltime: self.serf.query_clock.time(),
                status_ltimes: members.map(|(name, known)| (name.clone(), ltime(known))).collect(),
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
        if theirs.left_members.len().max(theirs.status_ltimes.len()) > MAX_NODES {
            return self.refuse("serf", "the state of an exchange has more members than a pool may");
        }
        // The other's clocks stand at its next message; what it has seen is one less.
        self.serf.clock.witness(theirs.ltime.saturating_sub(1));
        self.serf.event_clock.witness(theirs.event_ltime.saturating_sub(1));
        self.serf.query_clock.witness(theirs.query_ltime.saturating_sub(1));
        let left: BTreeSet<&Str> = theirs.left_members.iter().collect();
        for node in &left {
            // Serf goes one past this time. But whoever has heard of a return, and has not seen it yet, says that the
            // member has left with the time of its return: one past it would undo the return, for ever.
            let ltime = theirs.status_ltimes.get(*node).copied().unwrap_or(0);
            let leave = Leave { ltime, node: (*node).clone(), prune: false };
            self.on_leave_intent(&leave);
        }
        for (node, ltime) in &theirs.status_ltimes {
            if !left.contains(node) {
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

#[cfg(test)]
mod tests {
    use super::super::super::wire::{Alive, Dead, MAX_NODES};
    use super::super::super::{Config, Gossip, Status, VSN};
    use super::super::filter::encode_filters;
    use super::super::message::{self, Join, Leave, PushPull, Query};
    use crate::rng::{Rng, Seed};
    use crate::time::{Duration, Instant};
    use alloc::vec::Vec;
    use bytes::Bytes;
    use core::net::SocketAddr;

    fn pool() -> Gossip {
        let own = SocketAddr::from(([127, 0, 0, 1], 8301));
        let rng = Rng::new(Seed::from_u64(1));
        let mut gossip = Gossip::boot(Config::lan("n1".into(), own), &rng, Instant::ZERO, &mut Vec::new())
            .expect("a sound config");
        let alive = Alive {
            addr: Bytes::from_static(&[127, 0, 0, 2]),
            incarnation: 1,
            node: "n2".into(),
            port: 8301,
            vsn: Bytes::copy_from_slice(&VSN),
            ..Alive::default()
        };
        gossip.on_alive(&alive, crate::gossip::challenge::Source::Unknown);
        gossip
    }

    #[test]
    fn who_has_left_is_said_to_have_left_then_also_once_it_means_to_come_back() {
        let mut gossip = pool();
        gossip.on_leave_intent(&Leave { ltime: 9, node: "n2".into(), prune: false });
        gossip.on_dead(&Dead { from: "n2".into(), incarnation: 1, node: "n2".into() });
        gossip.on_join_intent(&Join { ltime: 11, node: "n2".into() });
        let said: PushPull = message::decode(&gossip.serf_state()[1..]).expect("its own state");
        assert_eq!(said.left_members, [crate::Str::from("n2")]);
        assert_eq!(said.status_ltimes.get("n2"), Some(&9));
    }

    #[test]
    fn a_leave_that_is_no_newer_than_the_intent_to_join_changes_nothing_and_a_newer_one_does() {
        let mut gossip = pool();
        gossip.on_join_intent(&Join { ltime: 16, node: "n2".into() });
        for (ltime, status) in [(16, Status::Alive), (17, Status::Leaving)] {
            let state = PushPull {
                ltime: 20,
                left_members: Vec::from(["n2".into()]),
                status_ltimes: [("n2".into(), ltime)].into(),
                ..PushPull::default()
            };
            gossip.merge_serf_state(&message::encode(message::PUSH_PULL, &state), false);
            assert_eq!(gossip.member("n2").map(|member| member.status), Some(status), "time {ltime}");
        }
    }

    #[test]
    fn a_state_of_more_members_than_a_pool_may_have_is_refused_and_one_of_as_many_is_taken_in_soon() {
        let mut gossip = pool();
        let state = |n: usize| PushPull {
            ltime: 20,
            // The same one, as nobody says it, and at the end, where whoever searches the list comes last.
            left_members: core::iter::repeat_n("x".into(), n - 1).chain(["n2".into()]).collect(),
            status_ltimes: (0..n - 1)
                .map(|i| (alloc::format!("m{i}").into(), 1))
                .chain([("n2".into(), 9)])
                .collect(),
            ..PushPull::default()
        };
        let refused = |gossip: &Gossip| gossip.refusals().map(|(_, count)| count).sum::<u64>();
        gossip.merge_serf_state(&message::encode(message::PUSH_PULL, &state(MAX_NODES + 1)), false);
        assert_eq!((refused(&gossip), gossip.member("n2").map(|m| m.status)), (1, Some(Status::Alive)));
        gossip.merge_serf_state(&message::encode(message::PUSH_PULL, &state(MAX_NODES)), false);
        assert_eq!((refused(&gossip), gossip.member("n2").map(|m| m.status)), (1, Some(Status::Leaving)));
    }

    #[test]
    fn a_question_with_more_filters_than_anybody_means_is_neither_looked_at_nor_passed_on() {
        let mut gossip = pool();
        let question = |n: usize, id| Query {
            addr: Bytes::from_static(&[127, 0, 0, 2]),
            filters: encode_filters(
                &[],
                &(0..n).map(|i| (alloc::format!("t{i}").into(), "".into())).collect(),
            ),
            id,
            ltime: 3,
            port: 8301,
            ..Query::default()
        };
        assert!(gossip.on_query(&question(16, 1)));
        assert!(!gossip.on_query(&question(17, 2)));
        assert_eq!(gossip.refusals().find(|(kind, _)| *kind == "query"), Some(("query", 1)));
    }

    #[test]
    fn a_member_that_means_to_leave_and_is_there_a_minute_later_is_alive() {
        let mut gossip = pool();
        gossip.on_leave_intent(&Leave { ltime: 9, node: "n2".into(), prune: false });
        for (seconds, status) in [(60, Status::Leaving), (61, Status::Alive)] {
            gossip.now = Instant::ZERO + Duration::from_secs(seconds);
            gossip.reap();
            assert_eq!(gossip.member("n2").map(|member| member.status), Some(status), "after {seconds} s");
        }
    }

    #[test]
    fn a_leave_of_ones_own_is_refuted_also_when_others_know_of_the_return_at_its_very_time() {
        let mut gossip = pool();
        gossip.on_join_intent(&Join { ltime: 9, node: "n1".into() });
        gossip.on_leave_intent(&Leave { ltime: 9, node: "n1".into(), prune: false });
        let said: PushPull = message::decode(&gossip.serf_state()[1..]).expect("its own state");
        assert!(said.status_ltimes["n1"] > 9, "{:?}", said.status_ltimes);
    }
}
