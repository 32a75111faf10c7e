//! Questions on a client agent, and on a server those about other datacenters: what an answer is made from is
//! fetched from servers first.
//!
//! A question is answered from what is here; where that depends on a part of the catalog that was not
//! fetched for it, the part is fetched and the question answered again. Who asks for what is already being
//! fetched waits for the same answer. A part that no server could tell is taken from the last time that one
//! could, unless that is longer ago than `dns_config.max_stale`; else the client hears of a failure.
//!
//! Servers that are dead or frozen may leave a call without an answer for long, and resolvers wait 5 s at most.
//! So who has such an earlier part waits for a newer one only a moment, and not at all while the datacenter is
//! silent: a call was not answered in that moment, and none since. The call goes on, and what it brings is for
//! who asks next. Who has none is told of the failure while it still listens.

use super::recursion::{Recursion, server_failure};
use super::{Outcome, Stores, Transport, answer_with};
use crate::Str;
use crate::call::{CallError, Reply};
use crate::config::RuntimeConfig;
use crate::rng::Rng;
use crate::router::{Ask, Kind, To};
use crate::rpc::arguments::ReadArguments;
use crate::store::{Excerpt, Store};
use crate::time::{Duration, Instant, Now};
use crate::types::QueryFound;
use crate::wire::msgpack;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::IpAddr;

/// Questions that may wait; more fail at once.
const MAX_WAITING: usize = 8192;
/// Parts of the catalog that are remembered; beyond, those that were fetched longest ago are forgotten.
const MAX_REMEMBERED: usize = 1024;
/// Times that one question may turn out to depend on more: as often as host names are followed, and once.
const MAX_ROUNDS: usize = 5;
/// How long a call may take when there is what was told before.
const PATIENCE: Duration = Duration::from_millis(300);
/// The same in another datacenter.
const PATIENCE_FAR: Duration = Duration::from_secs(1);
/// How long a question waits of which something was never told: as long as it takes to find one server deaf.
const LONGEST: Duration = Duration::from_secs(3);
/// The same while the datacenter is silent.
const LONGEST_OF_SILENT: Duration = Duration::from_secs(1);

/// A part of a datacenter's catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Which datacenter.
    pub datacenter: Str,
    /// Which part.
    pub part: Part,
}

/// A part of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The instances of a service with their nodes and checks.
    Service(Str),
    /// A node.
    Node(Str),
    /// Every node.
    Nodes,
    /// The instances at an address.
    Address(IpAddr),
    /// What a prepared query finds, by its name or ID.
    Query(Str),
    /// What a prepared query finds that this datacenter defines, as calls write it.
    QueryOf(Bytes),
}

impl Need {
    fn ask(&self, config: &RuntimeConfig) -> Ask {
        let mut arguments = ReadArguments {
            datacenter: self.datacenter.clone(),
            allow_stale: config.dns.allow_stale,
            max_stale_duration: i64::try_from(config.dns.max_stale.as_nanos()).unwrap_or(i64::MAX),
            ..ReadArguments::default()
        };
        let method = match &self.part {
            Part::Service(name) => {
                arguments.service_name = name.clone();
                "Health.ServiceNodes"
            }
            Part::Node(name) => {
                arguments.node = name.clone();
                "Catalog.NodeServices"
            }
            Part::Nodes => "Catalog.ListNodes",
            Part::Address(ip) => {
                arguments.service_address = Str::from(ip.to_string());
                "Catalog.ServiceNodes"
            }
            Part::Query(name) => {
                arguments.query_id_or_name = name.clone();
                arguments.agent.datacenter = config.datacenter.clone();
                arguments.agent.node = config.node_name.clone();
                "PreparedQuery.Execute"
            }
            Part::QueryOf(query) => {
                // It was written here.
                arguments.query = msgpack::from_slice(query).ok();
                "PreparedQuery.ExecuteRemote"
            }
        };
        let to = To::Datacenter(self.datacenter.clone());
        Ask { to, method, body: msgpack::to_vec(&arguments).into(), kind: Kind::Read }
    }

