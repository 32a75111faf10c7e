//! Autopilot: which servers take part in raft, and whether all is well with them.
//!
//! The rules are Consul's: a server that is there takes part without a vote, gets its vote
//! when it has been healthy for a while, and loses its part when it has left, or when it failed and enough
//! others are there. All of it is the leader's; it begins anew with each leader.

use crate::Str;
use crate::event::{Event, Level};
use crate::gossip::Status;
use crate::gossip::consul::{NO_CLUSTER, Server};
use crate::ids::ServerId;
use crate::raft::{Change, Role};
use crate::time::{Duration, Instant};
use crate::types::AutopilotConfig;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// How often health is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often servers that are gone are taken out, and those that are well get their vote.
const TEND_EVERY: Duration = Duration::from_secs(10);
/// A member of raft that gossip does not know is believed to be gone after this: who has just come up
/// may not have heard of everybody.
const STALE_AFTER: Duration = Duration::from_secs(60);
/// A server that an operator took out of raft, but that is still there, is taken in again after this: Consul does it
/// when it compares members and catalog next.
const TAKE_BACK_AFTER: Duration = Duration::from_secs(60);
/// A change that was refused, for another was under way, is tried again; who is there and does not answer is looked at
/// again.
const RETRY: Duration = Duration::from_millis(200);

const LOG: &str = "agent.server.autopilot";

/// What the leader knows of raft.
#[derive(Clone, Debug)]
pub struct Raft<'a> {
    /// The picture.
    pub status: &'a crate::raft::Status,
    /// Time between heartbeats: nobody answers more often, and so much of the last contact is nobody's fault.
    pub heartbeat: Duration,
}

/// How a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it is there, answers, and has nearly all of the log.
    pub healthy: bool,
    /// Since when it has been so.
    pub stable_since: Instant,
    /// How long ago it answered last; `None`: it has not answered this leader.
    pub last_contact: Option<Duration>,
    /// How far its log is known to match.
    pub last_index: u64,
}

/// One order to the node.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Change raft's membership.
    Change(Change),
    /// Tell gossip that this member has left.
    ForceLeave(Str),
    /// For the log.
    Log(Event),
}

/// The servers under care; idle unless this server leads.
#[derive(Debug, Default)]
pub struct Autopilot {
    since: Option<Watch>,
}

#[derive(Debug)]
struct Watch {
    began: Instant,
    look_at: Instant,
    tend_at: Instant,
    clean_at: Instant,
    health: BTreeMap<ServerId, Health>,
    /// The name of each member of raft, as gossip had it last.
    names: BTreeMap<ServerId, Str>,
    /// When a member of raft was first missed in gossip.
    missed: BTreeMap<ServerId, Instant>,
    /// Until when servers that somebody else took out are left out.
    dismissed: BTreeMap<ServerId, Instant>,
    /// The change ordered last.
    last: Option<Change>,
    /// Said already.
    conflict: Option<Str>,
    strangers: BTreeSet<Str>,
}

impl Autopilot {
    /// Leadership begins.
    pub fn start(&mut self, now: Instant) {
        self.since = Some(Watch {
            began: now,
            look_at: now,
            tend_at: now,
            clean_at: now + TEND_EVERY,
            names: BTreeMap::new(),
            health: BTreeMap::new(),
            missed: BTreeMap::new(),
            dismissed: BTreeMap::new(),
            last: None,
            conflict: None,
            strangers: BTreeSet::new(),
        });
    }

    /// Leadership ended.
    pub fn stop(&mut self) {
        self.since = None;
    }

    /// A server came, went or changed its part: look at once.
    pub fn hurry(&mut self, now: Instant) {
        if let Some(watch) = &mut self.since {
            watch.look_at = now;
            watch.tend_at = now;
        }
    }

    /// When to call [`Autopilot::step`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = self.since.as_ref().map(|watch| watch.look_at.min(watch.tend_at))?;
        (at < Instant::FAR_FUTURE).then_some(at)
    }

    /// How each server of raft's membership does, as last looked at; empty unless this server leads.
    pub fn health(&self) -> BTreeMap<ServerId, Health> {
        self.since.as_ref().map(|watch| watch.health.clone()).unwrap_or_default()
    }

    /// What is to be done now: at most one change of the membership, for the next waits for its commit.
    /// `known`: the servers of the datacenter, whatever their status.
    pub fn step(
        &mut self,
        now: Instant,
        config: &AutopilotConfig,
        raft: &Raft<'_>,
        known: &BTreeMap<ServerId, Server>,
    ) -> Vec<Effect> {
        let Some(watch) = &mut self.since else { return Vec::new() };
        watch.look_at = now + LOOK_EVERY;
        if raft.status.role != Role::Leader || !known.contains_key(&raft.status.id) {
            watch.tend_at = now + TEND_EVERY;
            return Vec::new();
        }
        watch.look(now, config, raft, known);
        if known.len() == 1 && watch.health.len() == 1 {
            // Alone: there is nothing to see until somebody comes.
            (watch.look_at, watch.tend_at) = (Instant::FAR_FUTURE, Instant::FAR_FUTURE);
            return Vec::new();
        }
        let mut effects = watch.tend(now, config, raft, known);
        let change = effects.iter().find_map(|effect| match effect {
            Effect::Change(change) => Some(change.clone()),
            _ => None,
        });
        // One that is under way, or was refused, is said once.
        if change.is_some() && watch.last == change {
            effects.retain(|effect| !matches!(effect, Effect::Log(_)));
        }
        effects.extend(watch.strangers(raft, known));
        watch.last = change;
        // The next change waits for this one, and either may be refused.
        let pause = if watch.last.is_some() { RETRY } else { LOOK_EVERY };
        watch.tend_at = now + pause;
        watch.look_at = watch.look_at.min(watch.tend_at);
        effects
    }
}

