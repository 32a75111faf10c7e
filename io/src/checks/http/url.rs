//! URLs as Go reads them, and its words for what it cannot read.

use std::fmt;

/// An absolute URL, or at least one that passes for one until it is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Lower case; may be empty.
    pub(super) scheme: String,
    /// `user:password`, still escaped.
    pub(super) user: Option<String>,
    /// `host` or `host:port`; may be empty.
    pub(super) authority: String,
    /// Escaped; empty or with a leading slash.
    pub(super) path: String,
    /// What follows the question mark.
    pub(super) query: Option<String>,
}

/// Bytes that stay in a path as they are.
const IN_PATH: &[u8] = b"-_.~!$&'()*+,;=:@/[]%";
/// Bytes that stay in a query as they are.
const IN_QUERY: &[u8] = b"-_.~!$&'()*+,;=:@/[]%?{}|\\^`";

impl Url {
    pub(super) fn parse(text: &str) -> Result<Url, String> {
        Url::read(text).map_err(|why| format!("parse {text:?}: {why}"))
    }

    fn read(text: &str) -> Result<Url, String> {
        if text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        let text = text.split('#').next().unwrap_or("");
        let (scheme, rest) = match text.split_once(':') {
            Some(("", _)) => return Err("missing protocol scheme".into()),
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), text),
        };
        if scheme.is_empty()
            && !rest.starts_with('/')
            && rest.split('/').next().is_some_and(|s| s.contains(':'))
        {
            return Err("first path segment in URL cannot contain colon".into());
        }
        let (before, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(escape(query, IN_QUERY))),
            None => (rest, None),
        };
        let (whole, path) = match before.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", before),
        };
        let (user, authority) = match whole.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, whole),
        };
        check_authority(authority)?;
        check_escapes(path)?;
        let (path, authority) = (escape(path, IN_PATH), authority.to_owned());
        Ok(Url { scheme, user, authority, path, query })
    }

    /// Where a redirect from here leads.
    pub(super) fn join(&self, location: &str) -> Result<Url, String> {
        let mut target = Url::parse(location)?;
        if !target.scheme.is_empty() || !target.authority.is_empty() {
            if target.scheme.is_empty() {
                target.scheme.clone_from(&self.scheme);
            }
            target.path = clean(&target.path);
            return Ok(target);
        }
        let path = if target.path.is_empty() {
            if target.query.is_none() {
                target.query.clone_from(&self.query);
            }
            self.path.clone()
        } else if target.path.starts_with('/') {
            clean(&target.path)
        } else {
            let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            clean(&format!("{directory}/{}", target.path))
        };
        Ok(Url { path, query: target.query, ..self.clone() })
    }

    /// Without brackets.
    pub(super) fn host(&self) -> &str {
        let host = match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// As given, or the scheme's own.
    pub(super) fn port(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((_, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => port,
            _ if self.scheme == "https" => "443",
            _ => "80",
        }
    }

    /// `host:port`, to dial.
    pub(super) fn address(&self) -> String {
        match self.host() {
            host if host.contains(':') => format!("[{host}]:{}", self.port()),
            host => format!("{host}:{}", self.port()),
        }
    }

    /// Path and query as they stand in a request.
    pub(super) fn target(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// The user and password, unescaped.
    pub(super) fn credentials(&self) -> Option<Vec<u8>> {
        let (user, password) = self.user.as_ref().map(|u| u.split_once(':').unwrap_or((u, "")))?;
        Some([unescape(user), b":".to_vec(), unescape(password)].concat())
    }
}

/// As Go shows a URL in errors: the password is hidden.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if !self.authority.is_empty()
            || self.user.is_some()
            || !self.path.is_empty() && !self.scheme.is_empty()
        {
            f.write_str("//")?;
        }
        match self.user.as_deref().map(|user| user.split_once(':')) {
            Some(Some((user, _))) => write!(f, "{user}:***@")?,
            Some(None) => write!(f, "{}@", self.user.as_deref().unwrap_or(""))?,
            None => {}
        }
        write!(f, "{}{}", self.authority, self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn check_authority(authority: &str) -> Result<(), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((_, after)) = rest.split_once(']') else { return Err("missing ']' in host".into()) };
        return check_port(after);
    }
    if let Some(bad) = authority.chars().find(|c| " \"<>\\^`{|}".contains(*c)) {
        return Err(format!("invalid character {:?} in host name", bad.to_string()));
    }
    check_port(authority.find(':').map_or("", |at| &authority[at..]))
}

fn check_port(text: &str) -> Result<(), String> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(()),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        _ => Err(format!("invalid port {text:?} after host")),
    }
}

fn check_escapes(path: &str) -> Result<(), String> {
    for (at, _) in path.match_indices('%') {
        let digits = path.as_bytes().get(at + 1..at + 3).unwrap_or(b"");
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            let shown: String = path[at..].chars().take(3).collect();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}

fn escape(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b.is_ascii_alphanumeric() || keep.contains(&b) {
            true => out.push(b as char),
            false => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// Without `.` and `..`.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next().unwrap_or("");
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    if matches!(last, "." | "..") {
        kept.push("");
    }
    if path.is_empty() { String::new() } else { format!("/{}", kept.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_read_as_go_reads_them() {
        let url = Url::parse("HTTP://u:p%40@[::1]:81/a b\u{e9}?q=x y#frag").unwrap();
        assert_eq!((url.scheme.as_str(), url.host(), url.port()), ("http", "::1", "81"));
        assert_eq!(url.target(), "/a%20b%C3%A9?q=x%20y");
        assert_eq!(url.credentials().unwrap(), b"u:p@");
        assert_eq!(url.to_string(), "http://u:***@[::1]:81/a%20b%C3%A9?q=x%20y");
        assert_eq!(Url::parse("https://h?x=1").unwrap().address(), "h:443");
        assert_eq!(Url::parse("https://h?x=1").unwrap().target(), "/?x=1");
        for (text, why) in [
            ("http://[::1", "missing ']' in host"),
            ("http://h:abc/", "invalid port \":abc\" after host"),
            ("http://h/%zz", "invalid URL escape \"%zz\""),
            ("127.0.0.1:9602/x", "first path segment in URL cannot contain colon"),
            ("http://h/\r\nX: y", "net/url: invalid control character in URL"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err(), format!("parse {text:?}: {why}"));
        }
        assert_eq!(Url::parse("foo/bar").unwrap().scheme, "", "left to whoever dials");
    }

    #[test]
    fn redirects_resolve_against_where_they_came_from() {
        let base = Url::parse("http://u@h:1/a/b?c").unwrap();
        for (location, expected) in [
            ("/x", "http://u@h:1/x"),
            ("x", "http://u@h:1/a/x"),
            ("../x?y", "http://u@h:1/x?y"),
            ("?y", "http://u@h:1/a/b?y"),
            ("/a/./b/../c", "http://u@h:1/a/c"),
            ("//g/x", "http://g/x"),
            ("https://g/x", "https://g/x"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_leaves_its_line(text in ".{0,40}", location in ".{0,40}") {
            if let Ok(url) = Url::parse(&text) {
                let next = url.join(&location);
                for url in [Ok(url), next].into_iter().flatten() {
                    prop_assert!(url.target().bytes().all(|b| b > b' ' && b < 0x7f), "{:?}", url.target());
                    prop_assert!(!url.authority.bytes().any(|b| b < b' '));
                }
            }
        }
    }
}
