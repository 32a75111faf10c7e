//! Which selectors there are, per kind of record, and what may be done with each.
//!
//! Names and types are those of Consul's Go structures; what it hides from filters (indexes, check
//! definitions, locality, opaque settings) is not here.

use super::syntax::Op;

/// The type of a selectable value.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Bool,
    /// Width in bits, and whether it has a sign.
    Int(u32, bool),
    TextList,
    /// A list of bytes: an IP address.
    Bytes,
    /// From any name to a value.
    Map(&'static Kind),
    /// A selector goes on into the elements, any of which may match.
    List(&'static [Field]),
    Struct(&'static [Field]),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

impl Kind {
    /// What one more part of a selector leads to.
    pub(super) fn part(&self, name: &[u8]) -> Option<&'static Kind> {
        match *self {
            Kind::Struct(fields) | Kind::List(fields) => {
                fields.iter().find(|f| f.name.as_bytes() == name).map(|f| &f.kind)
            }
            Kind::Map(inner) => Some(inner),
            Kind::Text | Kind::Bool | Kind::Int(..) | Kind::TextList | Kind::Bytes => None,
        }
    }

    pub(super) fn allows(&self, op: Op) -> bool {
        use Op::{Equal, In, IsEmpty, IsNotEmpty, Matches, NotEqual, NotIn, NotMatches};
        match self {
            Kind::Text => matches!(op, Equal | NotEqual | In | NotIn | Matches | NotMatches),
            Kind::Bool | Kind::Int(..) => matches!(op, Equal | NotEqual),
            Kind::TextList | Kind::Bytes | Kind::Map(_) => matches!(op, In | NotIn | IsEmpty | IsNotEmpty),
            Kind::List(_) => matches!(op, IsEmpty | IsNotEmpty),
            Kind::Struct(_) => false,
        }
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}

const fn flag(name: &'static str) -> Field {
    field(name, Kind::Bool)
}

const fn int(name: &'static str) -> Field {
    field(name, Kind::Int(64, true))
}

const TEXT_MAP: Kind = Kind::Map(&Kind::Text);
const ADDRESSES: Kind = Kind::Map(&Kind::Struct(&[text("Address"), int("Port")]));
const WEIGHTS: Kind = Kind::Struct(&[int("Passing"), int("Warning")]);
const CONNECT: Kind = Kind::Struct(&[flag("Native")]);
const MESH_GATEWAY: Kind = Kind::Struct(&[text("Mode")]);

const PROXY: Kind = Kind::Struct(&[
    text("DestinationServiceName"),
    text("DestinationServiceID"),
    text("LocalServiceAddress"),
    int("LocalServicePort"),
    text("LocalServiceSocketPath"),
    text("Mode"),
    field("EnvoyExtensions", Kind::List(ENVOY_EXTENSION)),
    field("Upstreams", Kind::List(UPSTREAM)),
    field("MeshGateway", MESH_GATEWAY),
    field("Expose", Kind::Struct(&[flag("Checks"), field("Paths", Kind::List(EXPOSED_PATH))])),
    field("TransparentProxy", Kind::Struct(&[int("OutboundListenerPort"), flag("DialedDirectly")])),
    field("AccessLogs", Kind::Struct(ACCESS_LOGS)),
]);

const ENVOY_EXTENSION: &[Field] =
    &[text("Name"), flag("Required"), text("ConsulVersion"), text("EnvoyVersion")];

const UPSTREAM: &[Field] = &[
    text("DestinationType"),
    text("DestinationNamespace"),
    text("DestinationPartition"),
    text("DestinationPeer"),
    text("DestinationName"),
    text("Datacenter"),
    text("LocalBindAddress"),
    int("LocalBindPort"),
    text("LocalBindSocketPath"),
    text("LocalBindSocketMode"),
    field("MeshGateway", MESH_GATEWAY),
];

const EXPOSED_PATH: &[Field] =
    &[int("ListenerPort"), text("Path"), int("LocalPathPort"), text("Protocol"), flag("ParsedFromCheck")];

const ACCESS_LOGS: &[Field] = &[
    flag("Enabled"),
    flag("DisableListenerLogs"),
    text("Type"),
    text("Path"),
    text("JSONFormat"),
    text("TextFormat"),
];

const NODE_FIELDS: &[Field] = &[
    text("ID"),
    text("Node"),
    text("Address"),
    text("Datacenter"),
    text("Partition"),
    text("PeerName"),
    field("TaggedAddresses", TEXT_MAP),
    field("Meta", TEXT_MAP),
];

const CHECK_FIELDS: &[Field] = &[
    text("Node"),
    text("CheckID"),
    text("Name"),
    text("Status"),
    text("Notes"),
    text("Output"),
    text("ServiceID"),
    text("ServiceName"),
    field("ServiceTags", Kind::TextList),
    text("Type"),
    text("Interval"),
    text("Timeout"),
    int("ExposedPort"),
    text("PeerName"),
];

const SERVICE_FIELDS: &[Field] = &[
    text("Kind"),
    text("ID"),
    text("Service"),
    field("Tags", Kind::TextList),
    text("Address"),
    field("TaggedAddresses", ADDRESSES),
    field("Meta", TEXT_MAP),
    int("Port"),
    text("SocketPath"),
    field("Weights", WEIGHTS),
    flag("EnableTagOverride"),
    field("Proxy", PROXY),
    field("Connect", CONNECT),
    text("PeerName"),
];

/// A node of the catalog.
pub(super) static NODE: Kind = Kind::Struct(NODE_FIELDS);
/// A health check.
pub(super) static CHECK: Kind = Kind::Struct(CHECK_FIELDS);
/// An instance on its own, in the catalog or at the agent.
pub(super) static SERVICE: Kind = Kind::Struct(SERVICE_FIELDS);
/// An entry of `/v1/health/service`.
pub(super) static ENTRY: Kind = Kind::Struct(&[
    field("Node", Kind::Struct(NODE_FIELDS)),
    field("Service", Kind::Struct(SERVICE_FIELDS)),
    field("Checks", Kind::List(CHECK_FIELDS)),
]);
/// An instance with its node's fields beside it: `/v1/catalog/service`.
pub(super) static SERVICE_NODE: Kind = Kind::Struct(&[
    text("ID"),
    text("Node"),
    text("Address"),
    text("Datacenter"),
    field("TaggedAddresses", TEXT_MAP),
    field("NodeMeta", TEXT_MAP),
    text("ServiceKind"),
    text("ServiceID"),
    text("ServiceName"),
    field("ServiceTags", Kind::TextList),
    text("ServiceAddress"),
    field("ServiceTaggedAddresses", ADDRESSES),
    field("ServiceWeights", WEIGHTS),
    field("ServiceMeta", TEXT_MAP),
    int("ServicePort"),
    text("ServiceSocketPath"),
    flag("ServiceEnableTagOverride"),
    field("ServiceProxy", PROXY),
    field("ServiceConnect", CONNECT),
    text("PeerName"),
]);
/// A member of the gossip pool.
pub(super) static MEMBER: Kind = Kind::Struct(&[
    text("Name"),
    field("Addr", Kind::Bytes),
    field("Port", Kind::Int(16, false)),
    field("Tags", TEXT_MAP),
    int("Status"),
    field("ProtocolMin", Kind::Int(8, false)),
    field("ProtocolMax", Kind::Int(8, false)),
    field("ProtocolCur", Kind::Int(8, false)),
    field("DelegateMin", Kind::Int(8, false)),
    field("DelegateMax", Kind::Int(8, false)),
    field("DelegateCur", Kind::Int(8, false)),
]);
