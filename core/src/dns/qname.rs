//! The name a question asks for: decoded once, read label by label.

use super::wire::Reader;

/// The longest name on the wire, root label included (RFC 1035 3.1).
pub(super) const MAX_NAME: usize = 255;
/// The longest label.
pub(super) const MAX_LABEL: usize = 63;
/// So many compression pointers may stand in one name; a longer chain can only be a loop.
const MAX_POINTERS: usize = 126;

/// A name in wire form without its compression, with the start of each label.
#[derive(Clone)]
pub(super) struct QName {
    wire: [u8; MAX_NAME],
    starts: [u8; MAX_NAME / 2],
    /// Bytes used, without the root label.
    len: usize,
    count: usize,
}

impl QName {
    /// The root.
    pub(super) fn root() -> QName {
        QName { wire: [0; MAX_NAME], starts: [0; MAX_NAME / 2], len: 0, count: 0 }
    }

    /// Reads a name at the reader's place. A pointer may lead anywhere in the packet, as Consul
    /// allows; `None` for a reserved label type, a name too long, a cut or a loop.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<QName> {
        let mut name = QName::root();
        let packet = reader.packet();
        let mut at = reader.at();
        let mut pointers = 0;
        loop {
            let len = usize::from(*packet.get(at)?);
            at += 1;
            match len {
                0 => break,
                1..=MAX_LABEL => {
                    if !name.push(packet.get(at..at + len)?) {
                        return None;
                    }
                    at += len;
                }
                0xc0.. => {
                    let low = usize::from(*packet.get(at)?);
                    if pointers == 0 {
                        reader.seek(at + 1);
                    }
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return None;
                    }
                    at = (len & 0x3f) << 8 | low;
                }
                _ => return None,
            }
        }
        if pointers == 0 {
            reader.seek(at);
        }
        Some(name)
    }

    /// Reads a dotted name as the catalog holds host names; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<QName> {
        let mut name = QName::root();
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if label.is_empty() || label.len() > MAX_LABEL || !name.push(label.as_bytes()) {
                return None;
            }
        }
        Some(name)
    }

    fn push(&mut self, label: &[u8]) -> bool {
        let end = self.len + 1 + label.len();
        if end >= MAX_NAME {
            return false;
        }
        self.starts[self.count] = self.len as u8;
        self.count += 1;
        self.wire[self.len] = label.len() as u8;
        self.wire[self.len + 1..end].copy_from_slice(label);
        self.len = end;
        true
    }

    /// How many labels, the root not counted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The label at `i`, counted from the left.
    pub(super) fn label(&self, i: usize) -> &[u8] {
        let start = usize::from(self.starts[i]);
        let len = usize::from(self.wire[start]);
        &self.wire[start + 1..start + 1 + len]
    }

    /// Whether the last labels are those of `domain`, which is dotted and may end in a dot.
    /// Returns how many labels that is; an empty domain matches nothing.
    pub(super) fn ends_with(&self, domain: &str) -> Option<usize> {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        if domain.is_empty() {
            return None;
        }
        let mut at = self.count;
        for label in domain.rsplit('.') {
            at = at.checked_sub(1)?;
            if !self.label(at).eq_ignore_ascii_case(label.as_bytes()) {
                return None;
            }
        }
        Some(self.count - at)
    }

    /// Whether this is `host`, letter for letter.
    pub(super) fn spelled(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.text(0, self.count).is_some_and(|text| text.as_str() == host)
    }

    /// The labels `from..to` joined by dots. `None` if that is not readable text, or if a label
    /// holds a dot itself, which no name in the catalog can mean.
    pub(super) fn text(&self, from: usize, to: usize) -> Option<Text> {
        let mut text = Text { bytes: [0; MAX_NAME], len: 0 };
        for i in from..to {
            let label = self.label(i);
            if label.contains(&b'.') {
                return None;
            }
            if i > from {
                text.bytes[text.len] = b'.';
                text.len += 1;
            }
            text.bytes[text.len..text.len + label.len()].copy_from_slice(label);
            text.len += label.len();
        }
        core::str::from_utf8(&text.bytes[..text.len]).ok()?;
        Some(text)
    }

    /// The same name in lower case up to label `to`.
    pub(super) fn lowered(&self, to: usize) -> QName {
        let mut name = self.clone();
        let end = if to < self.count { usize::from(self.starts[to]) } else { self.len };
        // Length bytes are at most 63, below every letter.
        name.wire[..end].make_ascii_lowercase();
        name
    }
}

/// Part of a name as text, on the stack.
#[derive(Clone)]
pub(super) struct Text {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Text {
    /// The text.
    pub(super) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    /// Without its first byte, which the caller knows to be ASCII.
    pub(super) fn skip_first(mut self) -> Text {
        if self.len > 0 {
            self.bytes.copy_within(1..self.len, 0);
            self.len -= 1;
        }
        self
    }

    /// In lower case.
    pub(super) fn lower(mut self) -> Text {
        self.bytes[..self.len].make_ascii_lowercase();
        self
    }
}
