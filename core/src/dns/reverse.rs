//! Names for addresses: PTR.

use super::address::Address;
use super::names::NameId;
use super::qname::QName;
use super::record::{Data, Record};
use super::remote::Part;
use super::responder::Responder;
use core::net::IpAddr;

impl<'a> Responder<'a, '_> {
    /// The first node with this address, else the first service, as `owner`'s PTR record.
    pub(super) fn reverse(&mut self, owner: NameId, ip: IpAddr) -> Option<Record<'a>> {
        self.need(|| Part::Nodes);
        self.need(|| Part::Address(ip));
        let store = self.store;
        let is_it = |text: &str| Address::of(text) == Some(Address::Ip(ip));
        let domain = self.names.domain(&self.config.domain);
        let name = if let Some(node) = store.nodes().find(|node| is_it(&node.address)) {
            self.node_name(node, domain)?
        } else {
            let (_, service) = store.instances().find(|(_, service)| is_it(&service.address))?;
            let datacenter = self.names.child(domain, self.datacenter.as_bytes())?;
            let base = self.names.child(datacenter, b"service")?;
            self.names.dotted(base, &service.service)?
        };
        Some(Record { owner, ttl: 0, data: Data::Ptr(name) })
    }
}

/// The address a name below `in-addr.arpa` or `ip6.arpa` stands for.
pub(super) fn address(name: &QName) -> Option<IpAddr> {
    if name.ends_with("in-addr.arpa").is_some() && name.count() == 6 {
        let mut octets = [0; 4];
        for (i, octet) in octets.iter_mut().enumerate() {
            let label = name.text(3 - i, 4 - i)?;
            *octet = label.as_str().parse().ok()?;
        }
        return Some(IpAddr::from(octets));
    }
    if name.ends_with("ip6.arpa").is_some() && name.count() == 34 {
        let mut bits = 0;
        for i in (0..32).rev() {
            let [digit] = name.label(i) else { return None };
            bits = bits << 4 | u128::from((*digit as char).to_digit(16)?);
        }
        return Some(IpAddr::from(bits.to_be_bytes()).to_canonical());
    }
    None
}
