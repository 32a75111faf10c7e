//! EDNS (RFC 6891): what the client's OPT record asks for, and the one we answer with.

use super::wire::Reader;
use alloc::vec::Vec;

/// Option code of the client subnet (RFC 7871).
const CLIENT_SUBNET: u16 = 8;

/// A client's OPT record, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edns {
    /// The largest datagram the client takes, as it said.
    pub(super) udp_size: u16,
    /// The subnet the client asks for, if any.
    pub(super) subnet: Option<Subnet>,
}

/// A client subnet, address cut and masked to its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    family: u16,
    prefix: u8,
    address: [u8; 16],
}

impl Edns {
    /// Reads the options of an OPT record whose class was `udp_size`. `None` if they are malformed.
    pub(super) fn read(udp_size: u16, options: &[u8]) -> Option<Edns> {
        let mut edns = Edns { udp_size, subnet: None };
        let mut reader = Reader::new(options);
        while !reader.is_done() {
            let code = reader.u16()?;
            let len = reader.u16()?;
            let data = reader.take(usize::from(len))?;
            if code == CLIENT_SUBNET {
                let subnet = Subnet::read(data)?;
                edns.subnet = edns.subnet.or(Some(subnet));
            }
        }
        Some(edns)
    }

    /// Bytes that [`Edns::write`] writes.
    pub(super) fn len(&self) -> usize {
        11 + self.subnet.map_or(0, |s| 8 + s.bytes())
    }

    /// Appends our OPT record: the client's size echoed, its subnet with scope 0 because our
    /// answers hold for everyone.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0, 41]);
        out.extend_from_slice(&self.udp_size.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&((self.len() - 11) as u16).to_be_bytes());
        if let Some(subnet) = &self.subnet {
            out.extend_from_slice(&CLIENT_SUBNET.to_be_bytes());
            out.extend_from_slice(&((4 + subnet.bytes()) as u16).to_be_bytes());
            out.extend_from_slice(&subnet.family.to_be_bytes());
            out.extend_from_slice(&[subnet.prefix, 0]);
            out.extend_from_slice(&subnet.address[..subnet.bytes()]);
        }
    }
}

impl Subnet {
    fn read(data: &[u8]) -> Option<Subnet> {
        let mut reader = Reader::new(data);
        let family = reader.u16()?;
        let prefix = reader.take(1)?[0];
        let _scope = reader.take(1)?;
        let rest = reader.take(data.len() - reader.at())?;
        let bits = match family {
            0 if prefix == 0 => 0,
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if prefix > bits {
            return None;
        }
        let mut subnet = Subnet { family, prefix, address: [0; 16] };
        // Never longer than the prefix needs, whatever the client sent.
        let bytes = subnet.bytes();
        let given = bytes.min(rest.len());
        subnet.address[..given].copy_from_slice(&rest[..given]);
        if prefix % 8 != 0 {
            subnet.address[bytes - 1] &= 0xff << (8 - prefix % 8);
        }
        Some(subnet)
    }

    fn bytes(&self) -> usize {
        usize::from(self.prefix).div_ceil(8)
    }
}
