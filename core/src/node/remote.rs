//! The way to what is not here: a client agent asks servers for what a server does itself, and servers ask those
//! of other datacenters, or their leader.

use super::Node;
use super::calls::Caller;
use super::output::Output;
use crate::Str;
use crate::agent::{AgentInput, CatalogCall, CatalogNode, CatalogReply};
use crate::call::{CallError, Reply};
use crate::command::{Command, KvCommand, SessionCommand, SessionOp, TxnOp};
use crate::gossip::Status;
use crate::gossip::consul;
use crate::ids::{CallId, Index, Pool};
use crate::metrics::Metric;
use crate::router::{Ask, Effect, Failure, Kind, PING, Server, To};
use crate::rpc::answer;
use crate::rpc::arguments::{KvArguments, ReadArguments, TxnArguments};
use crate::store::Applied;
use crate::time::{Duration, Now};
use crate::types::{KvOp, Node as NodeRecord, NodeService};
use crate::user_event::UserEvent;
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// How far behind its leader a server may be that is asked for the node's own records (Consul's).
const SYNC_MAX_STALE: Duration = Duration::from_secs(2);

/// Who waits for a server's answer, and what it means.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A front, which reads the answer itself.
    Front(Caller),
    /// A write.
    Write(Caller, Shape),
    /// The agent, for the services of a node.
    Services { call: CallId, node: Str, listed: bool },
    /// The cache, under its number.
    Cache(u64),
    /// Nobody: this node has told where it is.
    Place,
    /// Who shouts to another datacenter.
    Event(Caller, Box<UserEvent>),
    /// A command about keys.
    Keys(CallId),
    /// The agent, for the checks of the node whose services are here.
    Checks { call: CallId, node: Arc<NodeRecord>, services: Vec<Arc<NodeService>> },
}

/// What a front waits for: the router, or the cache, under their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Router(u64),
    Cache(u64),
}

/// What a write answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Nothing,
    Bool,
    /// An ID.
    Session,
    /// The ID of a prepared query.
    Query,
    Txn,
}

impl Node {
    /// Tells the router who is there. The agent of a client hears of a server that has appeared.
    pub(super) fn route_servers(&mut self, now: Now) {
        let known = match self.config.server {
            true => self.servers_elsewhere(),
            false => self.servers_here(),
        };
        let members = self.pools.others(Pool::Lan, "").count();
        if self.router.servers(now.mono, &known, members) && !self.config.server {
            self.to_agent.push_back(AgentInput::ServerUp);
        }
    }

    fn servers_here(&mut self) -> BTreeMap<Str, Vec<Server>> {
        let own = self.config.datacenter.clone();
        let mut servers = self.pools.servers();
        servers.retain(|_, server| server.datacenter == own);
        let there = self.of_own_cluster(servers).into_iter().filter(|server| server.status == Status::Alive);
        let there = there.map(routed).collect();
        BTreeMap::from([(own, there)])
    }

    /// The servers of the other datacenters; one whose servers have all failed is known all the same.
    fn servers_elsewhere(&self) -> BTreeMap<Str, Vec<Server>> {
        let mut known: BTreeMap<Str, Vec<Server>> = BTreeMap::new();
        for server in self.wan_servers() {
            if server.datacenter == self.config.datacenter || server.status == Status::Left {
                continue;
            }
            let there = known.entry(server.datacenter.clone()).or_default();
            if server.status == Status::Alive {
                there.push(routed(server));
            }
        }
        known
    }

    /// Tells the router where the leader is, if it is another server.
    pub(super) fn route_leader(&mut self) {
        let leader = self.raft.leader().filter(|leader| **leader != self.id);
        let at = leader.and_then(|leader| self.addresses.get(leader)).copied();
        self.router.leader(at);
    }

    /// Moves one effect of the router on.
    pub(super) fn on_router(&mut self, now: Now, effect: Effect<Waiting>) {
        match effect {
            Effect::Send { call, to, method, body, until } => {
                if method != PING
                    && let Some(datacenter) = self.router.elsewhere(to)
                {
                    self.metrics.count_named(now, Metric::RpcCrossDc, datacenter, "");
                }
                self.outputs.push_back(Output::Rpc { call, to, method, body, until });
            }
            Effect::Cancel { call, to } => self.outputs.push_back(Output::CancelRpc { call, to }),
            Effect::Drop { to } => self.outputs.push_back(Output::DropRpc { to }),
            Effect::Event(event) => self.log(event),
            Effect::Done { who, result } => {
                match &result {
                    Ok(_) => {}
                    Err(Failure::Busy) => self.metrics.count(now, Metric::ClientRpcExceeded),
                    Err(_) => self.metrics.count(now, Metric::ClientRpcFailed),
                }
                self.told(now, who, result);
            }
        }
    }

    /// A front asks a server.
    pub(super) fn ask_server(&mut self, now: Now, from: Caller, ask: Ask) {
        let call = self.make_call(now, Waiting::Front(from.clone()), ask);
        if let Caller::Front(front, number) = from {
            self.asked.insert((front, number), Asked::Router(call));
        }
    }

