//! HTTP checks of the running agent against services that mean it ill, and with the agent's own TLS files.

use lictor_tests::{Server, wait};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// Answers each connection with what `answer` makes of the request's head; the heads.
fn service(answer: impl Fn(&str, u16) -> Vec<u8> + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let (heads, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let head = head(&mut BufReader::new(&stream));
            let _ = (&stream).write_all(&answer(&head, port));
            if heads.send(head).is_err() {
                return;
            }
        }
    });
    (port, received)
}

fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    head
}

fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn check(server: &Server, definition: Value) {
    let answer = server.put("/v1/agent/check/register", &definition.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Status and output of a check, once it has run.
fn result(server: &Server, id: &str) -> (String, String) {
    let mut found = (String::new(), String::new());
    let ran = wait(|| {
        let checks = server.get("/v1/agent/checks").json();
        let of = |name: &str| checks[id][name].as_str().unwrap_or_default().to_owned();
        found = (of("Status"), of("Output"));
        !found.1.is_empty()
    });
    assert!(ran, "{id} never ran");
    found
}

#[test]
fn what_a_check_is_registered_with_stays_within_its_line_of_the_request() {
    let server = Server::start("check-lines", "");
    let (port, heads) = service(|_, _| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec());
    let url = format!("http://127.0.0.1:{port}/");
    let of = |id: &str, more: Value| {
        let mut definition = json!({"ID": id, "Name": id, "HTTP": url, "Interval": "1s"});
        definition.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        definition
    };
    check(&server, of("value", json!({"Header": {"X-A": ["v\r\nX-Injected: 1"]}})));
    check(&server, of("name", json!({"Header": {"X-A: v\r\nX-Injected": ["1"]}})));
    check(&server, of("method", json!({"Method": "GET / HTTP/1.1\r\nX-Injected: 1\r\n\r\nGET"})));
    check(&server, of("host", json!({"Header": {"Host": ["a\r\nX-Injected: 1"]}})));
    check(&server, of("url", json!({"HTTP": format!("{url}\r\nX-Injected: 1")})));
    check(&server, of("escaped", json!({"HTTP": format!("{url}%0d%0aX-Injected:%201")})));
    check(
        &server,
        of("frame", json!({"Header": {"Content-Length": ["50"], "Transfer-Encoding": ["chunked"]}})),
    );
    for id in ["value", "name", "method", "host", "url"] {
        let (status, output) = result(&server, id);
        assert_eq!(status, "critical", "{id}: {output}");
        assert!(output.contains("invalid"), "{id}: {output}");
    }
    for id in ["escaped", "frame"] {
        assert_eq!(result(&server, id).0, "passing", "{id}");
    }
    for head in heads.try_iter() {
        let lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
        let strange = ["x-injected", "content-length", "transfer-encoding"];
        assert!(!lines.iter().any(|line| strange.iter().any(|name| line.starts_with(name))), "{head}");
    }
}

#[test]
fn redirects_are_followed_so_far_and_no_further_and_tell_no_secrets() {
    let server = Server::start("check-redirects", "");
    let (port, heads) = service(|head, port| match head.split(' ').nth(1).unwrap_or_default() {
        "/round" => redirect("/round"),
        "/file" => redirect("file:///etc/passwd"),
        "/injected" => redirect("/there%0d%0aX-Injected:%201"),
        "/elsewhere" => redirect(&format!("http://localhost:{port}/there")),
        "/long" => [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 4 << 20]].concat(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    });
    for (id, more) in [
        ("round", json!({})),
        ("file", json!({})),
        ("injected", json!({})),
        ("elsewhere", json!({"Header": {"Authorization": ["secret"], "Cookie": ["secret"]}})),
        ("long", json!({})),
    ] {
        let mut definition =
            json!({"ID": id, "Name": id, "HTTP": format!("http://127.0.0.1:{port}/{id}"), "Interval": "1s"});
        definition.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        check(&server, definition);
    }
    let mut stays =
        json!({"ID": "stays", "Name": "stays", "HTTP": format!("http://127.0.0.1:{port}/round?stays")});
    stays["Interval"] = json!("1s");
    stays["DisableRedirects"] = json!(true);
    check(&server, stays);
    for (id, status, words) in [
        ("round", "critical", "stopped after 10 redirects"),
        ("file", "critical", "unsupported protocol scheme \"file\""),
        ("injected", "passing", "200 OK"),
        ("elsewhere", "passing", "200 OK"),
        ("long", "critical", ""),
        ("stays", "passing", ""),
    ] {
        let (found, output) = result(&server, id);
        assert_eq!(found, status, "{id}: {output}");
        assert!(output.contains(words) && output.len() < 10_000, "{id}: {output}");
        assert!(!output.contains("root:"), "{output}");
    }
    let heads: Vec<String> = heads.try_iter().collect();
    let to = |path: &str| {
        let begin = format!("GET {path} ");
        heads.iter().filter(move |head| head.starts_with(&begin)).collect::<Vec<_>>()
    };
    // The first of a chain has come from nowhere.
    let chains = to("/round").iter().filter(|head| !head.contains("Referer: ")).count();
    assert!((1..=10 * chains).contains(&to("/round").len()), "{} in {chains} chains", to("/round").len());
    assert!(!to("/there").is_empty() && to("/there").iter().all(|head| !head.contains("secret")));
    assert!(heads.iter().any(|head| head.starts_with("GET /elsewhere ") && head.contains("secret")));
}

fn certificate(name: &str) -> String {
    format!("{}/../io/src/checks/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A service that speaks only TLS, and only with clients that show a certificate of the test authority.
fn strict_service() -> u16 {
    let chain = |name: &str| -> Vec<CertificateDer<'static>> {
        let found = CertificateDer::pem_file_iter(certificate(name)).expect("a file");
        found.collect::<Result<_, _>>().expect("certificates")
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain("ca.crt"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain("server.crt"), key)
        .expect("a configuration");
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || answer_over_tls(stream, config));
        }
    });
    port
}

fn answer_over_tls(stream: TcpStream, config: Arc<ServerConfig>) {
    let session = ServerConnection::new(config).expect("a session");
    let mut reader = BufReader::new(StreamOwned::new(session, stream));
    if head(&mut reader).is_empty() {
        return;
    }
    let stream = reader.get_mut();
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    stream.conn.send_close_notify();
    let _ = stream.flush();
    let _ = stream.sock.read(&mut [0]);
}

#[test]
fn checks_show_the_agents_certificate_and_trust_its_authority_only_when_told_to() {
    let port = strict_service();
    let files = ["ca_file", "cert_file", "key_file"]
        .into_iter()
        .zip(["ca.crt", "server.crt", "server.key"].map(certificate))
        .map(|(key, path)| format!("{key:?}: {path:?}"));
    let files = files.collect::<Vec<_>>().join(", ");
    let definition =
        json!({"ID": "tls", "Name": "tls", "HTTP": format!("https://127.0.0.1:{port}/"), "Interval": "1s"});
    for (told, status, words) in
        [(true, "passing", "Output: secret"), (false, "critical", "unknown authority")]
    {
        let extra =
            format!(r#"{{"enable_agent_tls_for_checks": {told}, "tls": {{"internal_rpc": {{{files}}}}}}}"#);
        let server = Server::start("check-tls", &extra);
        check(&server, definition.clone());
        let (found, output) = result(&server, "tls");
        assert_eq!(found, status, "told: {told}: {output}");
        assert!(output.contains(words), "told: {told}: {output}");
    }
}
