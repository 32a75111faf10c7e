//! Names to addresses, for those whom a node is to join.

use crate::driver::Question;
use crate::rt::Rt;
use lictor_core::node::Input;
use lictor_core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use tokio::sync::mpsc;

/// How long one name may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses that are taken of one name.
const MAX_ADDRESSES: usize = 64;

/// Answers questions until they end.
pub async fn run<R: Rt>(rt: R, mut questions: mpsc::UnboundedReceiver<Question>, inbox: mpsc::Sender<Input>) {
    while let Some(Question { lookup, names, port }) = questions.recv().await {
        let (asker, inbox) = (rt.clone(), inbox.clone());
        rt.spawn(async move {
            let mut found = Vec::new();
            for name in names {
                found.push(addresses(&asker, &name, port).await);
            }
            let _ = inbox.send(Input::Resolved { lookup, found }).await;
        });
    }
}

async fn addresses<R: Rt>(rt: &R, name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    // `node/address` names a member beside its address, as memberlist takes it.
    let name = name.rsplit('/').next().unwrap_or(name);
    if let Some(address) = literal(name, port) {
        return Ok(vec![address]);
    }
    let (host, port) = match name.rsplit_once(':') {
        Some((host, text)) => (host, text.parse().map_err(|_| no_port(text))?),
        None => (name, port),
    };
    let late = rt.sleep_until(rt.now().mono + PATIENCE);
    let mut found = tokio::select! {
        biased;
        found = rt.resolve(host.to_owned(), port) => found.map_err(|_| format!("lookup {host}: no such host"))?,
        () = late => return Err("the name servers do not answer".into()),
    };
    found.truncate(MAX_ADDRESSES);
    match found.is_empty() {
        true => Err("no such host".into()),
        false => Ok(found),
    }
}

/// Go's word for what is no port.
fn no_port(text: &str) -> String {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let why = if digits { "value out of range" } else { "invalid syntax" };
    format!("strconv.ParseUint: parsing {text:?}: {why}")
}

/// An address that needs no resolving: `ip`, `ip:port`, `[v6]:port`.
fn literal(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, port)),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_port_is_refused_in_gos_words() {
        assert_eq!(no_port("99999"), r#"strconv.ParseUint: parsing "99999": value out of range"#);
        assert_eq!(no_port("-1"), r#"strconv.ParseUint: parsing "-1": invalid syntax"#);
    }

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (text, want) in [
            ("10.0.0.1", Some("10.0.0.1:8301")),
            ("10.0.0.1:99", Some("10.0.0.1:99")),
            ("::1", Some("[::1]:8301")),
            ("[::1]", Some("[::1]:8301")),
            ("[::1]:99", Some("[::1]:99")),
            ("server-1", None),
            ("server-1:99", None),
        ] {
            assert_eq!(literal(text, 8301), want.map(|w| w.parse().unwrap()), "{text}");
        }
    }
}
