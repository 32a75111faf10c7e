//! What gossip's effects mean to the rest of the node, and what is asked of gossip.

use super::calls::Caller;
use super::join::{self, Lookup, Who};
use super::output::{HaltReason, NetOrder, Output};
use super::remote::Waiting;
use super::{Node, pools};
use crate::Str;
use crate::agent::LocalWrite;
use crate::call::{CallError, Reply};
use crate::event::{Event, Level};
use crate::gossip::consul::{Server, wan_name};
use crate::gossip::wire::Key;
use crate::gossip::{Effect, Input, Member, MemberChange, Status};
use crate::ids::{Pool, ServerId};
use crate::router::{Ask, Kind, To};
use crate::rpc::operator::EventArguments;
use crate::time::{Duration, Instant, Now};
use crate::user_event::{PREFIX, UserEvent, VERSION};
use crate::wire::msgpack;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use core::net::SocketAddr;

/// Where the record of a pool's members stands among the local ones.
pub(super) const MEMBERS: [(Pool, &str); 2] =
    [(Pool::Lan, "gossip/lan/members"), (Pool::Wan, "gossip/wan/members")];
/// Where the record of a pool's keys stands.
pub(super) const KEYS: [(Pool, &str); 2] = [(Pool::Lan, "gossip/lan/keys"), (Pool::Wan, "gossip/wan/keys")];
/// Where a client agent writes down whose servers it uses.
const CLUSTER: &str = "gossip/lan/cluster";
/// Members that are remembered for the next start; enough to find the rest.
const REMEMBERED: usize = 64;
/// How often servers of the LAN pool that the WAN pool lacks are asked into it, as Consul.
const FLOOD: Duration = Duration::from_secs(60);
/// User events that are kept for those who ask, as Consul.
const EVENTS: usize = 256;

