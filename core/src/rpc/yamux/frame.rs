//! The header that precedes everything.

use bytes::{BufMut, Bytes, BytesMut};

/// The length of a header.
pub(super) const HEADER: usize = 12;

/// The number of a stream within its session; odd ones were opened by the side that dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// Why a side wants no more streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoAway {
    /// It is leaving.
    Normal,
    /// The other side broke the protocol.
    Protocol,
    /// It failed.
    Internal,
    /// A code that the protocol does not have.
    Other(u32),
}

impl GoAway {
    pub(super) fn of(code: u32) -> GoAway {
        match code {
            0 => GoAway::Normal,
            1 => GoAway::Protocol,
            2 => GoAway::Internal,
            other => GoAway::Other(other),
        }
    }

    pub(super) fn code(self) -> u32 {
        match self {
            GoAway::Normal => 0,
            GoAway::Protocol => 1,
            GoAway::Internal => 2,
            GoAway::Other(code) => code,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Window,
    Ping,
    GoAway,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(pub(super) u16);

impl Flags {
    pub(super) const NONE: Flags = Flags(0);
    pub(super) const SYN: Flags = Flags(1);
    pub(super) const ACK: Flags = Flags(2);
    pub(super) const FIN: Flags = Flags(4);
    pub(super) const RST: Flags = Flags(8);

    pub(super) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) flags: Flags,
    pub(super) stream: StreamId,
    pub(super) length: u32,
}

/// Why twelve bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Version(u8),
    Kind(u8),
}

impl Header {
    pub(super) fn decode(bytes: [u8; HEADER]) -> Result<Header, HeaderError> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        if version != 0 {
            return Err(HeaderError::Version(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Window,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            other => return Err(HeaderError::Kind(other)),
        };
        Ok(Header {
            kind,
            flags: Flags(u16::from_be_bytes([f0, f1])),
            stream: StreamId(u32::from_be_bytes([s0, s1, s2, s3])),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    pub(super) fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER);
        self.append(&mut out);
        out.freeze()
    }

    /// The header and what follows it, as one piece.
    pub(super) fn with(self, payload: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER + payload.len());
        self.append(&mut out);
        out.put_slice(payload);
        out.freeze()
    }

    fn append(self, out: &mut BytesMut) {
        out.put_u8(0);
        out.put_u8(match self.kind {
            Kind::Data => 0,
            Kind::Window => 1,
            Kind::Ping => 2,
            Kind::GoAway => 3,
        });
        out.put_u16(self.flags.0);
        out.put_u32(self.stream.0);
        out.put_u32(self.length);
    }
}
