//! Which server is asked for what this node cannot answer itself, and what happens when that does not answer.
//!
//! A client agent asks the servers of its datacenter for everything. A server asks those of another datacenter for
//! what belongs there, and its own leader for what only that one knows.
//!
//! Of each datacenter one server is preferred; whoever does not answer goes to the end of the list, and the whole list is
//! shuffled now and then, so that the clients of a datacenter spread over its servers again after one was
//! away. What was refused by a datacenter without a leader, or never reached a server, is asked again
//! until `rpc_hold_timeout` is over; so is a read whose answer was lost. A write whose answer was lost is not:
//! it may have been carried out. An answer is lost too when the server that owes it turns out to be deaf (`vigil`)
//! and there is another one.
//!
//! Differs from Consul's clients in two ways: a connection that cannot be made is tried again too, at once
//! while there are servers that have not been tried; and a server that refuses a request for what it says
//! stays preferred.

mod pool;
#[cfg(test)]
mod tests;
mod vigil;

pub use pool::Server;
pub use vigil::Patience;

use crate::Str;
use crate::event::{Event, Level};
use crate::rng::Rng;
use crate::rpc::RpcError;
use crate::rpc::snapshot::METHOD as SNAPSHOT;
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use pool::Pool;
use vigil::{Verdict, Vigil};

/// Calls that may be under way; more are refused as busy.
pub const MAX_CALLS: usize = 16_384;
/// How long one try may take that the server does not let wait (Consul's `rpc_client_timeout`).
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The same of a snapshot, which is as long as servers take for one.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);
/// Pauses between tries begin at this part of `rpc_hold_timeout` and double.
const FIRST_PAUSE: u32 = 16;
/// What asks whether a server is there.
pub const PING: &str = "Status.Ping";
/// An empty map.
const NO_ARGUMENTS: &[u8] = &[0x80];
/// Why a call to a deaf server is lost.
const DEAF: &str = "the server does not answer";
/// What a server says that led and does not any more, of a write whose outcome is unknown.
const LEADERSHIP_LOST: &str = "leadership lost";
/// A server adds up to this part of a blocking read's wait.
const WAIT_JITTER: u32 = 16;

/// What kind of call it is: it decides when it may be made again, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changes something.
    Write,
    /// It is answered at once.
    Read,
    /// It is answered when there is news, or after this time.
    Wait(Duration),
    /// The same, but when all servers were asked in vain, whoever asks wants to hear of it.
    Follow(Duration),
}

/// Whom a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Any server of this datacenter. A client agent asks one of its own, which passes it on.
    Datacenter(Str),
    /// Whoever leads this datacenter; for servers only.
    Leader,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub to: To,
    /// `Service.Method`.
    pub method: &'static str,
    /// The encoded arguments.
    pub body: Bytes,
    /// What kind.
    pub kind: Kind,
}

/// Why there is no answer. The texts are those of Consul's clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Gossip knows no server of this datacenter that is there.
    NoServers,
    /// Gossip knows no server of the other datacenter.
    NoPath,
    /// Gossip knows servers of the other datacenter, but none that is there.
    NotAvailable,
    /// No leader was known in time.
    NoLeader,
    /// Too many calls are under way.
    Busy,
    /// The last server tried could not be reached; nothing was done.
    NotConnected(String),
    /// The answer was lost. Of a write nobody knows whether it was done.
    Lost(String),
    /// A server refused it with this text.
    Server(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoServers => f.write_str("No known Consul servers"),
            Failure::NoPath => f.write_str("No path to datacenter"),
            Failure::NotAvailable => f.write_str("Remote DC has no server currently reachable"),
            Failure::NoLeader => f.write_str("No cluster leader"),
            Failure::Busy => f.write_str(
                "rate limit exceeded: this agent has too many requests at servers, nothing was changed, try again",
            ),
            Failure::NotConnected(why) => write!(f, "rpc error getting client: failed to get conn: {why}"),
            Failure::Lost(why) => write!(f, "rpc error making call: {why}"),
            Failure::Server(text) => write!(f, "rpc error making call: {text}"),
        }
    }
}

/// What the router wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<W> {
    /// Make this call and report [`Router::answered`] in any case.
    Send {
        /// Its number.
        call: u64,
        /// The server's RPC address.
        to: SocketAddr,
        /// The method.
        method: &'static str,
        /// The encoded arguments.
        body: Bytes,
        /// When to give up.
        until: Instant,
    },
    /// Nobody wants this call's answer any more: give it up, report nothing.
    Cancel {
        /// Its number.
        call: u64,
        /// Where it is under way.
        to: SocketAddr,
    },
    /// This server does not answer: its connection may lead nowhere. Make a new one for what comes next.
    Drop {
        /// Which.
        to: SocketAddr,
    },
    /// The call that `who` asked for is over.
    Done {
        /// Who asked.
        who: W,
        /// The body of the answer.
        result: Result<Bytes, Failure>,
    },
    /// For the log.
    Event(Event),
}

