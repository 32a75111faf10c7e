//! Founding a cluster of several servers: who may write the first entry of the log.
//!
//! A server whose log is empty and that expects others waits until so many are in sight. Then the one
//! with the smallest ID asks each of them to promise itself to the set of all that it sees, and writes
//! the first entry only when all have promised. (Consul lets every server write what it happens to see;
//! two that see different sets found two clusters.)
//!
//! # At most one membership among overlapping sets
//!
//! It is an atomic commitment with one coordinator, the proposer, who alone can found with its ballot:
//!
//! - a promise is on disk before it leaves, and binds until the proposer releases it. Neither time nor a
//!   failure seen in gossip ends it: a proposer that seems gone may just have founded;
//! - a proposer promises nothing to anybody while its ballot is open, and proposes nothing while it has
//!   promised. A ballot that it gave up, or forgot by a restart, it can never found with: it releases it;
//! - whoever has a log promises nothing any more.
//!
//! So a server that is in two founded sets would have been bound to both ballots at once.
//!
//! A promise to a server that is gone for good binds until an operator says so (`force-leave`), or a server
//! of the same name with another ID shows that its disk is gone.

use crate::Str;
use crate::event::{Event, Level};
use crate::gossip::Status;
use crate::gossip::consul::Server;
use crate::ids::ServerId;
use crate::raft::Membership;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Between two questions to a server that has not answered.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// After so long without an answer the proposer gives a ballot up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before another try.
const PAUSE: Duration = Duration::from_secs(1);
/// Before another try when a cluster seems to exist: it takes this server in by itself.
const LONG_PAUSE: Duration = Duration::from_secs(10);
/// How long a server that founds nothing waits in silence to be taken in.
const SILENCE: Duration = Duration::from_secs(10);
/// Between two lines of log about the same.
const REMIND_EVERY: Duration = Duration::from_secs(30);

const LOG: &str = "agent.server";

/// What servers say to each other about founding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Will you found a cluster of these with me?
    Ask {
        /// The proposer's number for it, never used twice.
        ballot: u64,
        /// How many servers the proposer expects.
        expect: u32,
        /// Everybody who takes part.
        members: Vec<ServerId>,
    },
    /// I will, and with nobody else until you release me.
    Promise {
        /// What was asked.
        ballot: u64,
    },
    /// I will not.
    Refuse {
        /// What was asked.
        ballot: u64,
        /// Why not.
        why: Refusal,
    },
    /// The proposer has given it up.
    Release {
        /// What was asked.
        ballot: u64,
    },
}

/// Why a server does not take part in a founding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to a cluster, or did.
    HasLog = 0,
    /// It has promised itself to somebody else, or proposes itself.
    Promised = 1,
    /// It expects another number of servers.
    Expects = 2,
}

/// A promise given; it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The proposer's number.
    pub ballot: u64,
    /// The proposer.
    pub to: ServerId,
    /// Its name in gossip, if it was in sight.
    pub name: Str,
}

/// One order to the node.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell a server, once what was kept before is on disk. It may be lost, doubled or late.
    Send {
        /// Whom.
        to: ServerId,
        /// What.
        message: Message,
    },
    /// Write the promise down in place of an older one, or forget it.
    Keep(Option<Promise>),
    /// Hand this to raft as its first entry.
    Found(Membership),
    /// For the log.
    Log(Event),
}