impl Watch {
    fn look(
        &mut self,
        now: Instant,
        config: &AutopilotConfig,
        raft: &Raft<'_>,
        known: &BTreeMap<ServerId, Server>,
    ) {
        let status = raft.status;
        let before = core::mem::take(&mut self.health);
        for id in status.membership.voters.iter().chain(&status.membership.learners) {
            let peer = status.peers.iter().find(|peer| peer.id == *id);
            let (last_contact, last_index, matches) = if *id == status.id {
                (Some(Duration::ZERO), status.last_index.0, true)
            } else {
                let heard = peer.and_then(|peer| peer.last_heard);
                let matched = peer.map_or(0, |peer| peer.matched.0);
                (heard.map(|at| now.since(at)), matched, peer.is_some_and(|peer| peer.mode == "replicate"))
            };
            let alive = known.get(id).is_some_and(|s| matches!(s.status, Status::Alive | Status::Leaving));
            let late = last_contact.map(|ago| ago.saturating_sub(raft.heartbeat));
            let heard = late.is_some_and(|late| late <= config.last_contact());
            let caught_up = last_index.saturating_add(config.max_trailing_logs) >= status.last_index.0;
            let healthy = alive && heard && matches && caught_up;
            if alive && !healthy {
                // It may be about to answer, as the slower ones are when a leader has just begun.
                self.look_at = self.look_at.min(now + RETRY);
            }
            let stable_since = match before.get(id) {
                Some(health) if health.healthy == healthy => health.stable_since,
                _ => now,
            };
            self.health.insert(id.clone(), Health { healthy, stable_since, last_contact, last_index });
        }
        for id in before.keys().filter(|id| !status.membership.contains(id)) {
            if self.last != Some(Change::Remove(id.clone())) {
                self.dismissed.insert(id.clone(), now + TAKE_BACK_AFTER);
            }
        }
        // One that went and came again comes for good.
        let alive = |id: &ServerId| known.get(id).is_some_and(|server| server.status == Status::Alive);
        self.dismissed.retain(|id, until| *until > now && alive(id));
        self.names.retain(|id, _| status.membership.contains(id));
        for server in known.values().filter(|server| status.membership.contains(&server.id)) {
            self.names.insert(server.id.clone(), server.short_name.clone());
        }
        let missing = |id: &ServerId| !known.contains_key(id);
        self.missed.retain(|id, _| status.membership.contains(id) && missing(id));
        for id in self.health.keys().filter(|id| missing(id)) {
            self.missed.entry(id.clone()).or_insert(now);
        }
    }

    fn tend(
        &mut self,
        now: Instant,
        config: &AutopilotConfig,
        raft: &Raft<'_>,
        known: &BTreeMap<ServerId, Server>,
    ) -> Vec<Effect> {
        let membership = &raft.status.membership;
        let me = &raft.status.id;
        // Whoever left says so itself: no rule keeps it.
        let left = |id: &&ServerId| known.get(*id).is_some_and(|server| server.status == Status::Left);
        if let Some(id) = self.health.keys().filter(|id| *id != me).find(left) {
            return removed(id, known);
        }
        let newcomer = known.values().find(|server| {
            server.status == Status::Alive
                && !membership.contains(&server.id)
                && !self.dismissed.contains_key(&server.id)
                && is_free(server, membership.cluster)
        });
        if config.cleanup_dead_servers && (newcomer.is_some() || self.clean_at <= now) {
            if let Some(effects) = self.clean_up(now, config, raft, known) {
                self.clean_at = now;
                return effects;
            }
            self.clean_at = now + TEND_EVERY;
        }
        if let Some(server) = newcomer {
            let founder = |other: &Server| other.bootstrap && other.id != server.id;
            if server.bootstrap && known.values().any(founder) {
                return self.two_founders(server);
            }
            let event = Event::new(Level::Info, LOG, "adding server without a vote");
            return Vec::from([
                Effect::Log(of(event, &server.id, known)),
                Effect::Change(Change::AddLearner(server.id.clone())),
            ]);
        }
        let wait = config.stabilization();
        // A leader that has not watched for so long yet cannot know.
        let wait = if now.since(self.began) > wait { wait } else { Duration::ZERO };
        let ready = |id: &&ServerId| {
            self.health.get(*id).is_some_and(|h| h.healthy && now.since(h.stable_since) >= wait)
        };
        let reads_only = |id: &&ServerId| known.get(*id).is_some_and(|server| server.read_replica);
        match membership.learners.iter().filter(|id| !reads_only(id)).find(ready) {
            Some(id) => Vec::from([
                Effect::Log(of(Event::new(Level::Info, LOG, "Promoting server"), id, known)),
                Effect::Change(Change::Promote(id.clone())),
            ]),
            None => Vec::new(),
        }
    }