#[derive(Debug)]
struct Call<W> {
    who: W,
    ask: Ask,
    /// The number that whoever asked knows; that of the first try.
    asked: u64,
    tried: bool,
    /// When it is no longer made again.
    last_try: Instant,
    /// Where it is under way; `None` while it pauses.
    at: Option<SocketAddr>,
    /// Pauses so far.
    pauses: u32,
    /// Servers that were tried in vain since the last pause.
    in_vain: usize,
}

impl<W> Call<W> {
    /// Whether it should be answered at once.
    fn is_prompt(&self) -> bool {
        !matches!(self.ask.kind, Kind::Wait(_) | Kind::Follow(_))
    }
}

/// The servers of each datacenter, and the calls to them. `W` is who waits.
#[derive(Debug)]
pub struct Router<W> {
    /// This node's.
    datacenter: Str,
    hold: Duration,
    rng: Rng,
    /// By datacenter; one without servers is known, but none of its servers is there.
    pools: BTreeMap<Str, Pool>,
    leader: Option<SocketAddr>,
    vigil: Vigil,
    next: u64,
    /// By the number of their last try: an answer to an earlier one matches nothing.
    calls: BTreeMap<u64, Call<W>>,
    /// That number, by the one that whoever asked knows.
    current: BTreeMap<u64, u64>,
    /// Those that pause, by when they go on.
    pausing: BTreeSet<(Instant, u64)>,
    effects: VecDeque<Effect<W>>,
}

