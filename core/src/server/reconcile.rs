//! Members to catalog: every member that is there has a node and a passing `serfHealth`, every server the
//! `consul` service besides.

use crate::Str;
use crate::command::{CatalogVerb, Command, Deregister, Register, Txn, TxnOp};
use crate::event::{Event, Level};
use crate::gossip::consul::{Build, Server};
use crate::gossip::wire::Vsn;
use crate::gossip::{Member, Status, VSN};
use crate::store::Store;
use crate::types::{HealthCheck, Node, NodeService, status};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The check ID under which the catalog keeps what gossip says of a node.
const SERF_HEALTH: &str = "serfHealth";
const SERF_NAME: &str = "Serf Health Status";
const SERF_ALIVE: &str = "Agent alive and reachable";
const SERF_FAILED: &str = "Agent not live or unreachable";
const LOG: &str = "agent.server";

/// What a server puts into the catalog about itself.
#[derive(Clone, Debug)]
pub struct ServerRecord {
    /// Node ID.
    pub id: Str,
    /// Node name.
    pub name: Str,
    /// Advertised IP address.
    pub address: String,
    /// Datacenter.
    pub datacenter: Str,
    /// The `server` port.
    pub port: u16,
    /// The version that users see, such as `1.21.5`.
    pub version: &'static str,
}

/// A member that is there, as the catalog shall show it.
struct Present {
    id: Str,
    name: Str,
    address: String,
    version: String,
    service: Option<NodeService>,
}

/// A command, and what the log says of it.
pub(super) type Change = (Option<Event>, Command);

impl ServerRecord {
    /// The commands that make the catalog show this server; none if it already does.
    pub fn reconcile(&self, store: &Store) -> Vec<Command> {
        let service = service(self.port, self.version, 3, &VSN, &BTreeMap::new());
        let present = Present {
            id: self.id.clone(),
            name: self.name.clone(),
            address: self.address.clone(),
            version: self.version.into(),
            service: Some(service),
        };
        self.alive(store, present)
    }

    /// The same for any member, whatever its status.
    pub(super) fn member(&self, store: &Store, member: &Member) -> Vec<Change> {
        match member.status {
            Status::Alive => {
                let Some(present) = present(member) else { return Vec::new() };
                let taken = self.give_up_name(store, member, &present.id);
                let commands = self.alive(store, present);
                let taken = taken.filter(|_| !commands.is_empty());
                let joined = event("member joined, marking health alive", &member.name);
                let lines = core::iter::once(Some(joined)).chain(core::iter::repeat(None));
                taken.into_iter().chain(lines.zip(commands)).collect()
            }
            Status::Failed => {
                let Some(command) = self.failed(store, member) else { return Vec::new() };
                Vec::from([(Some(event("member failed, marking health critical", &member.name)), command)])
            }
            Status::Left => self.gone(store, &member.name, "left").into_iter().collect(),
            Status::None | Status::Leaving => Vec::new(),
        }
    }

    /// A name is one member's in gossip: a node that has it in the catalog under another ID is gone, and the
    /// catalog gives a name to another ID only once its node has failed.
    fn give_up_name(&self, store: &Store, member: &Member, id: &str) -> Option<Change> {
        let old = store
            .node(&member.name)
            .filter(|node| !node.id.is_empty() && !node.id.eq_ignore_ascii_case(id))?;
        let text = "a node has come back under another ID and takes its place";
        let event = event(text, &member.name).with("old_id", &*old.id).with("id", id);
        Some((Some(event), self.failed(store, member)?))
    }

    /// A node that gossip put into the catalog and does not know any more.
    pub(super) fn gone(&self, store: &Store, name: &str, reason: &'static str) -> Option<Change> {
        // This server leads: whoever leads next takes it out.
        if name.eq_ignore_ascii_case(&self.name) {
            return None;
        }
        let node = store.node(name)?;
        let command = Command::Deregister(Deregister {
            datacenter: self.datacenter.to_string(),
            node: node.node.to_string(),
            ..Deregister::default()
        });
        Some((Some(event("deregistering member", name).with("reason", reason)), command))
    }