    /// Whoever asked a server does not wait any more.
    pub(super) fn abandon(&mut self, from: &Caller, number: CallId) {
        if let Caller::Front(front, _) = from
            && let Some(asked) = self.asked.remove(&(*front, number))
        {
            match asked {
                Asked::Router(call) => self.router.cancel(call),
                Asked::Cache(waiter) => self.cache.cancel(waiter),
            }
        }
    }

    pub(super) fn make_call(&mut self, now: Now, who: Waiting, mut ask: Ask) -> u64 {
        // Clients have servers of their own datacenter pass it on.
        if !self.config.server {
            ask.to = To::Datacenter(self.config.datacenter.clone());
        }
        self.router.ask(now.mono, who, ask)
    }

    /// Sends a write to a server, for that datacenter.
    pub(super) fn write_there(&mut self, now: Now, from: Caller, datacenter: &Str, command: &Command) {
        let to = To::Datacenter(datacenter.clone());
        let (method, body, shape) = match command {
            Command::Register(register) => ("Catalog.Register", msgpack::to_vec(&**register), Shape::Nothing),
            Command::Deregister(deregister) => {
                ("Catalog.Deregister", msgpack::to_vec(deregister), Shape::Nothing)
            }
            Command::Kv(KvCommand { op, dir_ent }) => {
                // Servers say `false` to what cannot fail.
                let conditional = !matches!(op, KvOp::Set | KvOp::Delete | KvOp::DeleteTree);
                let shape = if conditional { Shape::Bool } else { Shape::Nothing };
                ("KVS.Apply", msgpack::to_vec(&KvArguments { datacenter, op, dir_ent }), shape)
            }
            Command::Txn(txn) => {
                let (allow_stale, require_consistent) = (false, false);
                let arguments =
                    TxnArguments::<TxnOp> { datacenter, ops: &txn.ops, allow_stale, require_consistent };
                ("Txn.Apply", msgpack::to_vec(&arguments), Shape::Txn)
            }
            Command::PreparedQuery(query) => ("PreparedQuery.Apply", msgpack::to_vec(&**query), Shape::Query),
            Command::Autopilot(set) => {
                ("Operator.AutopilotSetConfiguration", msgpack::to_vec(&**set), Shape::Bool)
            }
            Command::Session(c) => {
                let c = SessionCommand { datacenter: datacenter.clone(), ..(**c).clone() };
                let shape = if c.op == SessionOp::Create { Shape::Session } else { Shape::Nothing };
                ("Session.Apply", msgpack::to_vec(&c), shape)
            }
            Command::ReapTombstones(_) | Command::Coordinates(_) | Command::Restore(_) => {
                let why = "internal error: only servers of the datacenter do this".into();
                return self.answer(from, Reply::Failed(CallError::Refused(why)));
            }
        };
        let ask = Ask { to, method, body: body.into(), kind: Kind::Write };
        self.make_call(now, Waiting::Write(from, shape), ask);
    }

    /// The agent compares itself with the catalog, or tells it something.
    pub(super) fn catalog_there(&mut self, now: Now, call: CallId, request: CatalogCall) {
        let (from, own) = (Caller::Agent(call), self.config.datacenter.clone());
        match request {
            CatalogCall::NodeServices { node } => {
                let ask = self.about(&node, "Catalog.NodeServiceList");
                self.make_call(now, Waiting::Services { call, node, listed: true }, ask);
            }
            CatalogCall::Register(mut register) => {
                register.datacenter = own.to_string();
                self.write_there(now, from, &own, &Command::Register(register));
            }
            CatalogCall::Deregister(mut deregister) => {
                deregister.datacenter = own.to_string();
                self.write_there(now, from, &own, &Command::Deregister(deregister));
            }
        }
    }

    /// A question about a node's own records: stale is good enough, so that a datacenter without a leader
    /// can still be compared with.
    fn about(&self, node: &Str, method: &'static str) -> Ask {
        let arguments = ReadArguments {
            datacenter: self.config.datacenter.clone(),
            node: node.clone(),
            allow_stale: true,
            max_stale_duration: SYNC_MAX_STALE.as_nanos() as i64,
            ..ReadArguments::default()
        };
        let to = To::Datacenter(self.config.datacenter.clone());
        Ask { to, method, body: msgpack::to_vec(&arguments).into(), kind: Kind::Read }
    }

