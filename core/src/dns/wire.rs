//! Reading a packet front to back without ever leaving it.

/// A place in a packet.
pub(super) struct Reader<'p> {
    packet: &'p [u8],
    at: usize,
}

impl<'p> Reader<'p> {
    /// Stands at the first byte.
    pub(super) fn new(packet: &'p [u8]) -> Reader<'p> {
        Reader { packet, at: 0 }
    }

    /// All of the packet.
    pub(super) fn packet(&self) -> &'p [u8] {
        self.packet
    }

    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Moves to `at`.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// Nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.packet.len()
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Option<&'p [u8]> {
        let end = self.at.checked_add(n)?;
        let bytes = self.packet.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// The next two bytes, big endian.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }
}