impl<W> Router<W> {
    /// A router in this datacenter that knows no server. `hold` is `rpc_hold_timeout`.
    pub fn new(datacenter: Str, hold: Duration, patience: Patience, rng: Rng) -> Router<W> {
        Router {
            datacenter,
            hold,
            rng,
            pools: BTreeMap::new(),
            leader: None,
            vigil: Vigil::new(patience),
            next: 0,
            calls: BTreeMap::new(),
            current: BTreeMap::new(),
            pausing: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// The servers that are there now, by datacenter, and the number of members of this one. Returns whether a
    /// server has appeared, or moved.
    pub fn servers(&mut self, now: Instant, known: &BTreeMap<Str, Vec<Server>>, members: usize) -> bool {
        let mut appeared = false;
        for datacenter in known.keys() {
            if !self.pools.contains_key(datacenter) {
                self.pools.insert(datacenter.clone(), Pool::default());
            }
        }
        for (datacenter, pool) in &mut self.pools {
            let there = known.get(datacenter).map_or(&[][..], Vec::as_slice);
            let news = pool.update(now, &mut self.rng, there, members);
            for (text, server) in news.log() {
                let event = Event::new(Level::Info, "agent.client", text);
                self.effects.push_back(Effect::Event(event.with("server", server.to_string())));
            }
            appeared |= news.appeared();
        }
        self.pools.retain(|datacenter, _| known.contains_key(datacenter));
        appeared
    }

    /// Where this datacenter's leader takes RPC, if it is another server and that is known.
    pub fn leader(&mut self, at: Option<SocketAddr>) {
        self.leader = at;
    }

    /// The datacenters whose servers are known.
    pub fn datacenters(&self) -> impl Iterator<Item = &Str> {
        self.pools.keys()
    }

    /// The server of this datacenter that is asked first.
    pub fn preferred(&self) -> Option<&Server> {
        self.pools.get(&self.datacenter).and_then(Pool::preferred)
    }

    /// The other datacenter whose server is at this address.
    pub fn elsewhere(&self, at: SocketAddr) -> Option<&Str> {
        let has = |pool: &Pool| pool.iter().any(|server| server.addr == at);
        let (datacenter, _) = self.pools.iter().find(|(_, pool)| has(pool))?;
        Some(datacenter).filter(|datacenter| **datacenter != self.datacenter)
    }

    /// Makes a call for `who`; its number, for [`Router::cancel`].
    pub fn ask(&mut self, now: Instant, who: W, ask: Ask) -> u64 {
        if self.calls.len() >= MAX_CALLS {
            self.effects.push_back(Effect::Done { who, result: Err(Failure::Busy) });
            return 0;
        }
        let last_try = match ask.kind {
            Kind::Wait(wait) | Kind::Follow(wait) => now + wait + wait / WAIT_JITTER + self.hold,
            Kind::Write | Kind::Read => now + self.hold,
        };
        let asked = self.number();
        let call = Call { who, ask, asked, tried: false, last_try, at: None, pauses: 0, in_vain: 0 };
        self.send(now, call);
        asked
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whoever asked for a call does not wait any more. A number that is not under way is ignored.
    pub fn cancel(&mut self, asked: u64) {
        let Some(id) = self.current.remove(&asked) else { return };
        let Some(call) = self.calls.remove(&id) else { return };
        match call.at {
            Some(to) => {
                self.vigil.over(Instant::ZERO, to, call.is_prompt(), false);
                self.effects.push_back(Effect::Cancel { call: id, to });
            }
            None => self.pausing.retain(|(_, paused)| *paused != id),
        }
    }

    /// Where a call goes now.
    fn target(&self, to: &To) -> Option<SocketAddr> {
        match to {
            To::Leader => self.leader,
            To::Datacenter(datacenter) => {
                self.pools.get(datacenter).and_then(Pool::preferred).map(|server| server.addr)
            }
        }
    }

    /// Sends a call to the server that is to be asked first.
    fn send(&mut self, now: Instant, mut call: Call<W>) {
        let Some(to) = self.target(&call.ask.to) else {
            let why = match &call.ask.to {
                To::Leader if now >= call.last_try => Failure::NoLeader,
                To::Leader => return self.pause(now, call),
                To::Datacenter(datacenter) if *datacenter == self.datacenter => Failure::NoServers,
                To::Datacenter(datacenter) if self.pools.contains_key(datacenter) => Failure::NotAvailable,
                To::Datacenter(_) => Failure::NoPath,
            };
            return self.finish(call, Err(why));
        };
        let until = match call.ask.kind {
            Kind::Wait(_) | Kind::Follow(_) => call.last_try.max(now + self.hold),
            Kind::Write | Kind::Read if call.ask.method == SNAPSHOT => now + SNAPSHOT_TIMEOUT,
            Kind::Write | Kind::Read => now + CALL_TIMEOUT,
        };
        self.vigil.sent(now, to, call.is_prompt(), !self.is_near(&call.ask.to));
        let id = if call.tried { self.number() } else { call.asked };
        let (method, body) = (call.ask.method, call.ask.body.clone());
        self.effects.push_back(Effect::Send { call: id, to, method, body, until });
        (call.at, call.tried) = (Some(to), true);
        self.current.insert(call.asked, id);
        self.calls.insert(id, call);
    }

    fn is_near(&self, to: &To) -> bool {
        match to {
            To::Leader => true,
            To::Datacenter(datacenter) => *datacenter == self.datacenter,
        }
    }

    /// Goes on with a call later, each time after twice as long.
    fn pause(&mut self, now: Instant, mut call: Call<W>) {
        call.in_vain = 0;
        let most = self.hold / FIRST_PAUSE * (1 << call.pauses.min(10));
        call.pauses += 1;
        let pause = most / 2 + self.rng.duration(Duration::ZERO, most / 2);
        let until = (now + pause).min(call.last_try);
        let id = self.number();
        self.pausing.insert((until, id));
        self.current.insert(call.asked, id);
        self.calls.insert(id, call);
    }

    fn finish(&mut self, call: Call<W>, result: Result<Bytes, Failure>) {
        self.current.remove(&call.asked);
        self.effects.push_back(Effect::Done { who: call.who, result });
    }

    /// Part of an answer has come from a server: it is not deaf, however long the rest takes.
    pub fn heard(&mut self, now: Instant, from: SocketAddr) {
        self.vigil.heard(now, from);
    }

    /// A try has ended. A number that is not under way is ignored.
    pub fn answered(&mut self, now: Instant, id: u64, result: Result<Bytes, RpcError>) {
        if self.vigil.answered(now, id) {
            return;
        }
        let Some(at) = self.calls.get(&id).and_then(|call| call.at) else { return };
        let Some(mut call) = self.calls.remove(&id) else { return };
        call.at = None;
        let heard = matches!(result, Ok(_) | Err(RpcError::Server(_)));
        self.vigil.over(now, at, call.is_prompt(), heard);
        match result {
            Ok(body) => self.finish(call, Ok(body)),
            Err(RpcError::NotConnected(why)) => self.failed(now, call, at, Failure::NotConnected(why)),
            Err(RpcError::Lost(why)) => self.failed(now, call, at, Failure::Lost(why)),
            Err(RpcError::Server(text)) => self.failed(now, call, at, Failure::Server(text)),
        }
    }

    /// The try of a call at a server was in vain: another one is made, or it is over.
    fn failed(&mut self, now: Instant, mut call: Call<W>, at: SocketAddr, failure: Failure) {
        let (again, moved_off) = match &failure {
            Failure::Server(text) => (is_refusal(text), is_refusal(text) || text.contains(LEADERSHIP_LOST)),
            Failure::Lost(_) => (call.ask.kind != Kind::Write, true),
            _ => (true, true),
        };
        let pool = match &call.ask.to {
            To::Datacenter(datacenter) => self.pools.get_mut(datacenter),
            To::Leader => None,
        };
        let others = pool.as_ref().map_or(1, |pool| pool.len());
        let again = again && (!matches!(call.ask.kind, Kind::Follow(_)) || call.in_vain + 1 < others);
        if let Some(pool) = pool.filter(|_| moved_off) {
            pool.failed(at);
        }
        let (method, server) = (call.ask.method, at.to_string());
        let event = |level, text| {
            let event = Event::new(level, "agent.client", text).with("method", method);
            Effect::Event(event.with("server", server).with("error", failure.to_string()))
        };
        if !again || now >= call.last_try {
            // Texts of methods are for those who asked.
            if moved_off {
                self.effects.push_back(event(Level::Error, "RPC failed to server"));
            }
            return self.finish(call, Err(failure));
        }
        self.effects.push_back(event(Level::Warn, "Retrying RPC to server"));
        call.in_vain += 1;
        if call.in_vain < others {
            return self.send(now, call);
        }
        self.pause(now, call);
    }

    /// Asks whoever is silent whether it is there, and gives up on those who do not answer that.
    fn watch(&mut self, now: Instant) {
        for verdict in self.vigil.due(now) {
            match verdict {
                Verdict::Ask(to) => {
                    let (call, until) = (self.number(), self.vigil.answer_until(now));
                    let body = Bytes::from_static(NO_ARGUMENTS);
                    self.vigil.asked(now, to, call);
                    self.effects.push_back(Effect::Send { call, to, method: PING, body, until });
                }
                Verdict::Deaf(at) => self.deaf(now, at),
            }
        }
    }

    /// A server does not answer: what is under way there goes elsewhere, if there is anybody else.
    fn deaf(&mut self, now: Instant, at: SocketAddr) {
        self.pools.values_mut().for_each(|pool| pool.failed(at));
        let there = |(id, call): (&u64, &Call<W>)| {
            let elsewhere = || self.target(&call.ask.to).is_some_and(|to| to != at);
            (call.at == Some(at) && elsewhere()).then_some(*id)
        };
        let moving: Vec<u64> = self.calls.iter().filter_map(there).collect();
        if moving.is_empty() {
            return;
        }
        let event = Event::new(Level::Warn, "agent.client", "server does not answer, its calls go elsewhere");
        let event = event.with("server", at.to_string()).with_number("calls", moving.len() as u64);
        self.effects.push_back(Effect::Event(event));
        for id in moving {
            let Some(mut call) = self.calls.remove(&id) else { continue };
            call.at = None;
            self.effects.push_back(Effect::Cancel { call: id, to: at });
            self.vigil.over(now, at, call.is_prompt(), false);
            self.failed(now, call, at, Failure::Lost(DEAF.into()));
        }
        self.effects.push_back(Effect::Drop { to: at });
    }

    /// When [`Router::wake`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pausing = self.pausing.first().map(|(at, _)| *at);
        let shuffle = self.pools.values().filter_map(Pool::shuffle_at);
        shuffle.chain(pausing).chain(self.vigil.poll_timeout()).min()
    }

    /// Goes on with what paused, looks after those who owe answers, and shuffles the servers when it is time.
    pub fn wake(&mut self, now: Instant) {
        self.pools.values_mut().for_each(|pool| pool.shuffle(now, &mut self.rng));
        self.watch(now);
        while let Some(&(at, id)) = self.pausing.first()
            && at <= now
        {
            self.pausing.pop_first();
            if let Some(call) = self.calls.remove(&id) {
                self.send(now, call);
            }
        }
    }

    /// Whether an answer is under way that is not waited for on purpose.
    pub fn owes_soon(&self) -> bool {
        self.calls.values().any(|call| call.at.is_some() && call.is_prompt())
    }

    /// How many calls are not over.
    pub fn under_way(&self) -> usize {
        self.calls.len()
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect<W>> {
        self.effects.pop_front()
    }

    /// Nothing waits to be moved on.
    pub fn is_quiet(&self) -> bool {
        self.effects.is_empty()
    }
}

/// Whether a server has done nothing, and the same call may go well elsewhere or later.
fn is_refusal(text: &str) -> bool {
    ["No cluster leader", "rate limit exceeded, try again later or against a different server"]
        .iter()
        .any(|known| text.contains(known))
}
