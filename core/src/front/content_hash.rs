//! The hash that `GET /v1/agent/service/:id` shows, and that `?hash=` waits to see change.
//!
//! The same number as Consul's, so that a client may keep what it has seen when its agent is replaced. Consul takes
//! it of its answer, with the Go package `hashstructure`: numbers and strings are FNV-1 (64 bits) of their bytes, little
//! endian; a list is folded in order; the fields of a structure and the entries of a map are each the fold of name and
//! value, XORed, with the structure's name besides. Namespace, partition, datacenter and locality do not count.

use crate::types::{NodeService, Pairs, ServiceAddress};

/// Of a service of this agent.
pub(super) fn of(service: &NodeService) -> u64 {
    let weights = structure(
        "AgentWeights",
        &[("Passing", number(service.weights.passing)), ("Warning", number(service.weights.warning))],
    );
    structure(
        "AgentService",
        &[
            ("Kind", text(&service.kind)),
            ("ID", text(&service.id)),
            ("Service", text(&service.service)),
            ("Tags", service.tags.iter().fold(0, |hash, tag| fold(hash, text(tag)))),
            ("Meta", map(&service.meta, |value| text(value))),
            ("Port", number(service.port)),
            ("Address", text(&service.address)),
            ("SocketPath", text(&service.socket_path)),
            ("TaggedAddresses", map(&service.tagged_addresses, address)),
            ("Weights", weights),
            ("EnableTagOverride", fnv(&[u8::from(service.enable_tag_override)])),
            ("CreateIndex", number(0)),
            ("ModifyIndex", number(0)),
            ("ContentHash", text("")),
            // Pointers to nothing count as a number.
            ("Proxy", number(0)),
            ("Connect", number(0)),
            ("PeerName", text(&service.peer_name)),
        ],
    )
}

fn address(of: &ServiceAddress) -> u64 {
    structure("ServiceAddress", &[("Address", text(&of.address)), ("Port", number(of.port))])
}

fn structure(name: &str, fields: &[(&str, u64)]) -> u64 {
    fields.iter().fold(text(name), |hash, (field, value)| hash ^ fold(text(field), *value))
}

fn map<V>(pairs: &Pairs<V>, value: impl Fn(&V) -> u64) -> u64 {
    pairs.iter().fold(0, |hash, (k, v)| hash ^ fold(text(k), value(v)))
}

fn text(of: &str) -> u64 {
    fnv(of.as_bytes())
}

fn number(of: i64) -> u64 {
    fnv(&of.to_le_bytes())
}

fn fold(a: u64, b: u64) -> u64 {
    let [a, b] = [a.to_le_bytes(), b.to_le_bytes()];
    fnv(&[a, b].concat())
}

/// FNV-1, not the later FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Str;
    use crate::types::Weights;

    fn service(id: &str, name: &str) -> NodeService {
        NodeService { id: id.into(), service: name.into(), ..NodeService::default() }
    }

    /// Registered at a Consul 1.21, which answered these.
    #[test]
    fn hashes_are_those_of_consul() {
        assert_eq!(of(&service("a", "a")), 0x8c74_4a92_4352_da48);
        let foo = NodeService {
            tags: [Str::from("bar"), Str::from("baz")].into_iter().collect(),
            port: 8000,
            ..service("foo", "foo")
        };
        assert_eq!(of(&foo), 0x3e35_2f34_8d44_f7eb);
        let socket = NodeService {
            tags: [Str::from("x")].into_iter().collect(),
            socket_path: "/tmp/s".into(),
            ..service("c", "c")
        };
        assert_eq!(of(&socket), 0x8c9c_5063_4b80_2b96);
        let at = |address: &str, port| ServiceAddress { address: address.into(), port };
        let tagged = [
            ("lan", at("1.2.3.4", 5)),
            ("lan_ipv4", at("10.0.0.1", 80)),
            ("wan", at("::1", 0)),
            ("wan_ipv4", at("10.0.0.1", 80)),
        ];
        let full = NodeService {
            meta: [("x", "1"), ("y", "zwei")]
                .map(|(k, v)| (Str::from(k), Str::from(v)))
                .into_iter()
                .collect(),
            address: "10.0.0.1".into(),
            port: 80,
            tagged_addresses: tagged.map(|(k, v)| (Str::from(k), v)).into_iter().collect(),
            weights: Weights { passing: 7, warning: 3 },
            enable_tag_override: true,
            ..service("b1", "b")
        };
        assert_eq!(of(&full), 0x9e19_4786_3f1e_d875);
    }
}
