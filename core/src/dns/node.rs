//! Nodes: their addresses, their metadata, and those of them that serve the domain.

use super::address::{Address, Family, choose};
use super::cache::Lasting;
use super::qname::QName;
use super::query::qtype;
use super::record::{Data, Record, Sections};
use super::remote::Part;
use super::responder::{Ask, Miss, Responder};
use super::ttl;
use crate::Str;
use crate::store::Store;
use crate::types::Node;

/// The service every server registers itself under.
const SERVER_SERVICE: &str = "consul";
/// So many name servers are named.
const MAX_SERVERS: usize = 3;

impl<'a> Responder<'a, '_> {
    /// `<node>.node`.
    pub(super) fn node(&mut self, ask: &Ask<'_>, name: &str, out: &mut Sections<'a>) -> Result<(), Miss> {
        self.need(|| Part::Node(Str::from(name.to_lowercase())));
        let store = self.store;
        let node = of_name_or_id(store, name).ok_or(Miss::Name)?;
        let ttl = ttl::of_node(&self.config.dns);
        let want = match ask.kind {
            qtype::A => Some(Family::V4),
            qtype::AAAA => Some(Family::V6),
            qtype::ANY => Some(Family::Any),
            _ => None,
        };
        match want.and_then(|want| Address::of(node_address(node, want))) {
            Some(Address::Ip(ip)) => out.answer.push(Record { owner: ask.id, ttl, data: Data::Ip(ip) }),
            Some(Address::Host(host)) => {
                out.answer.append(&mut self.cname(ask, host, ttl, true).unwrap_or_default())
            }
            None => {}
        }
        if matches!(ask.kind, qtype::ANY | qtype::TXT) {
            self.meta(ask.id, ttl, node, &mut out.answer);
        } else if self.config.dns.enable_additional_node_meta_txt {
            self.meta(ask.id, ttl, node, &mut out.additional);
        }
        Ok(())
    }

    /// Up to three servers as NS records in the first list, their addresses in the second.
    pub(super) fn name_servers(&mut self, ask: &Ask<'_>) -> Sections<'a> {
        let domain = ask.domain;
        // The servers' own names are in lower case, whatever the client wrote.
        let lowered = ask.name.lowered(ask.name.count());
        let base = self.names.qname(&lowered, ask.end);
        let Some(base) = self.node_base(base) else { return Sections::default() };
        let ttl = ttl::of_node(&self.config.dns);
        let mut found = Sections::default();
        self.need(|| Part::Service(Str::from(SERVER_SERVICE)));
        let mut servers = self.instances(SERVER_SERVICE, None);
        self.rng.shuffle(&mut servers);
        self.drawn(servers.len() > MAX_SERVERS);
        for entry in servers {
            let node = &entry.node;
            if found.answer.len() == MAX_SERVERS {
                break;
            }
            // A name with other characters is none that a resolver would ask for.
            let resolvable = node.node.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !resolvable || self.health(entry).is_none() {
                continue;
            }
            let Some(name) = self.names.child(base, node.node.to_ascii_lowercase().as_bytes()) else {
                continue;
            };
            found.answer.push(Record { owner: domain, ttl, data: Data::Ns(name) });
            let data = match Address::of(node_address(node, Family::Any)) {
                Some(Address::Ip(ip)) => Some(Data::Ip(ip)),
                Some(Address::Host(host)) => self.host(host).map(Data::Cname),
                None => None,
            };
            found.additional.extend(data.map(|data| Record { owner: name, ttl, data }));
        }
        found
    }

    /// The SOA record of the domain that a name lies below. The alternative domain itself, and names in
    /// neither, are answered with that of the main one.
    pub(super) fn soa(&mut self, below: Option<&QName>) -> Record<'a> {
        // Its serial is the time.
        self.lasting = Lasting::Once;
        let config = self.config;
        let in_alt = |name: &QName| name.ends_with(&config.alt_domain).is_some_and(|n| n < name.count());
        let domain = if below.is_some_and(in_alt) { &config.alt_domain } else { &config.domain };
        let domain = self.names.domain(domain);
        let [refresh, retry, expire, min_ttl] = self.config.dns.soa;
        let serial = self.now.wall.seconds() as u32;
        let server = self.names.child(domain, b"ns").unwrap_or(domain);
        let keeper = self.names.child(domain, b"hostmaster").unwrap_or(domain);
        let numbers = [serial, refresh, retry, expire, min_ttl];
        Record { owner: domain, ttl: min_ttl, data: Data::Soa { server, keeper, numbers } }
    }
}

/// The node of this name, else the one whose ID begins so. Of an odd number of characters Consul leaves the last out,
/// and what remains must be whole bytes.
fn of_name_or_id<'a>(store: &'a Store, name: &str) -> Option<&'a Node> {
    let by_id = || {
        let start = name.get(..name.len() & !1)?;
        let digits = start.bytes().filter(u8::is_ascii_hexdigit).count();
        (digits % 2 == 0).then(|| store.node_by_id_prefix(start))?
    };
    store.node(name).or_else(by_id).map(|node| &**node)
}

/// The address to give for a node; empty if it has none of the wanted family.
pub(super) fn node_address(node: &Node, want: Family) -> &str {
    let tagged = |tag: &str| node.tagged_addresses.get(tag).map(|address| &**address);
    choose(&node.address, tagged("lan_ipv4"), tagged("lan_ipv6"), want)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Register};
    use crate::watch::ChangeSet;
    use alloc::boxed::Box;
    use alloc::string::String;

    #[test]
    fn a_node_is_found_by_its_name_or_by_so_much_of_its_id_that_it_is_the_only_one() {
        let mut store = Store::default();
        let nodes = [
            ("n1", "4c2a0000-1111-2222-3333-444444444444"),
            ("n2", "4c2b0000-1111-2222-3333-444444444444"),
            // Named as the other one's ID begins.
            ("4c2a", "ffff0000-1111-2222-3333-444444444444"),
        ];
        for (index, (node, id)) in (1..).zip(nodes) {
            let (node, id, address) = (String::from(node), String::from(id), String::from("10.0.0.1"));
            let register = Register { node, id, address, ..Register::default() };
            store.apply(index, &Command::Register(Box::new(register)), &mut ChangeSet::default());
        }
        let found = |name: &str| of_name_or_id(&store, name).map(|node| String::from(&*node.node));
        for (name, node) in [
            ("n1", Some("n1")),
            ("4c2a0000-1111-2222-3333-444444444444", Some("n1")),
            ("4C2B0000-1111-2222-3333-444444444444", Some("n2")),
            ("4c2b00", Some("n2")),
            // The fifth digit does not count: it is half a byte.
            ("4c2bf", Some("n2")),
            ("4c2a", Some("4c2a")),
            ("4c2a00", Some("n1")),
            // Two begin so.
            ("4c", None),
            ("4c2", None),
            ("4", None),
            ("", None),
            // Half a byte before the hyphen is left.
            ("4c2b000-", None),
            ("4c2b0000-1111-2222-3333-444444444445", None),
            ("n3", None),
        ] {
            assert_eq!(found(name).as_deref(), node, "{name:?}");
        }
    }
}