    /// Nodes with a `serfHealth` whose names are none of `known`, lower case.
    pub(super) fn forgotten<'a>(
        &'a self,
        store: &'a Store,
        known: &'a BTreeMap<String, &Member>,
    ) -> impl Iterator<Item = Change> + 'a {
        let from_gossip = |name: &str| store.check(name, SERF_HEALTH).is_some();
        let nodes = store.nodes().map(|node| &node.node);
        nodes
            .filter(move |name| !known.contains_key(&name.to_lowercase()) && from_gossip(name))
            .filter_map(|name| self.gone(store, name, "reaped"))
    }

    /// The agent of the same node owns the node's record: what it writes after this looked, and before the commands are
    /// applied, stays. So a node that exists by then is left alone, and an address that is known to be old is changed
    /// only in the very record that was seen.
    fn alive(&self, store: &Store, Present { id, name, address, version, service }: Present) -> Vec<Command> {
        let mut commands = Vec::new();
        let node = store.node(&name);
        let same_id = node.is_some_and(|node| *node.id == *id);
        if let Some(node) = node.filter(|node| same_id && *node.address != *address) {
            let moved = Node { address: Str::from(&*address), ..Node::clone(node) };
            let ops = Vec::from([TxnOp::Node(CatalogVerb::Cas, Box::new(moved))]);
            commands.push(Command::Txn(Txn { ops }));
        }
        let service_ok = service.as_ref().is_none_or(|service| {
            let known = store.service(&name, "consul");
            known.is_some_and(|known| known.port == service.port && known.meta == service.meta)
        });
        let check = store.check(&name, SERF_HEALTH);
        let check_ok = check.is_some_and(|c| &*c.status == status::PASSING && &*c.output == SERF_ALIVE);
        if same_id && service_ok && check_ok {
            return commands;
        }
        let mut register = Register {
            datacenter: self.datacenter.to_string(),
            id: id.to_string(),
            node: name.to_string(),
            address,
            node_meta: BTreeMap::from([(Str::from("consul-version"), Str::from(version))]),
            skip_node_update: node.is_none() || same_id,
            service,
            check: Some(check_of(&name, status::PASSING, SERF_ALIVE)),
            ..Register::default()
        };
        if let Some(node) = node {
            let pairs =
                |pairs: &crate::types::Pairs| pairs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            register.tagged_addresses = pairs(&node.tagged_addresses);
            register.node_meta = pairs(&node.meta);
        }
        commands.push(Command::Register(Box::new(register)));
        commands
    }

    fn failed(&self, store: &Store, member: &Member) -> Option<Command> {
        store.node(&member.name)?;
        let check = store.check(&member.name, SERF_HEALTH);
        if check.is_some_and(|check| &*check.status == status::CRITICAL) {
            return None;
        }
        Some(Command::Register(Box::new(Register {
            datacenter: self.datacenter.to_string(),
            id: member.tag("id").to_string(),
            node: member.name.to_string(),
            address: member.addr.ip().to_string(),
            skip_node_update: true,
            check: Some(check_of(&member.name, status::CRITICAL, SERF_FAILED)),
            ..Register::default()
        })))
    }
}

fn event(text: &str, member: &str) -> Event {
    Event::new(Level::Info, LOG, text).with("member", member).with("partition", "default")
}

/// `None`: neither a client nor a server that can be understood.
fn present(member: &Member) -> Option<Present> {
    let service = match member.tag("role") {
        "node" => None,
        _ => {
            let server = Server::from_member(member)?;
            let Build(x, y, z) = server.build;
            let version = format!("{x}.{y}.{z}");
            Some(service(server.addr.port(), &version, server.raft_version, &member.vsn, &member.tags))
        }
    };
    let version =
        Build::find(member.tag("build")).map_or_else(String::new, |Build(x, y, z)| format!("{x}.{y}.{z}"));
    Some(Present {
        id: member.tag("id").into(),
        name: member.name.clone(),
        address: member.addr.ip().to_string(),
        version,
        service,
    })
}

