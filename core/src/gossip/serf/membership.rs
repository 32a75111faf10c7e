//! What SWIM's news make of a member.

use super::super::table::Peer;
use super::super::{Effect, Gossip};
use super::member::{Known, Member, MemberChange, Status};
use crate::Str;
use alloc::boxed::Box;

impl Gossip {
    fn tell(&mut self, change: MemberChange, member: Member) {
        self.effects.push(Effect::Member { change, member });
    }

    /// A member is there, for the first time or again.
    pub(in super::super) fn on_member_alive(&mut self, peer: &Peer) {
        let mut member = Member::new(peer.name.clone(), peer.addr, &peer.meta, peer.vsn, Status::Alive);
        member.share_with(&self.config.tags);
        self.own_id(&member);
        if peer.name != self.config.name {
            self.met_at.get_or_insert(self.now);
        }
        match self.serf.members.get_mut(&peer.name) {
            Some(known) => {
                known.member = member.clone();
                self.serf.prunes.remove(&peer.name);
            }
            None => {
                let intent = self.serf.intents.of(&peer.name);
                let leaves = matches!(intent, Some((_, true)));
                if leaves {
                    member.status = Status::Leaving;
                }
                let status_ltime = intent.map_or(0, |(ltime, _)| ltime);
                let leave_ltime = if member.status == Status::Leaving { status_ltime } else { 0 };
                let known = Known { member: member.clone(), status_ltime, leave_ltime, since: self.now };
                self.serf.members.insert(peer.name.clone(), Box::new(known));
            }
        }
        self.tell(MemberChange::Join, member);
    }

    /// A member shows other tags.
    pub(in super::super) fn on_member_updated(&mut self, peer: &Peer) {
        let Some(status) = self.serf.members.get(&peer.name).map(|known| known.member.status) else { return };
        let mut member = Member::new(peer.name.clone(), peer.addr, &peer.meta, peer.vsn, status);
        member.share_with(&self.config.tags);
        self.own_id(&member);
        if let Some(known) = self.serf.members.get_mut(&peer.name) {
            known.member = member.clone();
        }
        self.tell(MemberChange::Update, member);
    }

    /// A member is gone: by will if it said so before, failed otherwise.
    pub(in super::super) fn on_member_gone(&mut self, name: &Str) {
        let now = self.now;
        let Some(known) = self.serf.members.get_mut(name) else { return };
        let change = match known.member.status {
            Status::Leaving => {
                known.member.status = Status::Left;
                MemberChange::Leave
            }
            Status::Alive => {
                known.member.status = Status::Failed;
                MemberChange::Failed
            }
            Status::None | Status::Left | Status::Failed => return,
        };
        known.since = now;
        let member = known.member.clone();
        self.tell(change, member);
    }

    /// A node ID is this member's.
    fn own_id(&mut self, member: &Member) {
        let identity = self.config.admission.identity(&member.tags);
        // It may have come back under another ID.
        let known = self.serf.members.get(&member.name);
        let old = known.and_then(|known| self.config.admission.identity(&known.member.tags));
        if old != identity {
            self.disown(old, &member.name);
        }
        if let Some(identity) = identity {
            self.owners.insert(identity, member.name.clone());
        }
    }

    /// A node ID is not this member's any more.
    fn disown(&mut self, identity: Option<Str>, name: &str) {
        if let Some(identity) = identity.filter(|i| self.owners.get(i).is_some_and(|owner| **owner == *name))
        {
            self.owners.remove(&identity);
        }
    }

    /// Forgets a member.
    pub(super) fn erase(&mut self, name: &str) {
        let Some(mut known) = self.serf.members.remove(name) else { return };
        self.disown(self.config.admission.identity(&known.member.tags), name);
        self.serf.vivaldi.forget(name);
        self.serf.coordinates.remove(name);
        self.serf.prunes.remove(name);
        if known.member.status == Status::Leaving {
            known.member.status = Status::Left;
        }
        self.tell(MemberChange::Reap, known.member);
    }
}