/// The founding of one server; idle unless its log is empty.
#[derive(Debug)]
pub struct Founding {
    me: ServerId,
    /// 0: it founds nothing, but takes part.
    expect: u32,
    /// It founds nothing and waits to be taken in by others.
    waits: bool,
    rng: Rng,
    promised: Option<Promise>,
    proposal: Option<Proposal>,
    next_try: Instant,
    ask_at: Instant,
    told: Option<(String, Instant)>,
    /// There is, or may be, something in the log: for good in this life.
    over: bool,
    effects: VecDeque<Effect>,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

#[derive(Debug)]
struct Proposal {
    ballot: u64,
    members: BTreeSet<ServerId>,
    /// Those of them that have not promised yet.
    missing: BTreeSet<ServerId>,
    until: Instant,
}

impl Founding {
    /// For a server that expects `expect` servers, and has promised what its disk says.
    pub fn new(me: ServerId, expect: u32, promised: Option<Promise>, rng: Rng, now: Instant) -> Founding {
        Founding {
            me,
            expect,
            waits: false,
            rng,
            promised,
            proposal: None,
            next_try: now,
            ask_at: now,
            told: None,
            over: false,
            effects: VecDeque::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The same, for one that founds nothing and is to be taken in: its log says now and then why it has no leader.
    pub fn waiting(mut self, now: Instant) -> Founding {
        self.waits = true;
        self.next_try = now + SILENCE;
        self
    }

    /// The next order, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether there is nothing left to be founded, for this life.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// When to call [`Founding::step`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (&self.proposal, &self.promised) {
            _ if self.over => None,
            (Some(proposal), _) => Some(self.ask_at.min(proposal.until)),
            (None, Some(_)) => Some(self.ask_at),
            (None, None) if self.expect > 1 || self.waits => Some(self.next_try),
            (None, None) => None,
        }
    }

    /// Looks at who is in sight, whatever their status; `fresh`: this server's log is empty.
    pub fn step(&mut self, now: Instant, seen: &BTreeMap<ServerId, Server>, fresh: bool) {
        if !fresh || self.over {
            return self.end();
        }
        self.release_by_departure(now, seen);
        if let Some(promise) = &self.promised {
            if self.ask_at <= now {
                self.ask_at = now + PAUSE;
                // A proposer that has given it up says so.
                let (to, message) = (promise.to.clone(), Message::Promise { ballot: promise.ballot });
                let text = self.bound(seen);
                self.effects.push_back(Effect::Send { to, message });
                self.say(now, text);
            }
        } else if self.proposal.is_some() {
            self.go_on(now, seen);
        } else if self.expect > 1 && (self.next_try <= now || mutant!(self, FoundsWhatItSees)) {
            self.next_try = now + PAUSE;
            self.look(now, seen);
        } else if self.waits && self.next_try <= now {
            self.next_try = now + REMIND_EVERY;
            let event = self.lonely(seen);
            self.say(now, event);
        }
    }

    /// Why a server that founds nothing has no leader, and what can be done.
    fn lonely(&self, seen: &BTreeMap<ServerId, Server>) -> Event {
        let others = seen.values().filter(|server| server.id != self.me && server.status == Status::Alive);
        let names = others.map(|server| &*server.name).collect::<Vec<_>>().join(", ");
        if names.is_empty() {
            let text = "no leader: this server has no log, sees no other server, and founds no cluster: join it to one \
                        (retry_join), or set bootstrap_expect to the number of servers that shall found one";
            return Event::new(Level::Warn, LOG, text);
        }
        let text = "no leader yet: this server has no log and founds no cluster, it waits until the leader of those \
                    that it sees takes it in";
        Event::new(Level::Info, LOG, text).with("seen", names)
    }

    /// Takes in what another server says.
    pub fn handle(
        &mut self,
        now: Instant,
        from: ServerId,
        message: Message,
        seen: &BTreeMap<ServerId, Server>,
        fresh: bool,
    ) {
        let fresh = fresh && !self.over;
        match message {
            Message::Ask { ballot, expect, members } => {
                let answer = match self.consider(now, &from, ballot, expect, &members, seen, fresh) {
                    Ok(()) => Message::Promise { ballot },
                    Err(why) => Message::Refuse { ballot, why },
                };
                self.send(from, answer);
            }
            Message::Promise { ballot } => match &mut self.proposal {
                Some(proposal) if proposal.ballot == ballot => {
                    proposal.missing.remove(&from);
                    if proposal.missing.is_empty() && fresh {
                        self.found(seen);
                    }
                }
                // Whoever has a log may have founded with it.
                _ if fresh => self.send(from, Message::Release { ballot }),
                _ => {}
            },
            Message::Refuse { ballot, why } => {
                if self.proposal.as_ref().is_some_and(|proposal| proposal.ballot == ballot) {
                    self.refused(now, &from, why, seen);
                }
            }
            Message::Release { ballot } => {
                let mine = |promise: &Promise| promise.ballot == ballot && promise.to == from;
                if self.promised.as_ref().is_some_and(mine) {
                    self.unbind(now);
                }
            }
        }
    }

