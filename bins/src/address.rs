//! Where an agent's HTTP API is: the address forms of `-http-addr` and `CONSUL_HTTP_ADDR`, and the
//! percent-encoding of paths and queries as Go's `net/url` does it.

use lictor_core::plan::escape;
use std::fmt;

/// The address used when neither flag nor variable names one.
pub const DEFAULT: &str = "127.0.0.1:8500";

/// A parsed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How to get there.
    pub to: To,
    /// Put before every path, without a trailing slash: an API behind a reverse proxy.
    pub prefix: String,
}

/// A way to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// TCP; TLS when `tls`.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// `https`.
        tls: bool,
        /// Host and port as the user wrote them: error texts and the `Host` header show this.
        written: String,
    },
    /// A unix domain socket.
    Unix(String),
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Neither http, https nor unix.
    Scheme(String),
    /// Nothing where the host should be.
    NoHost,
    /// The port is no number between 1 and 65535.
    Port(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Scheme(scheme) => write!(f, "Unknown protocol scheme: {scheme}"),
            AddressError::NoHost => write!(f, "no host in the agent's address; write host:port"),
            AddressError::Port(port) => write!(f, "invalid port {port:?} in the agent's address"),
        }
    }
}

impl Address {
    /// Parses `text`; a bare `host:port` is TLS when `ssl` says so.
    pub fn parse(text: &str, ssl: bool) -> Result<Address, AddressError> {
        let (tls, rest) = match text.split_once("://") {
            None => (ssl, text),
            Some(("http", rest)) => (ssl, rest),
            Some(("https", rest)) => (true, rest),
            Some(("unix", path)) => {
                return Ok(Address { to: To::Unix(path.to_owned()), prefix: String::new() });
            }
            Some((scheme, _)) => return Err(AddressError::Scheme(scheme.to_owned())),
        };
        let (written, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = split_port(written);
        let port = match port {
            None | Some("") => 80 + u16::from(tls) * 363,
            Some(p) => match p.parse() {
                Ok(n) if n > 0 && !p.starts_with('+') => n,
                _ => return Err(AddressError::Port(p.to_owned())),
            },
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let to = To::Tcp { host: host.to_owned(), port, tls, written: written.to_owned() };
        Ok(Address { to, prefix: prefix.trim_end_matches('/').to_owned() })
    }

    /// Scheme and authority of a URL at this address, as Go's client prints them.
    pub fn origin(&self) -> String {
        match &self.to {
            To::Tcp { tls: true, written, .. } => format!("https://{written}"),
            To::Tcp { tls: false, written, .. } => format!("http://{written}"),
            To::Unix(_) => "http://localhost".to_owned(),
        }
    }

    /// The `Host` header.
    pub fn host(&self) -> &str {
        match &self.to {
            To::Tcp { written, .. } => written,
            To::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Tcp { .. } => write!(f, "{}{}", self.origin(), self.prefix),
            To::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

/// Splits at the last colon outside brackets, so `::1:8500` and `[::1]:8500` are the same.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some(rest) = authority.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, tail)) => (host, tail.strip_prefix(':')),
            None => (rest, None),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// Percent-encodes one segment of a path: slashes are encoded too.
pub fn escape_segment(segment: &str) -> String {
    escape(segment, b"-_.~$&+:=@", false)
}

/// A query string, keys in order, as Go's `url.Values.Encode` writes it; empty for no pairs.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut sorted: Vec<&(&str, &str)> = pairs.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let text: Vec<String> = sorted
        .iter()
        .map(|(k, v)| format!("{}={}", escape(k, b"-_.~", true), escape(v, b"-_.~", true)))
        .collect();
    text.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> (String, u16, bool, String) {
        match Address::parse(text, false).expect(text) {
            Address { to: To::Tcp { host, port, tls, .. }, prefix } => (host, port, tls, prefix),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_form_of_address_that_the_sdk_takes_is_understood() {
        for (text, host, port, tls, prefix) in [
            ("127.0.0.1:8500", "127.0.0.1", 8500, false, ""),
            ("localhost", "localhost", 80, false, ""),
            ("http://h:1", "h", 1, false, ""),
            ("https://h", "h", 443, true, ""),
            ("https://h:8501", "h", 8501, true, ""),
            ("http://h:1/consul/", "h", 1, false, "/consul"),
            ("h:1/a/b", "h", 1, false, "/a/b"),
            ("[::1]:8500", "::1", 8500, false, ""),
            ("::1:8500", "::1", 8500, false, ""),
            ("http://[fe80::1]", "fe80::1", 80, false, ""),
        ] {
            assert_eq!(tcp(text), (host.to_owned(), port, tls, prefix.to_owned()), "{text}");
        }
        let unix = Address::parse("unix:///run/c.sock", true).expect("unix");
        assert_eq!(unix.to, To::Unix("/run/c.sock".to_owned()));
        assert_eq!(unix.origin(), "http://localhost");
    }

    #[test]
    fn consul_http_ssl_turns_tls_on() {
        assert_eq!(Address::parse("h:1", true).expect("address").origin(), "https://h:1");
        assert_eq!(Address::parse("http://h:1", true).expect("address").origin(), "https://h:1");
    }

    #[test]
    fn addresses_that_lead_nowhere_are_refused() {
        let refused = |text: &str| Address::parse(text, false).expect_err(text).to_string();
        assert_eq!(refused("ftp://x"), "Unknown protocol scheme: ftp");
        assert_eq!(refused("http://"), "no host in the agent's address; write host:port");
        for text in ["h:0", "h:65536", "h:x", "h:+1", "h:-1"] {
            assert!(refused(text).starts_with("invalid port"), "{text}");
        }
    }

    #[test]
    fn a_segment_has_no_slash() {
        assert_eq!(escape_segment("a/b"), "a%2Fb");
    }

    #[test]
    fn queries_are_sorted_and_escaped_as_go_does() {
        assert_eq!(query(&[("separator", "/"), ("keys", "")]), "keys=&separator=%2F");
        assert_eq!(query(&[("a", "x y&z=\u{e9}")]), "a=x+y%26z%3D%C3%A9");
        assert_eq!(query(&[]), "");
    }
}
