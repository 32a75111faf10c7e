//! Writing compact JSON, escaped as Go does.

use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt::{Display, Write};

/// Appends one compact JSON document to a byte vector; commas take care of themselves.
///
/// Every call writes exactly one value, or one key that a value must follow. Strings are escaped as Go's
/// `json.Marshal` does: also `<`, `>`, `&`, U+2028 and U+2029.
///
/// ```
/// use lictor_core::json;
/// let out = json::to_vec(|w| {
///     w.object(|w| {
///         w.field_str("Name", "a<b");
///         w.field("Ports", |w| w.array(|w| w.u64(8500)));
///     })
/// });
/// assert_eq!(out, br#"{"Name":"a\u003cb","Ports":[8500]}"#);
/// ```
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether a value has just ended, so that the next one needs a comma.
    comma: bool,
}

/// The document that `write` makes.
pub fn to_vec(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::new(&mut out));
    out
}

impl<'a> Writer<'a> {
    /// A writer at the start of a document (or after whatever `out` holds; no comma is put between).
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { out, comma: false }
    }

    fn begin(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    /// `null`.
    pub fn null(&mut self) {
        self.raw(b"null");
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    /// An integer.
    pub fn u64(&mut self, value: u64) {
        self.begin();
        self.display(value);
    }

    /// An integer.
    pub fn i64(&mut self, value: i64) {
        self.begin();
        self.display(value);
    }

    /// A float in Go's form (`1e+21`, `1e-7`, `0.5`, `3`). Not-a-number and infinities, which JSON
    /// cannot say, become `null`.
    pub fn f64(&mut self, value: f64) {
        let plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
        self.float(value.is_finite(), plain, value);
    }

    /// A single-precision float: the shortest digits that read back as the same `f32`.
    pub fn f32(&mut self, value: f32) {
        let plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
        self.float(value.is_finite(), plain, value);
    }

    fn float(&mut self, finite: bool, plain: bool, value: impl Display + core::fmt::LowerExp) {
        if !finite {
            return self.null();
        }
        self.begin();
        if plain {
            return self.display(value);
        }
        let start = self.out.len();
        let _ = write!(Utf8(self.out), "{value:e}");
        // Go writes the sign of a positive exponent too.
        if let Some(at) = self.out[start..].iter().position(|b| *b == b'e')
            && self.out.get(start + at + 1) != Some(&b'-')
        {
            self.out.insert(start + at + 1, b'+');
        }
    }

    fn display(&mut self, value: impl Display) {
        // Writing to memory cannot fail.
        let _ = write!(Utf8(self.out), "{value}");
    }

    /// A string.
    pub fn str(&mut self, value: &str) {
        self.begin();
        quote(self.out, value);
    }

    /// Bytes as a base64 string, as Go writes a `[]byte`.
    pub fn base64(&mut self, value: &[u8]) {
        self.begin();
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + value.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(value, &mut self.out[start..]).unwrap_or(0);
        self.out.truncate(start + written);
        self.out.push(b'"');
    }

    /// A value that is JSON already; copied as it is.
    pub fn raw(&mut self, json: &[u8]) {
        self.begin();
        self.out.extend_from_slice(json);
    }

    /// `{ ... }`; `fields` writes keys with values.
    pub fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.begin();
        self.out.push(b'{');
        self.comma = false;
        fields(self);
        self.out.push(b'}');
        self.comma = true;
    }

    /// `[ ... ]`; `items` writes values.
    pub fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.begin();
        self.out.push(b'[');
        self.comma = false;
        items(self);
        self.out.push(b']');
        self.comma = true;
    }

    /// An array of strings.
    pub fn strs<S: AsRef<str>>(&mut self, items: impl IntoIterator<Item = S>) {
        self.array(|w| items.into_iter().for_each(|s| w.str(s.as_ref())));
    }

    /// An object of strings, in the order given: hand over a sorted map, as Go sorts by key.
    pub fn str_map<K: AsRef<str>, V: AsRef<str>>(&mut self, entries: impl IntoIterator<Item = (K, V)>) {
        self.object(|w| entries.into_iter().for_each(|(k, v)| w.field_str(k.as_ref(), v.as_ref())));
    }

    /// A key; the next call writes its value.
    pub fn key(&mut self, name: &str) {
        self.begin();
        quote(self.out, name);
        self.out.push(b':');
        self.comma = false;
    }

    /// A key and the value that `value` writes.
    pub fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.key(name);
        value(self);
    }

    /// A key and a string.
    pub fn field_str(&mut self, name: &str, value: &str) {
        self.key(name);
        self.str(value);
    }

    /// A key and an integer.
    pub fn field_u64(&mut self, name: &str, value: u64) {
        self.key(name);
        self.u64(value);
    }

    /// A key and an integer.
    pub fn field_i64(&mut self, name: &str, value: i64) {
        self.key(name);
        self.i64(value);
    }

    /// A key and a float.
    pub fn field_f64(&mut self, name: &str, value: f64) {
        self.key(name);
        self.f64(value);
    }

    /// A key and a boolean.
    pub fn field_bool(&mut self, name: &str, value: bool) {
        self.key(name);
        self.bool(value);
    }

    /// A key and `null`.
    pub fn field_null(&mut self, name: &str) {
        self.key(name);
        self.null();
    }

    /// A key and base64 bytes.
    pub fn field_base64(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        self.base64(value);
    }

    /// A key and JSON that is ready.
    pub fn field_raw(&mut self, name: &str, json: &[u8]) {
        self.key(name);
        self.raw(json);
    }

    /// A key and an array of strings.
    pub fn field_strs<S: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = S>) {
        self.key(name);
        self.strs(items);
    }

    /// A key and an object of strings; see [`Writer::str_map`].
    pub fn field_str_map<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) {
        self.key(name);
        self.str_map(entries);
    }
}

/// Lets `write!` append to bytes.
struct Utf8<'a>(&'a mut Vec<u8>);

impl Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Bytes that may need another form: controls, quotes, HTML's three, and the lead byte of U+2028/9.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'&' as usize] = true;
    table[0xe2] = true;
    table
};

fn quote(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut done = 0;
    let mut at = 0;
    while let Some(skip) = bytes[at..].iter().position(|b| SPECIAL[usize::from(*b)]) {
        at += skip;
        let byte = bytes[at];
        let mut width = 1;
        let (escape, used): ([u8; 6], usize) = match byte {
            b'"' | b'\\' => ([b'\\', byte, 0, 0, 0, 0], 2),
            0x08 => (*b"\\b\0\0\0\0", 2),
            0x0c => (*b"\\f\0\0\0\0", 2),
            b'\n' => (*b"\\n\0\0\0\0", 2),
            b'\r' => (*b"\\r\0\0\0\0", 2),
            b'\t' => (*b"\\t\0\0\0\0", 2),
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, last @ (0xa8 | 0xa9)]) => {
                    width = 3;
                    ([b'\\', b'u', b'2', b'0', b'2', HEX[usize::from(last & 0xf)]], 6)
                }
                _ => {
                    at += 1;
                    continue;
                }
            },
            _ => ([b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]], 6),
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(&escape[..used]);
        at += width;
        done = at;
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}
