//! Records as a filter sees them: names lead to values, nothing is copied.

use super::schema::Kind;
use crate::Str;
use crate::types::{CheckServiceNode, HealthCheck, Node, NodeService, Pairs, ServiceAddress, Weights};
use crate::wire::tree::Tree;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A member of the gossip pool, as far as filters look at it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Node name; in the WAN pool with the datacenter behind it.
    pub name: String,
    /// The bytes of its IP address.
    pub addr: Vec<u8>,
    /// Gossip port.
    pub port: u16,
    /// What it says about itself.
    pub tags: BTreeMap<Str, Str>,
    /// 1 alive, 2 leaving, 3 left, 4 failed.
    pub status: i64,
    /// Minimum, maximum and current protocol version.
    pub protocol: [u8; 3],
    /// The same of the layer above.
    pub delegate: [u8; 3],
}

/// What a filter is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// For [`super::Subject::Node`].
    Node(&'a Node),
    /// For [`super::Subject::Check`].
    Check(&'a HealthCheck),
    /// For [`super::Subject::Service`].
    Service(&'a NodeService),
    /// For [`super::Subject::Entry`].
    Entry(&'a CheckServiceNode),
    /// For [`super::Subject::ServiceNode`].
    ServiceNode(&'a Node, &'a NodeService),
    /// For [`super::Subject::Member`].
    Member(&'a Member),
}

/// A value in a record, or a part of it that selectors lead through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Record(Record<'a>),
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Texts(&'a [Str]),
    Bytes(&'a [u8]),
    TextMap(&'a Pairs),
    Tags(&'a BTreeMap<Str, Str>),
    Addresses(&'a Pairs<ServiceAddress>),
    Address(&'a ServiceAddress),
    Weights(Weights),
    Checks(&'a [Arc<HealthCheck>]),
    /// Mesh settings, carried as they came; what is absent is `Nil` and counts as zero.
    Carried(&'a Tree, &'static Kind),
}

static NOTHING: Tree = Tree::Nil;

impl<'a> Item<'a> {
    /// The value under a name that the schema knows. `None`: a key that this map does not have.
    pub(super) fn part(self, name: &str) -> Option<Item<'a>> {
        match self {
            Item::Record(record) => Some(record.field(name)),
            Item::TextMap(map) => map.get(name).map(|v| Item::Text(v)),
            Item::Tags(map) => map.get(name).map(|v| Item::Text(v)),
            Item::Addresses(map) => map.get(name).map(Item::Address),
            Item::Address(to) => Some(match name {
                "Address" => Item::Text(&to.address),
                _ => Item::Int(to.port),
            }),
            Item::Weights(weights) => {
                Some(Item::Int(if name == "Passing" { weights.passing } else { weights.warning }))
            }
            Item::Carried(tree, kind) => {
                let kind = kind.part(name.as_bytes())?;
                Some(Item::Carried(tree.get(name).unwrap_or(&NOTHING), kind))
            }
            // The schema has no parts for these.
            Item::Text(_)
            | Item::Bool(_)
            | Item::Int(_)
            | Item::Texts(_)
            | Item::Bytes(_)
            | Item::Checks(_) => None,
        }
    }
}

impl<'a> Record<'a> {
    fn field(self, name: &str) -> Item<'a> {
        match self {
            Record::Node(node) => of_node(node, name),
            Record::Check(check) => of_check(check, name),
            Record::Service(service) => of_service(service, name),
            Record::Entry(entry) => match name {
                "Node" => Item::Record(Record::Node(&entry.node)),
                "Service" => Item::Record(Record::Service(&entry.service)),
                _ => Item::Checks(&entry.checks),
            },
            Record::ServiceNode(node, service) => match name {
                "NodeMeta" => Item::TextMap(&node.meta),
                "ServiceName" => Item::Text(&service.service),
                "PeerName" => Item::Text(&service.peer_name),
                name => match name.strip_prefix("Service") {
                    Some(of_service_only) => of_service(service, of_service_only),
                    None => of_node(node, name),
                },
            },
            Record::Member(member) => of_member(member, name),
        }
    }
}

fn of_node<'a>(node: &'a Node, name: &str) -> Item<'a> {
    match name {
        "ID" => Item::Text(&node.id),
        "Node" => Item::Text(&node.node),
        "Address" => Item::Text(&node.address),
        "Datacenter" => Item::Text(&node.datacenter),
        "PeerName" => Item::Text(&node.peer_name),
        "TaggedAddresses" => Item::TextMap(&node.tagged_addresses),
        "Meta" => Item::TextMap(&node.meta),
        // `Partition`: there is none in the community edition.
        _ => Item::Text(""),
    }
}

fn of_check<'a>(check: &'a HealthCheck, name: &str) -> Item<'a> {
    Item::Text(match name {
        "Node" => &check.node,
        "CheckID" => &check.check_id,
        "Name" => &check.name,
        "Status" => &check.status,
        "Notes" => &check.notes,
        "Output" => &check.output,
        "ServiceID" => &check.service_id,
        "ServiceName" => &check.service_name,
        "ServiceTags" => return Item::Texts(&check.service_tags),
        "Type" => &check.kind,
        "Interval" => &check.interval,
        "Timeout" => &check.timeout,
        "ExposedPort" => return Item::Int(check.exposed_port),
        _ => &check.peer_name,
    })
}

fn of_service<'a>(service: &'a NodeService, name: &str) -> Item<'a> {
    let carried = |tree: &'a Option<Arc<Tree>>| {
        let kind = super::schema::SERVICE.part(name.as_bytes()).unwrap_or(&Kind::Struct(&[]));
        Item::Carried(tree.as_deref().unwrap_or(&NOTHING), kind)
    };
    match name {
        "Kind" => Item::Text(&service.kind),
        "ID" => Item::Text(&service.id),
        "Service" => Item::Text(&service.service),
        "Tags" => Item::Texts(&service.tags),
        "Address" => Item::Text(&service.address),
        "TaggedAddresses" => Item::Addresses(&service.tagged_addresses),
        "Meta" => Item::TextMap(&service.meta),
        "Port" => Item::Int(service.port),
        "SocketPath" => Item::Text(&service.socket_path),
        "Weights" => Item::Weights(service.weights),
        "EnableTagOverride" => Item::Bool(service.enable_tag_override),
        "Proxy" => carried(&service.proxy),
        "Connect" => carried(&service.connect),
        _ => Item::Text(&service.peer_name),
    }
}

fn of_member<'a>(member: &'a Member, name: &str) -> Item<'a> {
    let [min, max, current] = member.protocol;
    let [delegate_min, delegate_max, delegate_current] = member.delegate;
    let number = match name {
        "Name" => return Item::Text(&member.name),
        "Addr" => return Item::Bytes(&member.addr),
        "Tags" => return Item::Tags(&member.tags),
        "Status" => return Item::Int(member.status),
        "Port" => return Item::Int(member.port.into()),
        "ProtocolMin" => min,
        "ProtocolMax" => max,
        "ProtocolCur" => current,
        "DelegateMin" => delegate_min,
        "DelegateMax" => delegate_max,
        _ => delegate_current,
    };
    Item::Int(number.into())
}
