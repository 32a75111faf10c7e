//! Checks over TLS, against servers with certificates of `certificates/`.

use super::*;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lictor_core::config::AgentTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

fn file(name: &str) -> String {
    format!("{}/src/checks/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file(name)).unwrap().collect::<Result<_, _>>().unwrap()
}

struct Side {
    certificate: &'static str,
    /// Clients must show a certificate of the test authority.
    strict: bool,
    alpn: Option<&'static str>,
}

const PLAIN: Side = Side { certificate: "server.crt", strict: false, alpn: None };

/// An HTTP server over TLS; HTTP/2 when that was agreed upon. Shows the protocol in its answer.
async fn tls_server(side: Side) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain("ca.crt"));
    let builder = match side.strict {
        true => builder.unwrap().with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
        ),
        false => builder.unwrap().with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let mut config = builder.with_single_cert(chain(side.certificate), key).unwrap();
    config.alpn_protocols = side.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service =
                    hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                        // Also an answer to a health check of gRPC: SERVING.
                        let body = match request.uri().path() {
                            "/grpc.health.v1.Health/Check" => vec![0, 0, 0, 0, 2, 8, 1],
                            _ => format!("{:?}", request.version()).into_bytes(),
                        };
                        let body = http_body_util::Full::new(bytes::Bytes::from(body));
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
                    });
                let io = TokioIo::new(stream);
                if h2 {
                    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                }
            });
        }
    });
    port
}

/// Trusts the test authority, as `enable_agent_tls_for_checks` does.
fn trusting(with_certificate: bool) -> ProbeTls {
    let own = |name: &str| if with_certificate { file(name) } else { String::new() };
    let agent = AgentTls {
        ca_file: file("ca.crt"),
        ca_path: String::new(),
        cert_file: own("server.crt"),
        key_file: own("server.key"),
    };
    ProbeTls { agent: Some(Arc::new(agent)), ..ProbeTls::default() }
}

async fn tcp(port: u16, tls: ProbeTls) -> (&'static str, String) {
    let address = format!("127.0.0.1:{port}");
    let (status, output) = parts(run_probe(Probe::Tcp { address, tls: Some(tls) }, LONG).await);
    (status, output.replace(&port.to_string(), "PORT"))
}

#[tokio::test]
async fn a_certificate_is_verified_unless_told_otherwise() {
    let port = tls_server(PLAIN).await;
    let good = ("passing", "TCP+TLS connect 127.0.0.1:PORT: Success".to_owned());
    let x509 = |why: &str| ("critical", format!("tls: failed to verify certificate: x509: {why}"));
    assert_eq!(tcp(port, ProbeTls::default()).await, x509("certificate signed by unknown authority"));
    assert_eq!(tcp(port, ProbeTls { skip_verify: true, ..ProbeTls::default() }).await, good);
    assert_eq!(tcp(port, trusting(false)).await, good);
    let named = |name: &str| ProbeTls { server_name: name.to_owned(), ..trusting(false) };
    assert_eq!(tcp(port, named("good.example")).await, good);
    let other = "certificate is valid for good.example, not bad.example";
    assert_eq!(tcp(port, named("bad.example")).await, x509(other));
    let address = "certificate is valid for 127.0.0.1, not 127.0.0.2";
    assert_eq!(tcp(port, named("127.0.0.2")).await, x509(address));

    let expired = tls_server(Side { certificate: "expired.crt", ..PLAIN }).await;
    let (status, output) = tcp(expired, trusting(false)).await;
    assert_eq!(status, "critical");
    assert!(output.ends_with(" is after 2021-01-01T00:00:00Z"), "{output}");
    assert!(output.contains("certificate has expired or is not yet valid: current time 2"), "{output}");
}

#[tokio::test]
async fn the_agents_certificate_is_shown_where_it_is_asked_for() {
    let port = tls_server(Side { strict: true, ..PLAIN }).await;
    let url = format!("https://127.0.0.1:{port}/");
    let https = |tls: ProbeTls| match get(&url) {
        Probe::Http { url, method, headers, body, disable_redirects, .. } => {
            run_probe(Probe::Http { url, method, headers, body, disable_redirects, tls }, LONG)
        }
        _ => unreachable!(),
    };
    let (status, output) = parts(https(trusting(true)).await);
    assert_eq!((status, output), ("passing", format!("HTTP GET {url}: 200 OK Output: HTTP/1.1")));
    let (status, output) = parts(https(trusting(false)).await);
    assert_eq!(status, "critical", "{output}");
    let mut lost = trusting(true);
    lost.agent = Some(Arc::new(AgentTls { ca_file: "/no/ca.crt".to_owned(), ..AgentTls::default() }));
    let (status, output) = parts(https(lost).await);
    assert!(status == "critical" && output.contains("/no/ca.crt"), "{output}");
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_offers_it() {
    let port = tls_server(Side { alpn: Some("h2"), ..PLAIN }).await;
    let address = format!("127.0.0.1:{port}");
    let tls = || trusting(false);
    let ping = Probe::H2Ping { address: address.clone(), tls: Some(tls()) };
    assert_eq!(run_probe(ping, LONG).await, passing("HTTP2 ping was successful"));
    let grpc = Probe::Grpc { address: address.clone(), service: String::new(), tls: Some(tls()) };
    assert_eq!(run_probe(grpc, LONG).await, passing(format!("gRPC check {address}: success")));
    let Probe::Http { url, method, headers, body, disable_redirects, .. } =
        get(&format!("https://{address}/"))
    else {
        panic!()
    };
    let http = Probe::Http { url, method, headers, body, disable_redirects, tls: tls() };
    let (status, output) = parts(run_probe(http, LONG).await);
    assert_eq!(
        (status, output),
        ("passing", format!("HTTP GET https://{address}/: 200 OK Output: HTTP/2.0"))
    );
    let distrusting = Probe::H2Ping { address: address.clone(), tls: Some(ProbeTls::default()) };
    let why = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    assert_eq!(run_probe(distrusting, LONG).await, critical(format!("Failed to dial to {address}: {why}")));
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_so() {
    let (port, _asked) = http_server(|_, _| ok(""));
    // The first flight holds no empty line; the server answers when it has read enough.
    let plain = server(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert_eq!(tcp(plain, ProbeTls::default()).await, ("critical", super::super::tls::NOT_TLS.to_owned()));
    let url = format!("https://127.0.0.1:{plain}/");
    let why = "http: server gave HTTP response to HTTPS client";
    assert_eq!(run_probe(get(&url), LONG).await, critical(format!("Get \"{url}\": {why}")));
    let silent = Probe::Tcp { address: format!("127.0.0.1:{port}"), tls: Some(ProbeTls::default()) };
    let late = run_probe(silent, Duration::from_millis(200)).await;
    assert_eq!(late, critical("context deadline exceeded"));
}