    fn told(&mut self, now: Now, who: Waiting, result: Result<Bytes, Failure>) {
        if let Waiting::Front(Caller::Front(front, number)) = &who {
            self.asked.remove(&(*front, *number));
        }
        match (who, result) {
            (Waiting::Event(caller, event), Ok(_)) => self.answer(caller, Reply::Event(event)),
            (Waiting::Event(caller, _), Err(why)) => self.answer(caller, Reply::Failed(why.into())),
            (Waiting::Keys(call), result) => self.keys_there(call, result),
            (Waiting::Cache(fetch), result) => {
                self.fetches.remove(&fetch);
                self.count_fetch(now, result.is_ok());
                self.cache.fetched(now.mono, fetch, result);
            }
            (Waiting::Place, Ok(_)) => {}
            (Waiting::Place, Err(why)) => self.place_refused(why.to_string()),
            (Waiting::Front(caller), Ok(body)) => self.answer(caller, Reply::Answer(body)),
            (Waiting::Front(caller), Err(why)) => self.answer(caller, Reply::Failed(why.into())),
            (Waiting::Write(Caller::Agent(call), _), result) => {
                let reply = match result {
                    Ok(_) => CatalogReply::Done,
                    // It is gone already, which is all that was wanted.
                    Err(Failure::Server(text))
                        if text.contains("Unknown service") || text.contains("Unknown check") =>
                    {
                        CatalogReply::Done
                    }
                    Err(why) => refusal(&why),
                };
                self.to_agent.push_back(AgentInput::CatalogReply { call, reply });
            }
            (Waiting::Write(caller, shape), Ok(body)) => {
                let reply = match applied(&body, shape) {
                    // Which index it was, servers do not tell.
                    Ok(result) => Reply::Applied { index: Index(0), result },
                    Err(why) => Reply::Failed(unreadable(&why)),
                };
                self.answer(caller, reply);
            }
            (Waiting::Write(caller, _), Err(why)) => self.answer(caller, Reply::Failed(why.into())),
            (Waiting::Services { call, node, listed: true }, Err(Failure::Server(text)))
                if text.contains("rpc: can't find method") =>
            {
                let ask = self.about(&node, "Catalog.NodeServices");
                self.make_call(now, Waiting::Services { call, node, listed: false }, ask);
            }
            (Waiting::Services { call, node, listed }, result) => {
                match result.map_err(|why| refusal(&why)).and_then(|body| {
                    services(&body, listed).map_err(|why| CatalogReply::Failed(unreadable(&why).to_string()))
                }) {
                    Ok(Some((record, services))) => {
                        let ask = self.about(&node, "Health.NodeChecks");
                        let waiting = Waiting::Checks { call, node: record, services };
                        self.make_call(now, waiting, ask);
                    }
                    Ok(None) => self.tell_agent(call, CatalogReply::Node(None)),
                    Err(reply) => self.tell_agent(call, reply),
                }
            }
            (Waiting::Checks { call, node, services }, Ok(body)) => {
                let reply = match msgpack::from_slice::<answer::HealthChecks>(&body) {
                    Ok(found) => {
                        CatalogReply::Node(Some(CatalogNode { node, services, checks: found.health_checks }))
                    }
                    Err(why) => CatalogReply::Failed(unreadable(&why).to_string()),
                };
                self.tell_agent(call, reply);
            }
            (Waiting::Checks { call, .. }, Err(why)) => self.tell_agent(call, refusal(&why)),
        }
    }

    fn tell_agent(&mut self, call: CallId, reply: CatalogReply) {
        self.to_agent.push_back(AgentInput::CatalogReply { call, reply });
    }
}

fn routed(server: consul::Server) -> Server {
    Server { name: server.short_name, datacenter: server.datacenter, addr: server.addr }
}

type Found = Option<(Arc<NodeRecord>, Vec<Arc<NodeService>>)>;

/// The node and its services, in the newer or the older form.
fn services(body: &[u8], listed: bool) -> Result<Found, msgpack::Error> {
    let (node, mut services) = if listed {
        let found = msgpack::from_slice::<answer::NodeServiceList>(body)?.node_services;
        (found.node, found.services)
    } else {
        let found = msgpack::from_slice::<answer::NodeServices>(body)?.node_services.unwrap_or_default();
        (found.node, found.services.into_values().collect())
    };
    services.iter_mut().for_each(NodeService::forget_blank_mesh);
    Ok(node.map(|node| (node, services)))
}

/// What a write did.
fn applied(body: &[u8], shape: Shape) -> Result<Applied, msgpack::Error> {
    Ok(match shape {
        Shape::Nothing => Applied::Ok,
        Shape::Bool => Applied::Bool(msgpack::from_slice(body)?),
        Shape::Session => Applied::Session(msgpack::from_slice(body)?),
        Shape::Query => Applied::Query(msgpack::from_slice(body)?),
        Shape::Txn => Applied::Txn(msgpack::from_slice::<answer::TxnResponse>(body)?.into()),
    })
}

fn refusal(why: &Failure) -> CatalogReply {
    match why {
        Failure::Server(text) if text.contains("Permission denied") || text.contains("ACL not found") => {
            CatalogReply::Denied(text.clone())
        }
        why => CatalogReply::Failed(why.to_string()),
    }
}

fn unreadable(why: &msgpack::Error) -> CallError {
    let text: String = format!("rpc error making call: the server's answer cannot be read: {why}");
    CallError::Remote(text)
}

impl From<Failure> for CallError {
    fn from(why: Failure) -> CallError {
        match why {
            Failure::Busy => CallError::Busy,
            why => CallError::Remote(why.to_string()),
        }
    }
}
