//! Proxies from the environment: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, read as Go reads them.

use super::url::Url;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use std::net::IpAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The head of a proxy's answer; a longer one is none.
const MAX_HEAD: usize = 16 << 10;

/// A proxy for plain requests and tunnels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proxy {
    /// `host:port`.
    pub(super) address: String,
    /// `Basic ...`, when the proxy's URL has a user.
    pub(super) authorization: Option<HeaderValue>,
}

/// The environment's proxy for this URL.
pub(super) fn choose(url: &Url) -> Result<Option<Proxy>, String> {
    choose_from(url, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn choose_from(url: &Url, env: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, String> {
    let either = |upper: &str| env(upper).or_else(|| env(&upper.to_ascii_lowercase()));
    let Some(text) = either(if url.scheme == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" }) else {
        return Ok(None);
    };
    if is_exempt(url, &either("NO_PROXY").unwrap_or_default()) {
        return Ok(None);
    }
    let text = if text.contains("://") { text } else { format!("http://{text}") };
    let proxy = Url::parse(&text).map_err(|why| format!("invalid proxy address: {why}"))?;
    if proxy.scheme != "http" {
        return Err(format!("a proxy of scheme {:?} is not supported by this version", proxy.scheme));
    }
    let basic = proxy.credentials().map(|c| format!("Basic {}", STANDARD.encode(c)));
    let authorization = basic.and_then(|text| HeaderValue::try_from(text).ok());
    Ok(Some(Proxy { address: proxy.address(), authorization }))
}

/// This machine is always asked directly; so is what `NO_PROXY` names: `*`, hosts with all below them,
/// `.suffix`, addresses and networks, each with a port or without.
fn is_exempt(url: &Url, no_proxy: &str) -> bool {
    let host = url.host().to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let ip = host.parse::<IpAddr>().ok();
    if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|e| !e.is_empty()).any(
        |entry| {
            if entry == "*" {
                return true;
            }
            if let Some((network, bits)) = entry.split_once('/') {
                return ip.is_some_and(|ip| within(ip, network, bits));
            }
            let (name, port) = match entry.rsplit_once(':') {
                Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
                _ => (entry.as_str(), None),
            };
            let name = name.trim_start_matches('[').trim_end_matches(']');
            if port.is_some_and(|port| port != url.port()) {
                return false;
            }
            match (name.parse::<IpAddr>().ok(), ip) {
                (Some(named), Some(ip)) => named == ip,
                (Some(_), None) => false,
                (None, _) => {
                    let bare = name.trim_start_matches('*').trim_start_matches('.');
                    let below = host.strip_suffix(bare).is_some_and(|rest| rest.ends_with('.'));
                    below || host == bare && !name.starts_with(['.', '*'])
                }
            }
        },
    )
}

fn within(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || a >> (width - bits) == b >> (width - bits))
    };
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

impl Proxy {
    /// Asks for a connection to `address`, and hands it on when the proxy has made it.
    pub(super) async fn tunnel(&self, mut stream: TcpStream, address: &str) -> Result<TcpStream, String> {
        let mut order = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            order.extend_from_slice(b"Proxy-Authorization: ");
            order.extend_from_slice(value.as_bytes());
            order.extend_from_slice(b"\r\n");
        }
        order.extend_from_slice(b"\r\n");
        stream.write_all(&order).await.map_err(|e| format!("proxyconnect tcp: {e}"))?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head belongs to the tunnel.
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) if head.len() < MAX_HEAD => head.push(byte),
                _ => return Err("proxyconnect tcp: unexpected EOF".into()),
            }
        }
        let head = String::from_utf8_lossy(&head);
        let status =
            head.lines().next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status);
        match status.starts_with("200") {
            true => Ok(stream),
            false => Err(status.split_once(' ').map_or(status, |(_, reason)| reason).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_the_proxy_as_in_go() {
        let env = |name: &str| match name {
            "HTTP_PROXY" => Some("user:pw@proxy:3128".to_owned()),
            "https_proxy" => Some("http://secure".to_owned()),
            "NO_PROXY" => Some("in.example, .sub.example,10.0.0.0/8,192.0.2.1,port.example:81".to_owned()),
            _ => None,
        };
        let chosen = |url: &str| choose_from(&Url::parse(url).unwrap(), env).unwrap().map(|p| p.address);
        for (url, proxy) in [
            ("http://out.example/", Some("proxy:3128")),
            ("https://out.example/", Some("secure:80")),
            ("http://127.0.0.1/", None),
            ("http://localhost:81/", None),
            ("http://[::1]/", None),
            ("http://in.example/", None),
            ("http://a.in.example/", None),
            ("http://xin.example/", Some("proxy:3128")),
            ("http://sub.example/", Some("proxy:3128")),
            ("http://a.sub.example/", None),
            ("http://10.1.2.3/", None),
            ("http://192.0.2.1/", None),
            ("http://192.0.2.2/", Some("proxy:3128")),
            ("http://port.example:81/", None),
            ("http://port.example/", Some("proxy:3128")),
        ] {
            assert_eq!(chosen(url).as_deref(), proxy, "{url}");
        }
        let socks = |name: &str| (name == "HTTP_PROXY").then(|| "socks5://p".to_owned());
        assert!(choose_from(&Url::parse("http://out/").unwrap(), socks).is_err(), "never directly instead");
    }

    #[tokio::test]
    async fn a_tunnel_begins_behind_the_proxys_consent() {
        use std::io::{Read, Write};
        for (answer, expected) in [
            ("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", Ok("inside")),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Err("Proxy Authentication Required")),
            ("HTTP/1.1 200", Err("proxyconnect tcp: unexpected EOF")),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut asked, mut byte) = (Vec::new(), [0]);
                while !asked.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    asked.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                if expected.is_ok() {
                    stream.write_all(b"inside").unwrap();
                }
                String::from_utf8(asked).unwrap()
            });
            let proxy = Proxy {
                address: address.to_string(),
                authorization: Some(HeaderValue::from_static("Basic dTpw")),
            };
            let stream = TcpStream::connect(address).await.unwrap();
            let got = match proxy.tunnel(stream, "far.example:443").await {
                Ok(mut stream) => {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).await.unwrap();
                    Ok(text)
                }
                Err(why) => Err(why),
            };
            assert_eq!(got.as_deref().map_err(String::as_str), expected);
            let asked = server.join().unwrap();
            assert!(asked.starts_with("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n"));
            assert!(asked.contains("\r\nProxy-Authorization: Basic dTpw\r\n"));
        }
    }
}