    fn read(&self, body: &[u8]) -> Result<Excerpt, msgpack::Error> {
        let mut excerpt = Excerpt::default();
        match &self.part {
            Part::Service(_) => excerpt.instances(body)?,
            Part::Node(_) => excerpt.node_services(body)?,
            Part::Nodes => excerpt.nodes(body)?,
            Part::Address(_) => excerpt.service_nodes(body)?,
            Part::Query(_) | Part::QueryOf(_) => excerpt.executed(body)?,
        }
        Ok(excerpt)
    }
}

/// What came of asking for a [`Need`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// A server has answered this.
    Body(&'a Bytes),
    /// Nobody knows the datacenter, or the prepared query.
    NoPath,
    /// No server could be asked.
    Nothing,
}

impl Told<'_> {
    /// What the node's reply to the question says.
    pub fn of(reply: &Reply) -> Told<'_> {
        match reply {
            Reply::Answer(body) => Told::Body(body),
            Reply::Failed(CallError::Remote(why))
                if ["No path to datacenter", "Query not found"].iter().any(|none| why.contains(none)) =>
            {
                Told::NoPath
            }
            _ => Told::Nothing,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order<C> {
    /// Ask a server, and report [`Remote::told`].
    Fetch {
        /// What for.
        need: Need,
        /// The call.
        ask: Ask,
    },
    /// The question of `to` is answered.
    Answer {
        /// Who asked.
        to: C,
        /// The question.
        query: Vec<u8>,
        /// What carried it.
        transport: Transport,
        /// What to do with the bytes, as [`super::answer`] says.
        outcome: Outcome,
        /// The packet.
        packet: Vec<u8>,
    },
}

#[derive(Debug)]
struct Question<C> {
    to: C,
    query: Vec<u8>,
    transport: Transport,
    /// What was fetched for it.
    parts: BTreeMap<Need, Arc<Excerpt>>,
    /// What is still being fetched.
    missing: BTreeSet<Need>,
    rounds: usize,
    /// When it has waited long enough.
    until: Instant,
}

/// A call under way.
#[derive(Debug)]
struct Fetching {
    /// Who waits for it.
    asking: BTreeSet<u64>,
    /// When who has an earlier answer does not wait any longer.
    until: Instant,
    /// It is later than that.
    overdue: bool,
}

/// Who has waited long enough.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Fetch(Need),
    Question(u64),
}

/// The questions of one responder that wait for servers. `C` is a client's way back.
#[derive(Debug)]
pub struct Remote<C> {
    next: u64,
    waiting: BTreeMap<u64, Question<C>>,
    fetching: BTreeMap<Need, Fetching>,
    /// By when: each question that waits, and each call that is not overdue yet.
    due: BTreeSet<(Instant, Due)>,
    /// The datacenters that have told nothing since a call there was overdue.
    silent: BTreeSet<Str>,
    /// What servers told last, and when.
    remembered: BTreeMap<Need, (Instant, Arc<Excerpt>)>,
}

impl<C> Default for Remote<C> {
    fn default() -> Remote<C> {
        Remote {
            next: 0,
            waiting: BTreeMap::new(),
            fetching: BTreeMap::new(),
            due: BTreeSet::new(),
            silent: BTreeSet::new(),
            remembered: BTreeMap::new(),
        }
    }
}

impl<C> Remote<C> {
    /// Takes a question. `own` is the catalog of this datacenter, on a server.
    pub fn ask(
        &mut self,
        own: Option<&Store>,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        (to, query, transport): (C, &[u8], Transport),
    ) -> Vec<Order<C>> {
        let (query, parts, missing) = (query.to_vec(), BTreeMap::new(), BTreeSet::new());
        let question =
            Question { to, query, transport, parts, missing, rounds: 0, until: now.mono + LONGEST };
        self.next += 1;
        let mut orders = Vec::new();
        self.go_on(own, config, now, rng, (self.next, question), &mut orders);
        orders
    }