fn service(port: u16, version: &str, raft: i64, vsn: &Vsn, tags: &BTreeMap<Str, Str>) -> NodeService {
    let flag = |tag: &str| tags.get(tag).is_some_and(|value| &**value == "1").to_string();
    let mut meta = BTreeMap::from([
        ("non_voter", flag("nonvoter")),
        ("raft_version", raft.to_string()),
        ("read_replica", flag("read_replica")),
        ("serf_protocol_current", vsn[2].to_string()),
        ("serf_protocol_max", vsn[1].to_string()),
        ("serf_protocol_min", vsn[0].to_string()),
        ("version", version.into()),
    ]);
    for port in ["grpc_port", "grpc_tls_port"] {
        if let Some(value) = tags.get(port) {
            meta.insert(port, value.to_string());
        }
    }
    NodeService {
        id: Str::from("consul"),
        service: Str::from("consul"),
        port: i64::from(port),
        meta: meta.into_iter().map(|(k, v)| (Str::from(k), Str::from(v))).collect(),
        ..NodeService::default()
    }
}

fn check_of(node: &Str, status: &str, output: &str) -> HealthCheck {
    HealthCheck {
        node: node.clone(),
        check_id: Str::from(SERF_HEALTH),
        name: Str::from(SERF_NAME),
        status: Str::from(status),
        output: Str::from(output),
        ..HealthCheck::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Applied;

    /// The leader looks before the agent has registered its node, and its command is applied after: the
    /// addresses that the agent gave must not be wiped.
    #[test]
    fn a_command_made_before_the_agent_registered_leaves_the_agents_record_alone() {
        let record = ServerRecord {
            id: Str::from("adf4238a-882b-9ddc-4a9d-5b6758e4159e"),
            name: Str::from("n1"),
            address: String::from("127.0.0.1"),
            datacenter: Str::from("dc1"),
            port: 8300,
            version: "1.21.5",
        };
        let mut store = Store::default();
        let late = record.reconcile(&store);
        let agent = Register {
            datacenter: String::from("dc1"),
            id: record.id.to_string(),
            node: String::from("n1"),
            address: String::from("127.0.0.1"),
            tagged_addresses: BTreeMap::from([(Str::from("lan"), Str::from("127.0.0.1"))]),
            ..Register::default()
        };
        let mut changes = crate::watch::ChangeSet::default();
        store.apply(1, &Command::Register(Box::new(agent)), &mut changes);
        assert_eq!(late.len(), 1, "nothing was registered yet");
        store.apply(2, &late[0], &mut changes);
        let node: &Node = store.node("n1").expect("it is registered");
        assert_eq!(node.tagged_addresses.len(), 1);
        assert!(record.reconcile(&store).is_empty(), "service and check are there");
    }

    /// A member has moved; the leader looks, the agent writes its new addresses, and then the leader's commands are
    /// applied.
    #[test]
    fn a_command_made_before_the_agent_told_that_it_moved_does_not_bring_the_old_addresses_back() {
        let mut store = Store::default();
        let id = "11111111-882b-9ddc-4a9d-5b6758e4159e";
        let agent = |at: &str| Register {
            id: id.to_string(),
            node: "c1".into(),
            address: at.to_string(),
            tagged_addresses: BTreeMap::from([(Str::from("lan"), Str::from(at))]),
            ..Register::default()
        };
        let write = |at: &str| Vec::from([(None, Command::Register(Box::new(agent(at))))]);
        play(&mut store, write("127.0.0.8"));
        let moved = member("c1", id, "consul", Status::Alive);
        let late = record().member(&store, &moved);
        let alone = &mut store.clone();
        play(&mut store, write("127.0.0.9"));
        play(&mut store, late.clone());
        let node = store.node("c1").expect("it is registered");
        assert_eq!(node.tagged_addresses.get("lan").map(|at| &**at), Some("127.0.0.9"));
        assert!(store.service("c1", "consul").is_some(), "the rest is written");
        assert_eq!(meet(&mut store, &moved), 0);

        play(alone, late);
        assert_eq!(&*alone.node("c1").expect("it is registered").address, "127.0.0.9");
    }

    fn record() -> ServerRecord {
        ServerRecord {
            id: Str::from("adf4238a-882b-9ddc-4a9d-5b6758e4159e"),
            name: Str::from("n1"),
            address: String::from("127.0.0.1"),
            datacenter: Str::from("dc1"),
            port: 8300,
            version: "1.21.5",
        }
    }

    fn member(name: &str, id: &str, role: &str, status: Status) -> Member {
        let tags = [("role", role), ("id", id), ("dc", "dc1"), ("build", "1.21.5:x"), ("port", "8300")];
        let more = [("vsn", "2"), ("raft_vsn", "3")];
        Member {
            name: name.into(),
            addr: core::net::SocketAddr::from(([127, 0, 0, 9], 8301)),
            tags: tags.into_iter().chain(more).map(|(k, v)| (Str::from(k), Str::from(v))).collect(),
            status,
            vsn: VSN,
        }
    }

    fn meet(store: &mut Store, member: &Member) -> usize {
        let changes = record().member(store, member);
        play(store, changes)
    }

    fn play(store: &mut Store, changes: Vec<Change>) -> usize {
        let count = changes.len();
        for (_, command) in changes {
            let index = store.applied() + 1;
            let applied = store.apply(index, &command, &mut crate::watch::ChangeSet::default());
            assert!(matches!(applied, Applied::Ok | Applied::Txn(_)), "{applied:?}");
        }
        count
    }

    #[test]
    fn a_member_comes_fails_comes_again_and_leaves_and_each_is_written_once() {
        let mut store = Store::default();
        for (status, health) in
            [(Status::Alive, "passing"), (Status::Failed, "critical"), (Status::Alive, "passing")]
        {
            let member = member("c1", "11111111-882b-9ddc-4a9d-5b6758e4159e", "node", status);
            assert_eq!(meet(&mut store, &member), 1);
            assert_eq!(&*store.check("c1", SERF_HEALTH).expect("it is there").status, health);
            assert_eq!(meet(&mut store, &member), 0);
        }
        let left = member("c1", "11111111-882b-9ddc-4a9d-5b6758e4159e", "node", Status::Left);
        assert_eq!(meet(&mut store, &left), 1);
        assert!(store.node("c1").is_none());
        let failed = member("c1", "11111111-882b-9ddc-4a9d-5b6758e4159e", "node", Status::Failed);
        assert_eq!(meet(&mut store, &failed), 0, "it is unknown");
    }

    #[test]
    fn a_server_has_the_consul_service_with_what_its_tags_say() {
        let mut store = Store::default();
        let server = member("n2", "11111111-882b-9ddc-4a9d-5b6758e4159e", "consul", Status::Alive);
        meet(&mut store, &server);
        let service = store.service("n2", "consul").expect("it is there");
        assert_eq!((service.port, &**service.meta.get("version").expect("a version")), (8300, "1.21.5"));
        assert_eq!(&**service.meta.get("serf_protocol_max").expect("a number"), "5");
    }

    #[test]
    fn a_node_that_comes_back_under_another_id_takes_its_name_back() {
        let mut store = Store::default();
        let old = member("c1", "11111111-882b-9ddc-4a9d-5b6758e4159e", "node", Status::Alive);
        meet(&mut store, &old);
        let new = member("c1", "22222222-882b-9ddc-4a9d-5b6758e4159e", "node", Status::Alive);
        meet(&mut store, &new);
        assert_eq!(&*store.node("c1").expect("it is there").id, "22222222-882b-9ddc-4a9d-5b6758e4159e");
        assert_eq!(&*store.check("c1", SERF_HEALTH).expect("it is there").status, "passing");
    }

    #[test]
    fn nodes_that_gossip_made_and_forgot_go_and_the_leader_itself_stays() {
        let (record, mut store) = (record(), Store::default());
        for name in ["c1", "n1"] {
            let member = member(name, "", "node", Status::Alive);
            meet(&mut store, &member);
        }
        let own = Register { node: "by-hand".into(), address: "::1".into(), ..Register::default() };
        play(&mut store, Vec::from([(None, Command::Register(Box::new(own)))]));
        let gone: Vec<Change> = record.forgotten(&store.clone(), &BTreeMap::new()).collect();
        play(&mut store, gone);
        let names: Vec<&str> = store.nodes().map(|node| &*node.node).collect();
        assert_eq!(names, ["by-hand", "n1"]);
    }
}
