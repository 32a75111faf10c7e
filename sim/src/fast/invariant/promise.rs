//! Rules about what a server promises: to others, by a message; to its clients, by a lease.

use super::{Checked, hold};
use crate::fast::disk::Platter;
use crate::fast::server::Readable;
use bytes::Bytes;
use lictor_core::ids::ServerId;
use lictor_core::raft::{Body, Message};
use lictor_core::time::Instant;
use lictor_core::view::View;

/// Raft's message in a frame, if it is one: after a byte of 0 and the cluster (core/src/node/forward.rs). One that
/// cannot be read is a mistake of this function.
pub(in crate::fast) fn raft_message(frame: &Bytes) -> Option<Message> {
    let raft = frame.first() == Some(&0);
    raft.then(|| Message::decode(frame.slice(9..)).expect("raft's messages are read as they are written"))
}

/// Votes, requests for votes and acknowledgements leave when what they rest on is on the platter (raft paper,
/// figure 2: "updated on stable storage before responding to RPCs"; core/src/raft/cursor.rs).
pub(in crate::fast) fn promises_rest_on_the_disk(
    id: &ServerId,
    to: &ServerId,
    message: &Message,
    platter: &Platter,
) -> Checked {
    let term = message.term;
    let hard = &platter.hard;
    // A newer term on the platter: the promise is old, and was kept when it was made.
    let newer = hard.term > term;
    let voted = |whom: &ServerId| newer || (hard.term == term && hard.voted_for.as_ref() == Some(whom));
    match &message.body {
        Body::VoteReply { granted: true } => hold!(
            voted(to),
            "votes are on disk",
            "{id} votes for {to} in term {term}, and its disk holds term {} with a vote for {:?}",
            hard.term,
            hard.voted_for
        ),
        Body::Vote { .. } => hold!(
            voted(id),
            "votes are on disk",
            "{id} stands for election in term {term}, and its disk holds term {} with a vote for {:?}",
            hard.term,
            hard.voted_for
        ),
        Body::AppendOk { upto } => {
            let in_log = platter.log.back().map_or(0, |entry| entry.index.0);
            let in_snapshot = platter.snapshot.as_ref().map_or(0, |(meta, _)| meta.index.0);
            hold!(
                newer || in_log.max(in_snapshot) >= upto.0,
                "acknowledgements are on disk",
                "{id} acknowledges entries up to {upto} in term {term}, and its disk ends at {in_log}, its \
                 snapshot at {in_snapshot}"
            );
        }
        _ => {}
    }
    Ok(())
}

/// A server that has started is read when it has applied what was committed (Consul issue 3975): all that it has ever
/// shown, where it has heard of a leader; what its disk says is committed, where it has not for a while, and never
/// nothing.
pub(in crate::fast) fn reads_when_caught_up(
    id: &ServerId,
    view: &View,
    before: Readable,
    hears_a_leader: bool,
) -> Checked {
    let alone = view.raft.status.membership.is_sole_voter(id);
    let told = alone || view.raft.is_leader || hears_a_leader;
    let (floor, applied) = (if told { before.ever } else { before.noted }, view.raft.applied.0);
    hold!(
        applied >= floor && (told || floor > 0),
        "reads begin when the server has caught up",
        "{id} may be read at index {applied}, and {} {floor}",
        if told { "has shown index" } else { "knows to be committed" }
    );
    Ok(())
}

/// Whether a view may answer default reads at this time of its server.
pub(in crate::fast) fn reads_by_lease(view: &View, now: Instant) -> bool {
    view.raft.lease_until > now
}

/// Nobody else reads under a lease while this server does, and this server knows what its predecessors have
/// committed (thesis, sections 6.4 and 6.4.1).
pub(in crate::fast) fn one_lease<'a>(
    id: &ServerId,
    view: &View,
    others: impl Iterator<Item = &'a ServerId>,
) -> Checked {
    hold!(
        view.raft.status.ready,
        "leases wait for an own commit",
        "{id} reads under a lease in term {} and has committed nothing in it",
        view.raft.term
    );
    for other in others {
        hold!(
            other == id,
            "one lease at a time",
            "{id} reads under a lease in term {}, and so does {other}",
            view.raft.term
        );
    }
    Ok(())
}
