//! Paths and query strings as Go's `net/url`, `path` and `ServeMux` read them.

use alloc::string::String;
use alloc::vec::Vec;

/// Decodes `%XX`, and `+` to a space where `plus` says so; `None` if an escape is malformed.
pub(super) fn unescape(text: &str, plus: bool) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let pair = bytes.get(at + 1..at + 3)?;
                out.push(hex(pair[0])? << 4 | hex(pair[1])?);
                at += 3;
            }
            b'+' if plus => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Some(out)
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|d| d as u8)
}

/// Encodes as `url.QueryEscape` does.
pub(super) fn query_escape(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
}

/// `path.Clean`: no empty, `.` or (where it can be resolved) `..` elements, no trailing slash.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.last().is_some_and(|last| *last != "..") {
                    parts.pop();
                } else if !rooted {
                    parts.push("..");
                }
            }
            _ => parts.push(part),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    if rooted {
        out.push('/');
    }
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push('/');
        }
        out.push_str(part);
    }
    if out.is_empty() {
        out.push('.');
    }
    out
}

/// [`clean`] that keeps a trailing slash, as the mux and the key rule do.
pub(super) fn clean_keeping_slash(path: &str) -> String {
    let mut out = clean(path);
    if path.ends_with('/') && !out.ends_with('/') {
        out.push('/');
    }
    out
}

/// Whether [`clean_keeping_slash`] would leave a rooted path as it is; allocates nothing.
pub(super) fn is_clean(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    path == "/" || !rest.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// Go's `unicode.IsPrint`, near enough: what Consul's path filter lets through. Letters, marks,
/// numbers, punctuation, symbols and the ASCII space pass; controls, other spaces and format
/// characters do not.
pub(super) fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => false,
        _ => !c.is_control() && !c.is_whitespace(),
    }
}

/// The parameters of a query string, decoded, in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// `None` if the text does not parse: a bad escape, or a semicolon.
    pub(super) fn parse(text: &str) -> Option<Query> {
        let mut pairs = Vec::new();
        for piece in text.split('&') {
            if piece.is_empty() {
                continue;
            }
            if piece.contains(';') {
                return None;
            }
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Some(Query(pairs))
    }

    /// The first value; empty if absent.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }

    /// Whether the key is there, with or without a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    /// Every parameter, in the order sent.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Every value, in the order sent.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The same without the parameters of these names.
    pub(super) fn without(&self, keys: &[&str]) -> Query {
        Query(self.0.iter().filter(|(k, _)| !keys.contains(&k.as_str())).cloned().collect())
    }

    /// Adds a pair.
    pub(super) fn push(&mut self, key: &str, value: &str) {
        self.0.push((key.into(), value.into()));
    }

    /// `url.Values.Encode`: sorted by key.
    pub(super) fn encode(&self) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out = String::new();
        for (key, value) in pairs {
            if !out.is_empty() {
                out.push('&');
            }
            query_escape(&mut out, key);
            out.push('=');
            query_escape(&mut out, value);
        }
        out
    }
}

/// Bytes that are not UTF-8 become the replacement character: no parameter has a use for them.
fn decode(text: &str) -> Option<String> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Some(text.into());
    }
    Some(String::from_utf8_lossy(&unescape(text, true)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    #[test]
    fn clean_does_what_go_does() {
        for (from, to) in [
            ("", "."),
            ("/", "/"),
            ("/a/", "/a"),
            ("a//b/./c", "a/b/c"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("a/../../b", "../b"),
            ("/v1/kv/..", "/v1"),
        ] {
            assert_eq!(clean(from), to, "{from}");
        }
        assert_eq!(clean_keeping_slash("d//"), "d/");
        assert_eq!(clean_keeping_slash("/"), "/");
    }

    #[test]
    fn query_keeps_order_and_presence() {
        let q = Query::parse("b=2&a=1+x&a=%2F&flag&=y&").unwrap();
        assert_eq!((q.get("a"), q.get("b"), q.get("flag"), q.get("none")), ("1 x", "2", "", ""));
        assert!(q.has("flag") && !q.has("none"));
        assert_eq!(q.all("a").collect::<Vec<_>>(), ["1 x", "/"]);
        assert_eq!(q.encode(), "=y&a=1+x&a=%2F&b=2&flag=");
        assert_eq!(Query::parse("a;b"), None);
        assert_eq!(Query::parse("a=%zz"), None);
    }

    proptest! {
        #[test]
        fn is_clean_agrees_with_clean(path in "/?([a./]{0,8})") {
            let rooted = format!("/{path}");
            prop_assert_eq!(is_clean(&rooted), clean_keeping_slash(&rooted) == rooted);
        }
    }
}