    /// A server has told of `need`, or none could. `own` is as for [`Remote::ask`].
    pub fn told(
        &mut self,
        own: Option<&Store>,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        (need, told): (&Need, Told<'_>),
    ) -> Vec<Order<C>> {
        let mut orders = Vec::new();
        let Some(call) = self.fetching.remove(need) else { return orders };
        self.due.remove(&(call.until, Due::Fetch(need.clone())));
        if told != Told::Nothing {
            self.silent.remove(&need.datacenter);
        }
        let fresh = match told {
            Told::Body(body) => need.read(body).ok().map(Arc::new),
            // What is nowhere has no records.
            Told::NoPath => Some(Arc::default()),
            Told::Nothing => None,
        };
        if let (Some(excerpt), Told::Body(_)) = (&fresh, told) {
            self.remember(now.mono, need, excerpt);
        }
        let part = fresh.or_else(|| self.earlier(config, now.mono, need));
        self.give(own, config, now, rng, (need, part.as_ref(), call.asking), &mut orders);
        orders
    }

    /// When [`Remote::wake`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Answers those who have waited long enough. `own` is as for [`Remote::ask`].
    pub fn wake(
        &mut self,
        own: Option<&Store>,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
    ) -> Vec<Order<C>> {
        let mut orders = Vec::new();
        while self.poll_timeout().is_some_and(|at| at <= now.mono)
            && let Some((_, due)) = self.due.pop_first()
        {
            match due {
                Due::Question(id) => {
                    let Some(question) = self.waiting.remove(&id) else { continue };
                    self.withdraw(id, &question);
                    orders.push(fail(question));
                }
                Due::Fetch(need) => {
                    let Some(call) = self.fetching.get_mut(&need) else { continue };
                    call.overdue = true;
                    self.silent.insert(need.datacenter.clone());
                    let Some(part) = self.earlier(config, now.mono, &need) else { continue };
                    let asking = self.fetching.get_mut(&need).map(|call| core::mem::take(&mut call.asking));
                    let asking = asking.unwrap_or_default();
                    self.give(own, config, now, rng, (&need, Some(&part), asking), &mut orders);
                }
            }
        }
        orders
    }

    /// What may stand for what servers do not tell now.
    fn earlier(&self, config: &RuntimeConfig, now: Instant, need: &Need) -> Option<Arc<Excerpt>> {
        // Another place may have it.
        if matches!(need.part, Part::QueryOf(_)) {
            return Some(Arc::default());
        }
        let (at, excerpt) = self.remembered.get(need)?;
        let young = config.dns.allow_stale && now.since(*at) <= config.dns.max_stale;
        young.then(|| excerpt.clone())
    }

    /// Goes on with those who waited for a part; without one they fail.
    fn give(
        &mut self,
        own: Option<&Store>,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        (need, part, asking): (&Need, Option<&Arc<Excerpt>>, BTreeSet<u64>),
        orders: &mut Vec<Order<C>>,
    ) {
        for id in asking {
            let Some(mut question) = self.waiting.remove(&id) else { continue };
            question.missing.remove(need);
            let Some(part) = part else {
                self.due.remove(&(question.until, Due::Question(id)));
                self.withdraw(id, &question);
                orders.push(fail(question));
                continue;
            };
            question.parts.insert(need.clone(), part.clone());
            if question.missing.is_empty() {
                self.due.remove(&(question.until, Due::Question(id)));
                self.go_on(own, config, now, rng, (id, question), orders);
            } else {
                self.waiting.insert(id, question);
            }
        }
    }

    /// A question waits for nothing any more.
    fn withdraw(&mut self, id: u64, question: &Question<C>) {
        for need in &question.missing {
            if let Some(call) = self.fetching.get_mut(need) {
                call.asking.remove(&id);
            }
        }
    }

    fn remember(&mut self, now: Instant, need: &Need, excerpt: &Arc<Excerpt>) {
        self.remembered.insert(need.clone(), (now, excerpt.clone()));
        if self.remembered.len() > MAX_REMEMBERED {
            let oldest = self.remembered.iter().min_by_key(|(_, (at, _))| *at).map(|(need, _)| need.clone());
            if let Some(need) = oldest {
                self.remembered.remove(&need);
            }
        }
    }

    /// Answers, or fetches what the answer turns out to depend on.
    fn go_on(
        &mut self,
        own: Option<&Store>,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        (id, mut question): (u64, Question<C>),
        orders: &mut Vec<Order<C>>,
    ) {
        loop {
            let (outcome, packet, missing) = attempt(own, config, now, rng, &question);
            if missing.is_empty() {
                let Question { to, query, transport, .. } = question;
                return orders.push(Order::Answer { to, query, transport, outcome, packet });
            }
            question.rounds += 1;
            if question.rounds > MAX_ROUNDS || self.waiting.len() >= MAX_WAITING {
                return orders.push(fail(question));
            }
            for need in missing {
                self.fetch(config, now.mono, &need, orders);
                let silent = self.silent.contains(&need.datacenter);
                let call = self.fetching.get_mut(&need);
                if (silent || call.as_ref().is_some_and(|call| call.overdue))
                    && let Some(part) = self.earlier(config, now.mono, &need)
                {
                    question.parts.insert(need, part);
                    continue;
                }
                if silent {
                    question.until = question.until.min(now.mono + LONGEST_OF_SILENT);
                }
                if let Some(call) = self.fetching.get_mut(&need) {
                    call.asking.insert(id);
                }
                question.missing.insert(need);
            }
            if !question.missing.is_empty() {
                self.due.insert((question.until, Due::Question(id)));
                self.waiting.insert(id, question);
                return;
            }
        }
    }

    /// Has a part asked for, if it is not being asked for already.
    fn fetch(&mut self, config: &RuntimeConfig, now: Instant, need: &Need, orders: &mut Vec<Order<C>>) {
        if self.fetching.contains_key(need) {
            return;
        }
        let near = need.datacenter == config.datacenter;
        let until = now + if near { PATIENCE } else { PATIENCE_FAR };
        orders.push(Order::Fetch { ask: need.ask(config), need: need.clone() });
        self.fetching.insert(need.clone(), Fetching { asking: BTreeSet::new(), until, overdue: false });
        self.due.insert((until, Due::Fetch(need.clone())));
    }
}

/// Answers from what was fetched; what else has to be.
fn attempt<C>(
    own: Option<&Store>,
    config: &RuntimeConfig,
    now: Now,
    rng: &mut Rng,
    question: &Question<C>,
) -> (Outcome, Vec<u8>, Vec<Need>) {
    let mut known: BTreeMap<Str, Excerpt> = BTreeMap::new();
    for (need, part) in &question.parts {
        known.entry(need.datacenter.clone()).or_default().merge(part);
    }
    let mut others: BTreeMap<Str, Store> =
        known.into_iter().map(|(datacenter, excerpt)| (datacenter, excerpt.into_store())).collect();
    let fetched = others.remove(&config.datacenter).unwrap_or_default();
    let of_query = |need: &Need| matches!(need.part, Part::Query(_) | Part::QueryOf(_));
    let executed = question.parts.iter().filter(|(need, _)| of_query(need));
    // Who could not tell has found nothing.
    let executed: BTreeMap<Need, QueryFound> =
        executed.map(|(need, part)| (need.clone(), part.found().cloned().unwrap_or_default())).collect();
    let stores = Stores { own: own.unwrap_or(&fetched), others: &others, executed: &executed };
    let (mut recursion, mut packet) = (Recursion::default(), Vec::new());
    let (query, transport) = (&question.query, question.transport);
    let (outcome, _) = answer_with(stores, config, now, rng, query, transport, &mut recursion, &mut packet);
    let outcome = if outcome == Outcome::Elsewhere { Outcome::Reply } else { outcome };
    let lacks = |need: &&Need| !question.parts.contains_key(*need);
    (outcome, packet, recursion.needs().iter().filter(lacks).cloned().collect())
}

fn fail<C>(question: Question<C>) -> Order<C> {
    let mut packet = Vec::new();
    server_failure(&question.query, &mut packet);
    let Question { to, query, transport, .. } = question;
    Order::Answer { to, query, transport, outcome: Outcome::Reply, packet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use crate::rpc::answer::{CheckServiceNodes, HealthNode};
    use crate::time::{Duration, WallTime};
    use crate::types::{Node, NodeService};

    fn at(seconds: u64) -> Now {
        Now { mono: Instant(seconds * 1_000_000_000), wall: WallTime(0) }
    }

    fn config() -> RuntimeConfig {
        let mut config = RuntimeConfig::default();
        config.dns.max_stale = Duration::from_secs(60);
        config
    }

    /// A part of this datacenter's catalog.
    fn here(part: Part) -> Need {
        Need { datacenter: Str::from("dc1"), part }
    }

    /// A question for A records of `web.service.consul`.
    fn question() -> Vec<u8> {
        of("web.service.consul")
    }

    /// A question for A records of a name.
    fn of(name: &str) -> Vec<u8> {
        let mut packet = alloc::vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(label.len() as u8);
            packet.extend_from_slice(label.as_bytes());
        }
        packet.extend_from_slice(&[0, 0, 1, 0, 1]);
        packet
    }

    fn told() -> Bytes {
        let node = Node { node: Str::from("n"), address: Str::from("10.0.0.1"), ..Node::default() };
        let web = Str::from("web");
        let service = NodeService { id: web.clone(), service: web, ..NodeService::default() };
        let checks = Vec::new();
        let nodes = alloc::vec![HealthNode { node: Arc::new(node), service: Arc::new(service), checks }];
        msgpack::to_vec(&CheckServiceNodes { nodes }).into()
    }

    /// Response code and number of answers.
    fn shown(order: &Order<u8>) -> (u8, u8, u8) {
        match order {
            Order::Answer { to, packet, .. } => (*to, packet[3] & 15, packet[7]),
            Order::Fetch { .. } => panic!("a call: {order:?}"),
        }
    }

    #[test]
    fn one_call_answers_all_who_ask_for_the_same() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let mut remote = Remote::default();
        let first = remote.ask(None, &config, at(1), &mut rng, (1u8, &question(), Transport::Udp));
        let [Order::Fetch { need, ask }] = &first[..] else { panic!("{first:?}") };
        assert_eq!((need, ask.method), (&here(Part::Service(Str::from("web"))), "Health.ServiceNodes"));
        assert_eq!(remote.ask(None, &config, at(1), &mut rng, (2u8, &question(), Transport::Udp)), []);
        let answers = remote.told(None, &config, at(1), &mut rng, (need, Told::Body(&told())));
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(1, 0, 1), (2, 0, 1)]);
        assert!(remote.waiting.is_empty() && remote.fetching.is_empty());
    }

    #[test]
    fn without_servers_the_last_answer_is_good_until_max_stale_and_then_it_is_a_failure() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let mut remote = Remote::default();
        let need = here(Part::Service(Str::from("web")));
        let mut asked = |now: Now, body: Option<Bytes>| {
            remote.ask(None, &config, now, &mut rng, (1u8, &question(), Transport::Udp));
            let told = body.as_ref().map_or(Told::Nothing, Told::Body);
            let orders = remote.told(None, &config, now, &mut rng, (&need, told));
            shown(&orders[0])
        };
        assert_eq!(asked(at(1), None), (1, 2, 0), "nobody has ever told");
        assert_eq!(asked(at(2), Some(told())), (1, 0, 1));
        assert_eq!(asked(at(62), None), (1, 0, 1));
        assert_eq!(asked(at(63), None), (1, 2, 0), "too long ago");
        assert_eq!(asked(at(64), Some(Bytes::from_static(&[0xc1]))), (1, 2, 0), "not readable");
    }

    #[test]
    fn silent_servers_are_waited_for_a_moment_once_and_not_at_all_by_who_asks_after() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let (mut remote, need) = (Remote::default(), here(Part::Service(Str::from("web"))));
        let mut to = 0u8;
        let mut ask = |remote: &mut Remote<u8>, rng: &mut Rng, now, name| {
            to += 1;
            remote.ask(None, &config, now, rng, (to, &of(name), Transport::Udp))
        };
        let web = "web.service.consul";
        ask(&mut remote, &mut rng, at(1), web);
        remote.told(None, &config, at(1), &mut rng, (&need, Told::Body(&told())));
        assert_eq!(remote.poll_timeout(), None, "nobody waits");
        // Nobody answers: a moment, and the last answer.
        assert!(matches!(ask(&mut remote, &mut rng, at(2), web)[..], [Order::Fetch { .. }]));
        assert_eq!(remote.poll_timeout(), Some(at(2).mono + PATIENCE));
        assert_eq!(remote.wake(None, &config, at(2), &mut rng), [], "it is too early");
        let answers = remote.wake(None, &config, at(3), &mut rng);
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(2, 0, 1)]);
        // The call goes on, and who asks meanwhile is answered at once; so after it has failed, beside another.
        assert_eq!(ask(&mut remote, &mut rng, at(4), web).iter().map(shown).collect::<Vec<_>>(), [(3, 0, 1)]);
        assert_eq!(remote.told(None, &config, at(9), &mut rng, (&need, Told::Nothing)), []);
        let orders = ask(&mut remote, &mut rng, at(10), web);
        assert!(
            matches!(&orders[..], [Order::Fetch { .. }, answer] if shown(answer) == (4, 0, 1)),
            "{orders:?}"
        );
        // What was never told fails in good time.
        assert!(matches!(
            ask(&mut remote, &mut rng, at(10), "other.service.consul")[..],
            [Order::Fetch { .. }]
        ));
        let answers = remote.wake(None, &config, at(11), &mut rng);
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(5, 2, 0)]);
        // One word, and they are waited for again.
        assert_eq!(remote.told(None, &config, at(12), &mut rng, (&need, Told::Body(&told()))), []);
        assert!(matches!(ask(&mut remote, &mut rng, at(13), web)[..], [Order::Fetch { .. }]));
        assert!(remote.waiting.len() == 1 && remote.due.len() == 2, "{:?}", remote.due);
    }

    #[test]
    fn nobody_waits_for_another_datacenter_longer_than_resolvers_do() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let mut remote = Remote::default();
        let name = of("web.service.dc2.consul");
        for (to, now) in [(1u8, 1), (2, 10)] {
            remote.ask(None, &config, at(now), &mut rng, (to, &name, Transport::Udp));
            let answers = remote.wake(None, &config, at(now + 3), &mut rng);
            assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(to, 2, 0)]);
        }
        assert!(remote.waiting.is_empty() && remote.due.is_empty());
        assert!(remote.fetching.values().all(|call| call.asking.is_empty()));
    }

    #[test]
    fn a_server_fetches_what_is_of_another_datacenter_and_only_that() {
        let (mut config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        config.server = true;
        let (own, mut remote) = (Store::default(), Remote::default());
        let ask = |remote: &mut Remote<u8>, rng: &mut Rng, to, name| {
            remote.ask(Some(&own), &config, at(1), rng, (to, &of(name), Transport::Udp))
        };
        let orders = ask(&mut remote, &mut rng, 1, "web.service.consul");
        assert_eq!(shown(&orders[0]), (1, 3, 0), "it has nothing of that name itself");
        let orders = ask(&mut remote, &mut rng, 2, "web.service.DC2.consul");
        let [Order::Fetch { need, ask: asked }] = &orders[..] else { panic!("{orders:?}") };
        assert_eq!(*need, Need { datacenter: Str::from("dc2"), part: Part::Service(Str::from("web")) });
        assert_eq!(asked.to, To::Datacenter(Str::from("dc2")));
        let answers = remote.told(Some(&own), &config, at(1), &mut rng, (need, Told::Body(&told())));
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(2, 0, 1)]);
        // A datacenter that nobody knows has no names.
        let orders = ask(&mut remote, &mut rng, 3, "web.service.dc9.consul");
        let [Order::Fetch { need, .. }] = &orders[..] else { panic!("{orders:?}") };
        let answers = remote.told(Some(&own), &config, at(1), &mut rng, (need, Told::NoPath));
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(3, 3, 0)]);
        let orders = ask(&mut remote, &mut rng, 4, "n.node.dc9.consul");
        let [Order::Fetch { need, .. }] = &orders[..] else { panic!("{orders:?}") };
        assert_eq!(need.part, Part::Node(Str::from("n")));
        let answers = remote.told(Some(&own), &config, at(1), &mut rng, (need, Told::Nothing));
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(4, 2, 0)], "a failure");
        assert!(remote.waiting.is_empty() && remote.fetching.is_empty());
    }

    #[test]
    fn what_needs_no_catalog_is_answered_at_once_and_memory_is_bounded() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let mut remote: Remote<u8> = Remote::default();
        let mut outside = question();
        outside[13] = b'x';
        outside[28] = b'x';
        let orders = remote.ask(None, &config, at(1), &mut rng, (1, &outside, Transport::Udp));
        assert_eq!(shown(&orders[0]).1, 5, "refused: not our domain");
        for n in 0..2 * MAX_REMEMBERED as u64 {
            let need = here(Part::Node(Str::from(n.to_string())));
            remote.remember(Instant(n), &need, &Arc::default());
        }
        assert_eq!(remote.remembered.len(), MAX_REMEMBERED);
    }
}
