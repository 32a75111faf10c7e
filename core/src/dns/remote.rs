//! Questions on a client agent: what an answer is made from is fetched from servers first.
//!
//! A question is answered from what is here; where that depends on a part of the catalog that was not
//! fetched for it, the part is fetched and the question answered again. Who asks for what is already being
//! fetched waits for the same answer. A part that no server could tell is taken from the last time that one
//! could, unless that is longer ago than `dns_config.max_stale`; else the client hears of a failure.

use super::recursion::{Recursion, server_failure};
use super::{Outcome, Transport, answer_with};
use crate::Str;
use crate::config::RuntimeConfig;
use crate::rng::Rng;
use crate::router::{Ask, Kind};
use crate::rpc::arguments::ReadArguments;
use crate::store::Excerpt;
use crate::time::{Instant, Now};
use crate::wire::msgpack;
use alloc::collections::BTreeMap;
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

/// A part of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The instances of a service with their nodes and checks.
    Service(Str),
    /// A node.
    Node(Str),
    /// Every node.
    Nodes,
    /// The instances at an address.
    Address(IpAddr),
}

impl Need {
    fn ask(&self, config: &RuntimeConfig) -> Ask {
        let mut arguments = ReadArguments {
            datacenter: config.datacenter.clone(),
            allow_stale: config.dns.allow_stale,
            max_stale_duration: i64::try_from(config.dns.max_stale.as_nanos()).unwrap_or(i64::MAX),
            ..ReadArguments::default()
        };
        let method = match self {
            Need::Service(name) => {
                arguments.service_name = name.clone();
                "Health.ServiceNodes"
            }
            Need::Node(name) => {
                arguments.node = name.clone();
                "Catalog.NodeServices"
            }
            Need::Nodes => "Catalog.ListNodes",
            Need::Address(ip) => {
                arguments.service_address = Str::from(ip.to_string());
                "Catalog.ServiceNodes"
            }
        };
        Ask { method, body: msgpack::to_vec(&arguments).into(), kind: Kind::Read }
    }

    fn read(&self, body: &[u8]) -> Result<Excerpt, msgpack::Error> {
        let mut excerpt = Excerpt::default();
        match self {
            Need::Service(_) => excerpt.instances(body)?,
            Need::Node(_) => excerpt.node_services(body)?,
            Need::Nodes => excerpt.nodes(body)?,
            Need::Address(_) => excerpt.service_nodes(body)?,
        }
        Ok(excerpt)
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
    missing: usize,
    rounds: usize,
}

/// The questions of one responder that wait for servers. `C` is a client's way back.
#[derive(Debug)]
pub struct Remote<C> {
    next: u64,
    waiting: BTreeMap<u64, Question<C>>,
    /// Who waits for what is being fetched.
    fetching: BTreeMap<Need, Vec<u64>>,
    /// What servers told last, and when.
    remembered: BTreeMap<Need, (Instant, Arc<Excerpt>)>,
}

impl<C> Default for Remote<C> {
    fn default() -> Remote<C> {
        Remote { next: 0, waiting: BTreeMap::new(), fetching: BTreeMap::new(), remembered: BTreeMap::new() }
    }
}

impl<C> Remote<C> {
    /// Takes a question.
    pub fn ask(
        &mut self,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        (to, query, transport): (C, &[u8], Transport),
    ) -> Vec<Order<C>> {
        let query = query.to_vec();
        let question = Question { to, query, transport, parts: BTreeMap::new(), missing: 0, rounds: 0 };
        self.next += 1;
        let mut orders = Vec::new();
        self.go_on(config, now, rng, self.next, question, &mut orders);
        orders
    }

