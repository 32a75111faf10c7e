//! Protobuf, as far as the messages here need it: varints and lengths.

use alloc::vec::Vec;

/// A message that is being written. Fields with their default value are left out, as in proto3.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A `uint64`, an enumeration, or what goes by the same bytes.
    pub fn uint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, 0);
            varint(&mut self.0, value);
        }
    }

    /// An `int32`; what does not fit is 0.
    pub fn int(&mut self, field: u32, value: i64) {
        let value = i32::try_from(value).unwrap_or(0);
        self.uint(field, i64::from(value).cast_unsigned());
    }

    /// A `bool`.
    pub fn bool(&mut self, field: u32, value: bool) {
        self.uint(field, u64::from(value));
    }

    /// A `string`.
    pub fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.item(field, text);
        }
    }

    /// One of a repeated field: written even if it is empty.
    pub fn item(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A message within; written even if it is empty.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// A `google.protobuf.Duration`.
    pub fn duration(&mut self, field: u32, nanos: i64) {
        const SECOND: i64 = 1_000_000_000;
        self.message(field, |m| {
            m.uint(1, (nanos / SECOND).cast_unsigned());
            m.int(2, nanos % SECOND);
        });
    }

    /// The pairs of a map.
    pub fn map<'a, V: 'a>(
        &mut self,
        field: u32,
        pairs: impl IntoIterator<Item = (&'a str, V)>,
        mut value: impl FnMut(&mut Message, V),
    ) {
        for (name, v) in pairs {
            self.message(field, |m| {
                m.text(1, name);
                value(m, v);
            });
        }
    }

    /// Bytes, a string or a message, with its length; written even if it is empty.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        varint(&mut self.0, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, kind: u8) {
        varint(&mut self.0, u64::from(field) << 3 | u64::from(kind));
    }
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// One field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A varint.
    Uint(u64),
    /// Bytes, a string or a message.
    Bytes(&'a [u8]),
    /// Of a kind that no message here has.
    Other,
}

/// The next field with its number; `None` if the bytes are no message. Not to be asked at the end.
pub fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = read_varint(bytes)?;
    let value = match key & 7 {
        0 => Field::Uint(read_varint(bytes)?),
        1 => skip(bytes, 8)?,
        2 => {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            let (inner, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Field::Bytes(inner)
        }
        5 => skip(bytes, 4)?,
        _ => return None,
    };
    Some((key >> 3, value))
}

fn skip<'a>(bytes: &mut &'a [u8], length: usize) -> Option<Field<'a>> {
    *bytes = bytes.get(length..)?;
    Some(Field::Other)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