    /// There is a log: nothing is left to be founded.
    fn end(&mut self) {
        self.over = true;
        self.proposal = None;
        if self.promised.take().is_some() {
            self.effects.push_back(Effect::Keep(None));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that a promise depends on")]
    fn consider(
        &mut self,
        now: Instant,
        from: &ServerId,
        ballot: u64,
        expect: u32,
        members: &[ServerId],
        seen: &BTreeMap<ServerId, Server>,
        fresh: bool,
    ) -> Result<(), Refusal> {
        if !fresh {
            return Err(Refusal::HasLog);
        }
        if let Some(promise) = &self.promised {
            let same = promise.ballot == ballot && promise.to == *from;
            return if same { Ok(()) } else { Err(Refusal::Promised) };
        }
        if self.proposal.is_some() || !members.contains(&self.me) {
            return Err(Refusal::Promised);
        }
        if self.expect != 0 && self.expect != expect {
            return Err(Refusal::Expects);
        }
        let name = seen.get(from).map_or(Str::from(""), |server| server.name.clone());
        let promise = Promise { ballot, to: from.clone(), name };
        self.promised = Some(promise.clone());
        self.ask_at = now + PAUSE * 2;
        self.effects.push_back(Effect::Keep(Some(promise)));
        Ok(())
    }

    /// The proposer of our promise will never found with it.
    fn release_by_departure(&mut self, now: Instant, seen: &BTreeMap<ServerId, Server>) {
        let Some(promise) = &self.promised else { return };
        let left = seen.get(&promise.to).is_some_and(|server| server.status == Status::Left);
        let replaced = !promise.name.is_empty()
            && !seen.contains_key(&promise.to)
            && seen.values().any(|server| server.name == promise.name && server.status == Status::Alive);
        if left || replaced {
            self.unbind(now);
        }
    }

    fn unbind(&mut self, now: Instant) {
        self.promised = None;
        self.next_try = now + self.rng.duration(PAUSE / 2, PAUSE);
        self.effects.push_back(Effect::Keep(None));
    }

    /// Whether it is time to propose.
    fn look(&mut self, now: Instant, seen: &BTreeMap<ServerId, Server>) {
        let alive = || seen.values().filter(|server| server.status == Status::Alive);
        let member = |server: &Server| format!("{} ({})", server.name, server.addr);
        if let Some(other) = alive().find(|server| server.expect != 0 && server.expect != self.expect) {
            let text = "Member has a conflicting expect value. All nodes should expect the same number.";
            let event = Event::new(Level::Error, LOG, text).with("member", member(other));
            return self.say(now, event);
        }
        if let Some(other) = alive().find(|server| server.bootstrap) {
            let text = "Member has bootstrap mode. Expect disabled.";
            return self.say(now, Event::new(Level::Error, LOG, text).with("member", member(other)));
        }
        let members: BTreeSet<ServerId> = alive().map(|server| server.id.clone()).collect();
        let names = || alive().map(|server| &*server.name).collect::<Vec<_>>().join(", ");
        if members.len() < self.expect as usize {
            let missing = self.expect as usize - members.len();
            let text =
                format!("waiting for {missing} more of {} servers to found a cluster with", self.expect);
            return self.say(now, Event::new(Level::Info, LOG, text).with("seen", names()));
        }
        if mutant!(self, FoundsWhatItSees) {
            self.over = true;
            return self.effects.push_back(Effect::Found(Membership::of_voters(members)));
        }
        let proposer = alive().filter(|server| server.expect != 0).map(|server| &server.id).min();
        if let Some(proposer) = proposer.filter(|id| **id != self.me) {
            let name = seen.get(proposer).map_or("", |server| &server.name);
            let text = "waiting for the server with the smallest ID to found the cluster";
            let event = Event::new(Level::Info, LOG, text).with("server", name).with("seen", names());
            return self.say(now, event);
        }
        if !members.contains(&self.me) {
            return;
        }
        let peers = alive().map(|server| server.addr.to_string()).collect::<Vec<_>>().join(",");
        let text = "Found expected number of peers, attempting bootstrap";
        self.effects.push_back(Effect::Log(Event::new(Level::Info, LOG, text).with("peers", peers)));
        let mut missing = members.clone();
        missing.remove(&self.me);
        let ballot = self.rng.next_u64();
        self.proposal = Some(Proposal { ballot, members, missing, until: now + PATIENCE });
        self.ask_at = now;
        self.go_on(now, seen);
    }

    /// Asks those that have not answered, or gives up.
    fn go_on(&mut self, now: Instant, seen: &BTreeMap<ServerId, Server>) {
        let Some(proposal) = &self.proposal else { return };
        if proposal.until <= now {
            let silent: Vec<&str> = proposal.missing.iter().map(|id| name_of(id, seen)).collect();
            let text = "servers did not answer the question to found a cluster; asking again";
            let event = Event::new(Level::Warn, LOG, text).with("silent", silent.join(", "));
            self.say(now, event);
            return self.give_up(now, PAUSE);
        }
        if self.ask_at > now {
            return;
        }
        self.ask_at = now + ASK_EVERY;
        let members: Vec<ServerId> = proposal.members.iter().cloned().collect();
        let message = Message::Ask { ballot: proposal.ballot, expect: self.expect, members };
        for to in proposal.missing.clone() {
            self.send(to, message.clone());
        }
    }

    fn refused(&mut self, now: Instant, from: &str, why: Refusal, seen: &BTreeMap<ServerId, Server>) {
        let server = name_of(from, seen);
        let (event, pause) = match why {
            Refusal::HasLog => {
                let text = "Existing Raft peers reported by server, disabling bootstrap mode";
                (Event::new(Level::Info, LOG, text), LONG_PAUSE)
            }
            Refusal::Promised => {
                let text = "a server is about to found a cluster with others; asking again";
                (Event::new(Level::Info, LOG, text), PAUSE)
            }
            Refusal::Expects => {
                let text = "Member has a conflicting expect value. All nodes should expect the same number.";
                (Event::new(Level::Error, LOG, text), LONG_PAUSE)
            }
        };
        self.say(now, event.with("server", server));
        self.give_up(now, pause);
    }

    /// Never founds with the open ballot.
    fn give_up(&mut self, now: Instant, pause: Duration) {
        let Some(proposal) = self.proposal.take() else { return };
        for to in proposal.members.into_iter().filter(|id| *id != self.me).collect::<Vec<_>>() {
            self.send(to, Message::Release { ballot: proposal.ballot });
        }
        self.next_try = now + pause + self.rng.duration(Duration::ZERO, PAUSE);
    }

    fn found(&mut self, seen: &BTreeMap<ServerId, Server>) {
        let Some(proposal) = self.proposal.take() else { return };
        let names: Vec<&str> = proposal.members.iter().map(|id| name_of(id, seen)).collect();
        let event = Event::new(Level::Info, LOG, "founding the cluster").with("servers", names.join(", "));
        self.effects.push_back(Effect::Log(event));
        self.over = true;
        self.effects.push_back(Effect::Found(Membership::of_voters(proposal.members)));
    }

    fn bound(&self, seen: &BTreeMap<ServerId, Server>) -> Event {
        let Some(Promise { to, name, .. }) = &self.promised else {
            return Event::new(Level::Info, LOG, "free to found a cluster");
        };
        if seen.get(to).is_some_and(|server| server.status == Status::Alive) {
            let text = "promised to found a cluster with a server, waiting for it";
            return Event::new(Level::Info, LOG, text).with("server", &**name);
        }
        let text = "promised to found a cluster with a server that is gone; if it never comes back, \
                    free this one with force-leave";
        Event::new(Level::Warn, LOG, text).with("server", &**name).with("id", &**to)
    }

    fn send(&mut self, to: ServerId, message: Message) {
        self.effects.push_back(Effect::Send { to, message });
    }

    /// Says it, unless it was said of late.
    fn say(&mut self, now: Instant, event: Event) {
        let told = format!("{event:?}");
        if self.told.as_ref().is_some_and(|(text, at)| *text == told && now < *at + REMIND_EVERY) {
            return;
        }
        self.told = Some((told, now));
        self.effects.push_back(Effect::Log(event));
    }
}

fn name_of<'a>(id: &'a str, seen: &'a BTreeMap<ServerId, Server>) -> &'a str {
    seen.get(id).map_or(id, |server| &server.name)
}

#[cfg(test)]
mod tests;