fn key_of(table: &[(Pool, &'static str); 2], pool: Pool) -> &'static str {
    if table[0].0 == pool { table[0].1 } else { table[1].1 }
}

/// What the disk held of gossip.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) keys: BTreeMap<Pool, Vec<Key>>,
    pub(super) members: BTreeMap<Pool, Vec<String>>,
    /// Empty: none.
    pub(super) cluster: Str,
}

impl Remembered {
    /// Reads the records; what is damaged is as if it were not there.
    pub(super) fn read(records: &[(String, Bytes)]) -> Remembered {
        let mut found = Remembered::default();
        let lines = |table: &[(Pool, &'static str); 2], pool| {
            let record = records.iter().find(|(key, _)| key == key_of(table, pool));
            let text = record.and_then(|(_, bytes)| core::str::from_utf8(bytes).ok()).unwrap_or("");
            text.lines().map(String::from).collect::<Vec<_>>()
        };
        let cluster = records.iter().find(|(key, _)| key == CLUSTER);
        found.cluster = cluster.and_then(|(_, id)| core::str::from_utf8(id).ok()).unwrap_or("").into();
        for pool in [Pool::Lan, Pool::Wan] {
            let keys = lines(&KEYS, pool).into_iter();
            let keys =
                keys.filter_map(|line| BASE64_STANDARD.decode(line).ok()).filter_map(|k| Key::new(&k).ok());
            found.keys.insert(pool, keys.collect());
            found.members.insert(pool, lines(&MEMBERS, pool));
        }
        found
    }
}

impl Node {
    /// Moves one effect of a pool on.
    pub(super) fn on_gossip(&mut self, now: Now, pool: Pool, effect: Effect) {
        match effect {
            Effect::Packet { to, bytes } => self.order(pool, NetOrder::Packet { to, bytes }),
            Effect::Open { stream, to } => self.order(pool, NetOrder::Open { stream, to }),
            Effect::Write { stream, bytes } => self.order(pool, NetOrder::Write { stream, bytes }),
            Effect::Close { stream } => self.order(pool, NetOrder::Close { stream }),
            Effect::Member { change, member } => self.on_member(now, pool, change, &member),
            Effect::UserEvent { ltime, name, payload, .. } => {
                self.on_user_event(pool, ltime, &name, &payload)
            }
            // Nobody here answers questions but serf itself.
            Effect::Query { .. } | Effect::QueryAck { .. } | Effect::QueryResponse { .. } => {}
            Effect::QueryDone { .. } | Effect::Coordinate { .. } => {}
            Effect::Joined { call, contacted, failed } => {
                if let Some((pool, who)) = self.joins.joined(call) {
                    let errors = failed.into_iter().map(|(at, why)| format!("Failed to join {at}: {why}"));
                    self.joined(now, pool, who, contacted, errors.collect());
                }
            }
            Effect::Left { .. } => self.pool_left(pool),
            Effect::UserEventRefused { call, reason } => {
                // Consul's client agents have a server shout for them.
                let of_server = if self.config.server { "" } else { "rpc error making call: " };
                let why = format!("{of_server}error broadcasting event: {reason}");
                self.finish(call, Reply::Failed(CallError::Refused(why)));
            }
            Effect::TagsRefused { reason } => {
                self.log(Event::new(Level::Error, "agent", "tags are not shown").with("error", reason));
            }
            Effect::KeysDone { call, report } => self.keys_done(pool, call, &report),
            Effect::PersistKeys { keys } => {
                if !self.config.gossip.disable_keyring_file {
                    let lines: Vec<String> =
                        keys.iter().map(|key| BASE64_STANDARD.encode(key.bytes())).collect();
                    self.keep(key_of(&KEYS, pool), &lines);
                }
                match self.tickets.unflushed_local() {
                    Some(ticket) => self.keys_kept.push_back((ticket, pool)),
                    None => self.keys_kept(now, pool),
                }
            }
            Effect::NameLost => self.halt(HaltReason::NameLost { name: pools::own_name(&self.config, pool) }),
            Effect::Twin { name, at } => {
                let own = pools::of(&self.config, pool).advertise;
                self.halt(HaltReason::Twin { name, id: self.id.clone(), at, own });
            }
            Effect::Log(event) => self.log(event),
        }
    }

    fn keys_kept(&mut self, now: Now, pool: Pool) {
        self.pools.handle(now.mono, pool, Input::KeysKept);
    }

    /// Lets pools answer that waited for the disk to hold their keys.
    pub(super) fn say_keys_kept(&mut self, now: Now) {
        while let Some((ticket, pool)) = self.keys_kept.front().copied()
            && self.tickets.flushed(ticket)
        {
            self.keys_kept.pop_front();
            self.keys_kept(now, pool);
        }
    }

    fn order(&mut self, pool: Pool, order: NetOrder) {
        self.outputs.push_back(Output::Gossip { pool, order });
    }

    fn keep(&mut self, key: &str, lines: &[String]) {
        self.tickets.local_in_next();
        let value = Bytes::from(lines.join("\n").into_bytes());
        self.records.push(LocalWrite::Put { key: key.into(), value });
    }

    /// Writes down whose servers this client agent uses.
    pub(super) fn keep_cluster(&mut self, cluster: &Str) {
        self.keep(CLUSTER, &[cluster.to_string()]);
    }

    /// The first key of a node without any is kept at once, so that gossip stays encrypted when `encrypt` is taken out
    /// of the files. A key of the files that the keyring lacks is not used, and the log says so, as with Consul.
    pub(super) fn keep_first_keys(&mut self, kept: &BTreeMap<Pool, Vec<Key>>) {
        if self.config.gossip.disable_keyring_file {
            return;
        }
        let Some(first) = self.config.gossip.encrypt.clone() else { return };
        for pool in [Pool::Lan, Pool::Wan] {
            if self.pools.get(pool).is_none() {
                continue;
            }
            match kept.get(&pool).filter(|keys| !keys.is_empty()) {
                None => self.keep(key_of(&KEYS, pool), &[BASE64_STANDARD.encode(&first.0)]),
                Some(keys) if keys.iter().any(|key| key.bytes() == first.0) => {}
                Some(_) => {
                    let text = "keyring doesn't include key provided with -encrypt, using keyring";
                    self.log(Event::new(Level::Warn, "agent", text).with("keyring", pool_name(pool)));
                }
            }
        }
    }

    fn on_member(&mut self, now: Now, pool: Pool, change: MemberChange, member: &Member) {
        self.members_changed = true;
        self.count_member(now, pool, change);
        *self.member_news.entry(pool).or_default() |=
            matches!(change, MemberChange::Join | MemberChange::Update);
        if pool == Pool::Lan {
            self.leader.member_changed(&member.name);
            if member.tag("role") == "consul" {
                self.autopilot.hurry(now.mono);
            }
            if change == MemberChange::Join && member.tag("role") == "consul" {
                self.server_seen(member);
            }
        }
    }

    /// There is news of members of a pool, `joined`: of one that is there. Once for all that come together: each looks
    /// at the whole pool.
    pub(super) fn meet_members(&mut self, now: Now, pool: Pool, joined: bool) {
        self.remember(pool);
        if pool == Pool::Lan {
            self.locate_servers();
            self.route_leader();
        }
        self.route_servers(now);
        if pool == Pool::Lan {
            self.found(now);
            if joined {
                self.flood(now);
            }
        }
    }

    /// Servers of one datacenter know each other in the WAN pool without being told: whoever is alive in the LAN and
    /// not there is asked to join, when the LAN has news and every [`FLOOD`], as with Consul.
    fn flood(&mut self, now: Now) {
        for at in self.missing_in_wan() {
            let call = self.joins.call(Pool::Wan, Who::Flood);
            self.pools.handle(
                now.mono,
                Pool::Wan,
                Input::Join { call, addrs: alloc::vec![at], ignore_old: true },
            );
        }
    }

    /// Where the servers of the LAN pool are to be found that the WAN pool lacks.
    pub(super) fn missing_in_wan(&self) -> Vec<SocketAddr> {
        let Some(wan) = self.pools.get(Pool::Wan).filter(|_| !mutant!(self, NeverFloods)) else {
            return Vec::new();
        };
        let missing = |server: &Server| {
            let name = wan_name(&server.name, &server.datacenter);
            let known = wan.member(&name).is_some_and(|member| member.status == Status::Alive);
            !known && server.status == Status::Alive && *server.name != *self.config.node_name
        };
        let all = self.pools.servers().into_values().filter(missing);
        all.filter_map(|s| Some(SocketAddr::new(s.addr.ip(), s.wan_join_port?))).collect()
    }

    /// The next time that the WAN pool is compared with the LAN pool; `None`: this node is not in it.
    pub(super) fn flood_due(&self) -> Option<Instant> {
        self.pools.get(Pool::Wan).map(|_| self.flooded + FLOOD)
    }

    /// Compares them when it is time.
    pub(super) fn flood_again(&mut self, now: Now) {
        if self.flood_due().is_some_and(|due| due <= now.mono) {
            self.flooded = now.mono;
            self.flood(now);
        }
    }

    fn server_seen(&mut self, member: &Member) {
        if self.config.server && *member.name != *self.config.node_name {
            let port = member.tag("port");
            let text = format!("Adding LAN server: {} (Addr: tcp/{}:{port})", member.name, member.addr.ip());
            self.log(Event::new(Level::Info, "agent.server", text));
        }
    }

    /// Where servers take RPC, as their members say. Who is not among them stays where it was, and so does one that is
    /// not there any more: it may have said itself where it went.
    fn locate_servers(&mut self) {
        for (id, server) in self.pools.servers() {
            let gone = server.status != Status::Alive && self.addresses.contains_key(&id);
            if id != self.id && !gone {
                self.addresses.insert(id, server.addr);
            }
        }
        self.stale_view = true;
    }

    /// A server says where it takes answers. Unless gossip shows it alive, nobody knows better.
    pub(super) fn greeted(&mut self, from: ServerId, at: SocketAddr) {
        let shown = self.pools.servers().get(&from).is_some_and(|server| server.status == Status::Alive);
        if !shown && from != self.id && self.raft.membership().contains(&from) {
            self.addresses.insert(from, at);
            self.route_leader();
            self.stale_view = true;
        }
    }

    /// Writes down who is there, for the next start.
    fn remember(&mut self, pool: Pool) {
        let own = pools::own_name(&self.config, pool);
        let mut others: Vec<SocketAddr> = self.pools.others(pool, &own).map(|member| member.addr).collect();
        others.truncate(REMEMBERED);
        let lines: Vec<String> = others.iter().map(ToString::to_string).collect();
        // Who has just lost sight of everybody looks for them where they were.
        if !lines.is_empty() && self.remembered.get(&pool) != Some(&lines) {
            self.keep(key_of(&MEMBERS, pool), &lines);
            self.remembered.insert(pool, lines);
        }
    }

    /// A node that left does not come back by itself, unless it is told to.
    pub(super) fn forget_members(&mut self) {
        if !self.config.gossip.rejoin_after_leave {
            for (_, key) in MEMBERS {
                self.tickets.local_in_next();
                self.records.push(LocalWrite::Delete { key: key.into() });
            }
        }
    }

    /// Whether this node misses those that `retry_join` is there to find. Client agents that have only each other do,
    /// and servers that have too few of them to found their cluster, or none of it: an island does not find the
    /// mainland by itself. A server misses every voter that it knows nothing of.
    fn is_alone(&self, pool: Pool) -> bool {
        let own = pools::own_name(&self.config, pool);
        let others = || self.pools.others(pool, &own);
        if pool == Pool::Wan {
            return others().next().is_none();
        }
        if self.config.server && !self.raft.is_fresh() {
            // A server that gossip has never heard of, not even as one that failed, has moved: it is to be found.
            let known = self.pools.servers();
            let voters = &self.raft.status().membership.voters;
            return voters.iter().any(|voter| !known.contains_key(voter)) || others().next().is_none();
        }
        let servers = others().filter(|member| member.tag("role") == "consul").count();
        let wanted = match self.config.server {
            false => 1,
            true => (self.config.bootstrap_expect as usize).saturating_sub(1).max(1),
        };
        servers < wanted
    }

    /// Asks for the addresses of `retry_join` when they are due.
    pub(super) fn join_due(&mut self, now: Now) {
        // Whether it is alone takes a look at all members: not at every wake.
        if self.joins.poll_timeout().is_none_or(|due| due > now.mono) {
            return;
        }
        let alone = [Pool::Lan, Pool::Wan].map(|pool| self.is_alone(pool));
        if let Some((pool, lookup)) = self.joins.due(now.mono, |pool| alone[usize::from(pool == Pool::Wan)]) {
            if self.joins.is_first(pool) {
                let event = Event::new(Level::Info, "agent", "Joining cluster...");
                self.log(event.with("cluster", pool_name(pool)));
            }
            self.resolve(pool, lookup);
        }
    }

    pub(super) fn join(&mut self, from: Caller, pool: Pool, names: Vec<String>) {
        if self.pools.get(pool).is_none() {
            let why = match pool {
                Pool::Lan => "gossip is off on this agent",
                Pool::Wan if self.config.server => "WAN Federation is disabled",
                Pool::Wan => "Must be a server to join WAN cluster",
            };
            return self.answer(from, Reply::Failed(CallError::Refused(why.into())));
        }
        match self.joins.start(pool, from.clone(), names) {
            Some(lookup) => self.resolve(pool, lookup),
            None => self.answer(from, Reply::Failed(CallError::Busy)),
        }
    }

    fn resolve(&mut self, pool: Pool, Lookup { id, names }: Lookup) {
        let port = pools::port(&self.config, pool).unwrap_or(8301);
        self.outputs.push_back(Output::Resolve { lookup: id, names, port });
    }

    pub(super) fn resolved(&mut self, now: Now, lookup: u64, found: Vec<Result<Vec<SocketAddr>, String>>) {
        let Some((pool, who, names)) = self.joins.resolved(lookup) else { return };
        let (mut addrs, mut errors) = join::sort(&names, found);
        // A list of all servers names this node too; that it reaches itself says nothing.
        let own = pools::of(&self.config, pool).advertise;
        let port = pools::port(&self.config, pool);
        let before = addrs.len();
        addrs.retain(|at| at.ip() != own || Some(at.port()) != port);
        // Names and memory often mean the same.
        let mut seen = BTreeSet::new();
        addrs.retain(|at| seen.insert(*at));
        if who == Who::Retry && addrs.is_empty() && errors.is_empty() && before > 0 {
            self.joins.tried(pool, now.mono);
            return;
        }
        if addrs.is_empty() {
            // An operator may name this very node, as with Consul: it has itself for company.
            let itself = usize::from(before > 0 && matches!(who, Who::Caller(_)));
            if errors.is_empty() && itself == 0 {
                errors.push(format!("no addresses for {}", names.join(", ")));
            }
            return self.joined(now, pool, who, itself, errors);
        }
        let call = self.joins.call(pool, who);
        self.pools.handle(now.mono, pool, Input::Join { call, addrs, ignore_old: true });
    }

    fn joined(&mut self, now: Now, pool: Pool, who: Who, contacted: usize, errors: Vec<String>) {
        if pool == Pool::Lan && contacted > 0 {
            self.outputs.push_back(Output::Joined);
        }
        match who {
            Who::Caller(caller) if contacted > 0 => self.answer(caller, Reply::Joined(contacted)),
            Who::Caller(caller) => {
                let count = errors.len();
                let mut text = format!("{count} error{} occurred:", if count == 1 { "" } else { "s" });
                errors.iter().for_each(|error| text.push_str(&format!("\n\t* {error}")));
                text.push_str("\n\n");
                self.answer(caller, Reply::Failed(CallError::Refused(text)));
            }
            Who::Flood => {}
            Who::Retry => {
                let interval = self.joins.tried(pool, now.mono);
                let cluster = pool_name(pool);
                if contacted > 0 {
                    if !self.joins.succeeded(pool) {
                        return;
                    }
                    let text = "Join cluster completed. Synced with initial agents";
                    let event = Event::new(Level::Info, "agent", text).with("cluster", cluster);
                    return self.log(event.with_number("num_agents", contacted as u64));
                }
                let max = pools::of(&self.config, pool).retry_max;
                if self.joins.is_given_up(pool, max) {
                    return self.halt(HaltReason::JoinGivenUp { pool });
                }
                let event = Event::new(Level::Warn, "agent", "Join cluster failed, will retry");
                let event =
                    event.with("cluster", cluster).with("retry_interval", format!("{}s", interval.as_secs()));
                self.log(event.with("error", errors.join("; ")));
            }
        }
    }

    pub(super) fn force_leave(&mut self, now: Now, from: Caller, name: &Str, prune: bool, wan: bool) {
        let mut found = false;
        let wan_name = match name.ends_with(&*format!(".{}", self.config.datacenter)) {
            true => name.clone(),
            false => crate::gossip::consul::wan_name(name, &self.config.datacenter),
        };
        for (pool, name) in [(Pool::Lan, name.clone()), (Pool::Wan, wan_name)] {
            let known = self.pools.get(pool).is_some_and(|machine| machine.member(&name).is_some());
            if known && (pool == Pool::Wan || !wan) {
                found = true;
                self.pools.handle(now.mono, pool, Input::ForceLeave { name, prune });
            }
        }
        let reply = match found {
            true => Reply::Done,
            false => {
                // Consul has lost the name when it speaks of the WAN pool.
                let name = if wan { "" } else { name };
                Reply::Failed(CallError::Refused(format!("agent: No node found with name '{name}'")))
            }
        };
        self.answer(from, reply);
    }

    /// Gives an event its ID and sends it on its way, to another datacenter through a server of that.
    pub(super) fn shout(&mut self, now: Now, from: Caller, datacenter: &Str, event: UserEvent) {
        let event = UserEvent { id: self.ids.uuid().as_str().into(), version: VERSION, ..event };
        if *datacenter == self.config.datacenter {
            let (name, payload) = (event.name.clone(), event.encode());
            return self.broadcast(now, from, &name, payload, Reply::Event(event.into()));
        }
        let arguments = EventArguments {
            datacenter: datacenter.clone(),
            name: event.name.clone(),
            payload: event.encode(),
            allow_stale: true,
        };
        let (to, body) = (To::Datacenter(datacenter.clone()), msgpack::to_vec(&arguments).into());
        let ask = Ask { to, method: "Internal.EventFire", body, kind: Kind::Write };
        self.make_call(now, Waiting::Event(from, event.into()), ask);
    }

    /// Sends an event on its way that another agent has put together.
    pub(super) fn shout_for(&mut self, now: Now, from: Caller, name: &str, payload: Bytes) {
        self.broadcast(now, from, name, payload, Reply::Done);
    }

    fn broadcast(&mut self, now: Now, from: Caller, name: &str, payload: Bytes, done: Reply) {
        let call = self.calls.for_raft(from);
        let name = Str::from(format!("{PREFIX}{name}"));
        let input = Input::UserEvent { call, name, payload, coalesce: false };
        if !self.pools.handle(now.mono, Pool::Lan, input) {
            let why = CallError::Refused("gossip is off on this agent".into());
            return self.finish(call, Reply::Failed(why));
        }
        // A refusal is among the effects already.
        if !self.pools.has_refused(call) {
            self.finish(call, done);
        }
    }

    /// Keeps what concerns this node.
    fn on_user_event(&mut self, pool: Pool, ltime: u64, name: &str, payload: &[u8]) {
        if pool != Pool::Lan || !name.starts_with(PREFIX) {
            return;
        }
        let Some(event) = UserEvent::decode(ltime, payload) else {
            return self.log(Event::new(Level::Error, "agent", "Failed to decode event"));
        };
        let local = self.agent.local();
        let services = local.services().map(|own| (&*own.service.service, &*own.service.tags));
        if !event.concerns(&self.config.node_name, services) {
            return;
        }
        let text = Event::new(Level::Debug, "agent", "new event");
        self.log(text.with("event_name", &*event.name).with("event_id", &*event.id));
        let mut events = self.events.to_vec();
        if events.len() == EVENTS {
            events.remove(0);
        }
        events.push(event);
        self.events = events.into();
        self.changes.local = true;
    }

    /// What is known of who is there, as views show it.
    pub(super) fn refresh_members(&mut self) {
        if core::mem::take(&mut self.members_changed) {
            self.members = self.pools.members().into();
            self.agent.set_members(self.members.lan.len());
            self.stale_view = true;
        }
    }
}

fn pool_name(pool: Pool) -> &'static str {
    match pool {
        Pool::Lan => "LAN",
        Pool::Wan => "WAN",
    }
}