    /// The next server that is gone, if it may be taken out: those without a vote always, of the others
    /// less than half, and none when `min_quorum` would not be left.
    fn clean_up(
        &self,
        now: Instant,
        config: &AutopilotConfig,
        raft: &Raft<'_>,
        known: &BTreeMap<ServerId, Server>,
    ) -> Option<Vec<Effect>> {
        let membership = &raft.status.membership;
        let voters = membership.voters.len();
        let is_gone = |id: &ServerId| match known.get(id) {
            Some(server) => matches!(server.status, Status::Failed | Status::None),
            None => {
                self.replaced(id, known) || self.missed.get(id).is_some_and(|at| *at + STALE_AFTER <= now)
            }
        };
        // As many may be away as the others can go on without. Of one that gossip does not know nobody can say that
        // it will be back: it is not taken out yet, and still counts.
        let is_away = |id: &ServerId| {
            let there = |server: &Server| matches!(server.status, Status::Alive | Status::Leaving);
            *id != raft.status.id && !known.get(id).is_some_and(there)
        };
        let away = membership.voters.iter().filter(|id| is_away(id)).count();
        let may_remove = (voters - 1) / 2 >= away && voters > config.min_quorum as usize;
        let learner = membership.learners.iter().find(|id| is_gone(id));
        let voter = || membership.voters.iter().filter(|_| may_remove).find(|id| is_gone(id));
        let id = learner.or_else(voter)?;
        let mut effects = removed(id, known);
        if let Some(server) = known.get(id) {
            effects.push(Effect::ForceLeave(server.name.clone()));
        }
        Some(effects)
    }

    /// Whether another server has its name: it lost its disk, and will not come back as it was.
    fn replaced(&self, id: &ServerId, known: &BTreeMap<ServerId, Server>) -> bool {
        let same = |name: &Str| known.values().any(|s| s.short_name == *name && s.status == Status::Alive);
        self.names.get(id).is_some_and(same)
    }

    /// Says once of each server of another cluster that it is not taken in, and what can be done.
    fn strangers(&mut self, raft: &Raft<'_>, known: &BTreeMap<ServerId, Server>) -> Vec<Effect> {
        let membership = &raft.status.membership;
        let mut effects = Vec::new();
        for server in known.values().filter(|server| server.status == Status::Alive) {
            let stranger = !membership.contains(&server.id) && !is_free(server, membership.cluster);
            if stranger && self.strangers.insert(server.id.clone()) {
                let text = "not taking in a server of another cluster: if it shall be one of this, stop it, empty its \
                            data directory, and start it again";
                let event = of(Event::new(Level::Error, LOG, text), &server.id, known);
                let event = event.with("cluster", format!("{:016x}", membership.cluster));
                effects.push(Effect::Log(event.with("other_cluster", &*server.cluster)));
            }
        }
        self.strangers.retain(|id| known.contains_key(id));
        effects
    }

    fn two_founders(&mut self, server: &Server) -> Vec<Effect> {
        if self.conflict.as_ref() == Some(&server.id) {
            return Vec::new();
        }
        self.conflict = Some(server.id.clone());
        let text = "Two nodes are in bootstrap mode. Only one node should be in bootstrap mode, not adding Raft peer.";
        let event = Event::new(Level::Error, LOG, text).with("node_to_add", &*server.name);
        Vec::from([Effect::Log(event)])
    }
}

/// Whether a server may become one of `cluster`: it is of none yet, or was of this one.
fn is_free(server: &Server, cluster: u64) -> bool {
    cluster == 0 || *server.cluster == *NO_CLUSTER || *server.cluster == *format!("{cluster:016x}")
}

fn removed(id: &ServerId, known: &BTreeMap<ServerId, Server>) -> Vec<Effect> {
    let text = match known.get(id).map(|server| server.status) {
        Some(Status::Left) => "removing a server that has left",
        _ => "Attempting removal of failed server node",
    };
    let event = Event::new(Level::Info, LOG, text);
    Vec::from([Effect::Log(of(event, id, known)), Effect::Change(Change::Remove(id.clone()))])
}

fn of(event: Event, id: &ServerId, known: &BTreeMap<ServerId, Server>) -> Event {
    let event = event.with("id", &**id);
    match known.get(id) {
        Some(server) => event.with("name", &*server.name).with("address", server.addr.to_string()),
        None => event,
    }
}

#[cfg(test)]
mod tests;
