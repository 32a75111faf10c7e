//! TLS of probes, with Go's words for what goes wrong.
//!
//! Files are read at each run: they are small, and a renewed certificate counts at once.

use super::{address, go_error};
use lictor_core::agent::ProbeTls;
use lictor_core::config::AgentTls;
use lictor_core::time::WallTime;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use std::sync::{Arc, LazyLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

mod any;

/// What the far side speaks is not TLS.
pub(super) const NOT_TLS: &str = "tls: first record does not look like a TLS handshake";

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));

/// The system's authorities, read once as Go does; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// Speaks TLS over a connection to `address` (`host:port`), offering `alpn`.
pub(super) async fn handshake(
    stream: TcpStream,
    options: &ProbeTls,
    address: &str,
    alpn: &[&[u8]],
) -> Result<TlsStream<TcpStream>, String> {
    let host = match options.server_name.as_str() {
        "" => address::split("tcp", address)?.0,
        given => given,
    };
    let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
        .map_err(|_| format!("tls: invalid server name {host:?}"))?;
    let ends = (stream.local_addr(), stream.peer_addr());
    let connector = TlsConnector::from(Arc::new(config(options, alpn)?));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|e| alert(&e).unwrap_or_else(|| go_error::on("read", "tcp", ends, &e)))
}

/// What TLS has to say about an error of its stream; `None`: it comes from below.
pub(super) fn alert(e: &std::io::Error) -> Option<String> {
    e.get_ref()?.downcast_ref::<Error>().map(in_gos_words)
}

fn config(options: &ProbeTls, alpn: &[&[u8]]) -> Result<ClientConfig, String> {
    let plain = |e: Error| format!("tls: {e}");
    let builder = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .map_err(plain)?;
    let builder = if options.skip_verify {
        let any = Arc::new(any::AnyCertificate::new(&PROVIDER));
        builder.dangerous().with_custom_certificate_verifier(any)
    } else {
        builder.with_root_certificates(authorities(options.agent.as_deref())?)
    };
    let mut config = match options.agent.as_deref().filter(|own| !own.cert_file.is_empty()) {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = certificates(&own.cert_file)?;
            let key = PrivateKeyDer::from_pem_file(&own.key_file)
                .map_err(|e| format!("cannot read the agent's key {}: {e}", own.key_file))?;
            builder.with_client_auth_cert(chain, key).map_err(plain)?
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn authorities(agent: Option<&AgentTls>) -> Result<Arc<RootCertStore>, String> {
    let Some(agent) = agent.filter(|own| !own.ca_file.is_empty() || !own.ca_path.is_empty()) else {
        return Ok(SYSTEM.clone());
    };
    let mut roots = RootCertStore::empty();
    if !agent.ca_file.is_empty() {
        roots.add_parsable_certificates(certificates(&agent.ca_file)?);
    } else {
        let unreadable = |e: std::io::Error| format!("cannot read ca_path {}: {e}", agent.ca_path);
        for entry in std::fs::read_dir(&agent.ca_path).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            roots.add_parsable_certificates(certificates(&path.display().to_string())?);
        }
    }
    Ok(Arc::new(roots))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| format!("cannot read the agent's certificates {path}: {e}"))
}

fn in_gos_words(e: &Error) -> String {
    let unverified = |why: String| format!("tls: failed to verify certificate: x509: {why}");
    let stale = |time: &UnixTime, side: &str, limit: &UnixTime| {
        let now = rfc3339(time.as_secs());
        let limit = rfc3339(limit.as_secs());
        format!("certificate has expired or is not yet valid: current time {now} is {side} {limit}")
    };
    match e {
        Error::InvalidCertificate(why) => unverified(match why {
            CertificateError::UnknownIssuer => "certificate signed by unknown authority".into(),
            CertificateError::ExpiredContext { time, not_after } => stale(time, "after", not_after),
            CertificateError::NotValidYetContext { time, not_before } => stale(time, "before", not_before),
            CertificateError::NotValidForNameContext { expected, presented } => {
                other_name(&expected.to_str(), matches!(expected, ServerName::IpAddress(_)), presented)
            }
            other => other.to_string(),
        }),
        Error::InvalidMessage(_) => NOT_TLS.to_owned(),
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_name(*alert)),
        other => format!("tls: {other}"),
    }
}

fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure => "handshake failure".into(),
        AlertDescription::BadCertificate => "bad certificate".into(),
        AlertDescription::CertificateRequired => "certificate required".into(),
        AlertDescription::UnknownCA => "unknown certificate authority".into(),
        AlertDescription::ProtocolVersion => "protocol version not supported".into(),
        AlertDescription::NoApplicationProtocol => "no application protocol".into(),
        AlertDescription::UnrecognisedName => "unrecognized name".into(),
        AlertDescription::InternalError => "internal error".into(),
        other => format!("alert {}", u8::from(other)),
    }
}

/// The certificate is for other names. `presented` is in the verifier's notation: `DnsName("a.b")`.
fn other_name(expected: &str, is_ip: bool, presented: &[String]) -> String {
    let kind = if is_ip { "IpAddress(" } else { "DnsName(" };
    let bare = |text: &String| {
        let inner = text.strip_prefix(kind)?.strip_suffix(')')?;
        Some(inner.trim_matches('"').to_owned())
    };
    let names: Vec<String> = presented.iter().filter_map(bare).collect();
    match (names.is_empty(), is_ip) {
        (true, true) => {
            format!("cannot validate certificate for {expected} because it doesn't contain any IP SANs")
        }
        (true, false) => {
            format!("certificate is not valid for any names, but wanted to match {expected}")
        }
        _ => format!("certificate is valid for {}, not {expected}", names.join(", ")),
    }
}

fn rfc3339(seconds: u64) -> String {
    let c = WallTime(i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000)).civil();
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verification_errors_have_gos_words() {
        let at = |secs| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        let expired =
            CertificateError::ExpiredContext { time: at(1_764_101_539), not_after: at(1_609_459_200) };
        let name = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("bad.example").unwrap(),
            presented: vec!["DnsName(\"good.example\")".into(), "IpAddress(127.0.0.1)".into()],
        };
        for (why, words) in [
            (CertificateError::UnknownIssuer, "certificate signed by unknown authority"),
            (
                expired,
                "certificate has expired or is not yet valid: current time 2025-11-25T20:12:19Z is after 2021-01-01T00:00:00Z",
            ),
            (name, "certificate is valid for good.example, not bad.example"),
        ] {
            let text = in_gos_words(&Error::InvalidCertificate(why));
            assert_eq!(text, format!("tls: failed to verify certificate: x509: {words}"));
        }
    }
}