    /// A server has told of `need`, or none could (`None`).
    pub fn told(
        &mut self,
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        need: &Need,
        body: Option<&Bytes>,
    ) -> Vec<Order<C>> {
        let mut orders = Vec::new();
        let Some(asking) = self.fetching.remove(need) else { return orders };
        let fresh = body.and_then(|body| need.read(body).ok()).map(Arc::new);
        if let Some(excerpt) = &fresh {
            self.remember(now.mono, need, excerpt);
        }
        let last = || {
            let (at, excerpt) = self.remembered.get(need)?;
            let young = config.dns.allow_stale && now.mono.since(*at) <= config.dns.max_stale;
            young.then(|| excerpt.clone())
        };
        let part = fresh.or_else(last);
        for id in asking {
            let Some(mut question) = self.waiting.remove(&id) else { continue };
            let Some(part) = &part else {
                orders.push(fail(question));
                continue;
            };
            question.parts.insert(need.clone(), part.clone());
            question.missing -= 1;
            match question.missing {
                0 => self.go_on(config, now, rng, id, question, &mut orders),
                _ => drop(self.waiting.insert(id, question)),
            }
        }
        orders
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
        config: &RuntimeConfig,
        now: Now,
        rng: &mut Rng,
        id: u64,
        mut question: Question<C>,
        orders: &mut Vec<Order<C>>,
    ) {
        let mut known = Excerpt::default();
        question.parts.values().for_each(|part| known.merge(part));
        let (mut recursion, mut packet) = (Recursion::default(), Vec::new());
        let (query, transport) = (&question.query, question.transport);
        let store = known.into_store();
        let answer = answer_with(&store, config, now, rng, query, transport, &mut recursion, &mut packet);
        let lacks = |need: &&Need| !question.parts.contains_key(*need);
        let missing: Vec<Need> = recursion.needs().iter().filter(lacks).cloned().collect();
        if missing.is_empty() {
            let Question { to, query, transport, .. } = question;
            return orders.push(Order::Answer { to, query, transport, outcome: answer.0, packet });
        }
        question.rounds += 1;
        if question.rounds > MAX_ROUNDS || self.waiting.len() >= MAX_WAITING {
            return orders.push(fail(question));
        }
        question.missing = missing.len();
        for need in missing {
            match self.fetching.get_mut(&need) {
                Some(asking) => asking.push(id),
                None => {
                    orders.push(Order::Fetch { ask: need.ask(config), need: need.clone() });
                    self.fetching.insert(need, alloc::vec![id]);
                }
            }
        }
        self.waiting.insert(id, question);
    }
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

    /// A question for A records of `web.service.consul`.
    fn question() -> Vec<u8> {
        let mut packet = alloc::vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["web", "service", "consul"] {
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
        let first = remote.ask(&config, at(1), &mut rng, (1u8, &question(), Transport::Udp));
        let [Order::Fetch { need, ask }] = &first[..] else { panic!("{first:?}") };
        assert_eq!((need, ask.method), (&Need::Service(Str::from("web")), "Health.ServiceNodes"));
        assert_eq!(remote.ask(&config, at(1), &mut rng, (2u8, &question(), Transport::Udp)), []);
        let answers = remote.told(&config, at(1), &mut rng, need, Some(&told()));
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), [(1, 0, 1), (2, 0, 1)]);
        assert!(remote.waiting.is_empty() && remote.fetching.is_empty());
    }

    #[test]
    fn without_servers_the_last_answer_is_good_until_max_stale_and_then_it_is_a_failure() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let mut remote = Remote::default();
        let need = Need::Service(Str::from("web"));
        let mut asked = |now, body: Option<Bytes>| {
            remote.ask(&config, now, &mut rng, (1u8, &question(), Transport::Udp));
            let orders = remote.told(&config, now, &mut rng, &need, body.as_ref());
            shown(&orders[0])
        };
        assert_eq!(asked(at(1), None), (1, 2, 0), "nobody has ever told");
        assert_eq!(asked(at(2), Some(told())), (1, 0, 1));
        assert_eq!(asked(at(62), None), (1, 0, 1));
        assert_eq!(asked(at(63), None), (1, 2, 0), "too long ago");
        assert_eq!(asked(at(64), Some(Bytes::from_static(&[0xc1]))), (1, 2, 0), "not readable");
    }

    #[test]
    fn what_needs_no_catalog_is_answered_at_once_and_memory_is_bounded() {
        let (config, mut rng) = (config(), Rng::new(Seed::from_u64(1)));
        let mut remote: Remote<u8> = Remote::default();
        let mut outside = question();
        outside[13] = b'x';
        outside[28] = b'x';
        let orders = remote.ask(&config, at(1), &mut rng, (1, &outside, Transport::Udp));
        assert_eq!(shown(&orders[0]).1, 5, "refused: not our domain");
        for n in 0..2 * MAX_REMEMBERED as u64 {
            let need = Need::Node(Str::from(n.to_string()));
            remote.remember(Instant(n), &need, &Arc::default());
        }
        assert_eq!(remote.remembered.len(), MAX_REMEMBERED);
    }
}
