//! What no client should send over HTTP: each is refused in words, nothing changes, and the server goes
//! on answering.

use lictor_tests::http::{exchange, raw_request};
use lictor_tests::{Connection, Server, process, wait};
use std::io::{Read, Write};
use std::time::Duration;

const REGISTER: &str = "/v1/agent/service/register";

/// A request as bytes, closed by the server after its answer.
fn put(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("PUT {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn sized(target: &str, body: &[u8]) -> Vec<u8> {
    put(target, &format!("Content-Length: {}\r\n", body.len()), body)
}

fn chunked(target: &str, body: &[u8]) -> Vec<u8> {
    put(target, "Transfer-Encoding: chunked\r\n", body)
}

fn settled(server: &Server) -> String {
    // The node's own registration is under way at first.
    assert!(wait(|| server.get("/v1/catalog/services").json()["consul"].is_array()));
    server.put("/v1/kv/kept", "value");
    server.holds()
}

#[test]
fn bodies_that_are_no_request_are_refused_in_words_and_change_nothing() {
    let mut server = Server::start("bodies", "");
    let before = settled(&server);
    let deep = |open: &str| open.repeat(200_000).into_bytes();
    let many = vec![r#"{"KV": {"Verb": "set", "Key": "k", "Value": "eA=="}}"#; 129].join(",");
    let large = format!(r#"[{{"KV": {{"Verb": "set", "Key": "k", "Value": "{}"}}}}]"#, "A".repeat(600_000));
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (REGISTER, b"{nonsense".to_vec(), 400, "Request decode failed: invalid character 'n'"),
        (REGISTER, Vec::new(), 400, "Request decode failed: EOF"),
        (REGISTER, b"{\"Name\": \"x\"".to_vec(), 400, "unexpected EOF"),
        (REGISTER, b"null".to_vec(), 400, "Missing service name"),
        (REGISTER, b"[]".to_vec(), 400, "cannot unmarshal array"),
        (REGISTER, br#"{"Name": 5}"#.to_vec(), 400, "cannot unmarshal number"),
        (REGISTER, br#"{"Name": "x", "Port": "80"}"#.to_vec(), 400, "cannot unmarshal string"),
        (REGISTER, br#"{"Name": "x", "Check": {"TTL": "soon"}}"#.to_vec(), 400, "soon"),
        (REGISTER, deep("["), 400, "exceeded max depth"),
        (REGISTER, deep(r#"{"Meta":"#), 400, "exceeded max depth"),
        (REGISTER, vec![b' '; 9 << 20], 413, "too large"),
        ("/v1/agent/check/register", b"{}".to_vec(), 400, "Missing check name"),
        ("/v1/catalog/register", deep("["), 400, "exceeded max depth"),
        ("/v1/catalog/register", b"{}".to_vec(), 500, "Must provide node"),
        ("/v1/catalog/register", br#"{"Node": "n", "Address": "a", "What": 1}"#.to_vec(), 400, "What"),
        ("/v1/catalog/deregister", b"[1".to_vec(), 400, "decode failed"),
        ("/v1/txn", br#"{"KV": 1}"#.to_vec(), 400, "Failed to parse body"),
        ("/v1/txn", deep("["), 400, "exceeded max depth"),
        ("/v1/txn", format!("[{many}]").into_bytes(), 413, "too many operations (129 > 128)"),
        ("/v1/txn", large.into_bytes(), 413, "txn_max_req_len"),
        ("/v1/kv/big", vec![b'v'; (512 << 10) + 1], 413, "max size: 524288 bytes"),
        ("/v1/kv/big", vec![b'v'; 9 << 20], 413, "max size: 524288 bytes"),
        ("/v1/kv/kept?cas=x", b"v".to_vec(), 500, "invalid syntax"),
        ("/v1/kv/kept?flags=-1", b"v".to_vec(), 500, "invalid syntax"),
        ("/v1/kv/kept?cas=1&acquire=x", b"v".to_vec(), 400, "Conflicting flags"),
    ];
    for (target, body, status, words) in cases {
        let what = format!("{target} {}", String::from_utf8_lossy(&body[..body.len().min(40)]));
        let answer =
            raw_request(server.http, &sized(target, &body)).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(answer.text().contains(words), "{what}: {}", answer.text());
    }
    assert_eq!(server.holds(), before, "something changed");
    assert_eq!(
        server.put("/v1/kv/big", &"v".repeat(512 << 10)).text(),
        "true",
        "the limit itself is allowed"
    );
    assert!(server.runs());
}

#[test]
fn requests_that_are_no_http_are_refused_or_dropped_and_change_nothing() {
    let mut server = Server::start("framing", "");
    let before = settled(&server);
    let get = |rest: &str| format!("GET /v1/status/leader HTTP/1.1\r\n{rest}\r\n").into_bytes();
    let long_header = get(&format!("Host: a\r\nX: {}\r\n", "x".repeat(2 << 20)));
    let many_headers = get(&format!("Host: a\r\n{}", "X: y\r\n".repeat(20_000)));
    // Status 0: the connection is closed without an answer.
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("no Host", get("Connection: close\r\n"), 400),
        ("an oversized header", long_header, 431),
        ("too many headers", many_headers, 431),
        ("many headers", get(&format!("Host: a\r\nConnection: close\r\n{}", "X: y\r\n".repeat(1000))), 200),
        ("a header without a colon", get("Host: a\r\nnocolon\r\n"), 400),
        ("a zero byte in a header", get("Host: a\r\nX: a\0b\r\n"), 400),
        ("a space in a header's name", get("Host: a\r\nX Y: 1\r\n"), 400),
        ("another protocol's version", b"GET / HTTP/3.7\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("garbage", b"\x00\xff\xfe garbage\r\n\r\n".to_vec(), 400),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 0),
        ("nothing", Vec::new(), 0),
        ("an empty line", b"\r\n\r\n".to_vec(), 0),
        ("half a request line", b"PUT /v1/kv/x HT".to_vec(), 0),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(), 404),
        ("CONNECT without Host", b"CONNECT a:80 HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(), 404),
        (
            "an unknown method",
            b"BREW /v1/kv/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
            405,
        ),
        ("a key of 1 MB", sized(&format!("/v1/kv/{}", "k".repeat(1_000_000)), b"v"), 414),
        ("a key that is not text", put("/v1/kv/%ff%fe", "Content-Length: 1\r\n", b"v"), 500),
        ("a key with a control character", put("/v1/kv/a%00b", "Content-Length: 1\r\n", b"v"), 400),
        ("a broken escape", put("/v1/kv/%zz", "Content-Length: 1\r\n", b"v"), 400),
        ("bytes above ASCII in the target", b"PUT /v1/kv/\xff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("a negative length", put("/v1/kv/x", "Content-Length: -5\r\n", b"hello"), 400),
        (
            "a length beyond all numbers",
            put("/v1/kv/x", "Content-Length: 99999999999999999999999\r\n", b"v"),
            400,
        ),
        ("a value that says it is too long", put("/v1/kv/x", "Content-Length: 600000\r\n", b""), 413),
        (
            "one that waits to be told to go on",
            put("/v1/kv/x", "Content-Length: 600000\r\nExpect: 100-continue\r\n", b""),
            413,
        ),
        ("a transaction that says so", put("/v1/txn", "Content-Length: 600000\r\n", b""), 413),
        ("a huge length", put("/v1/kv/x", "Content-Length: 99999999999999\r\n", b"hello"), 413),
        ("two lengths", put("/v1/kv/x", "Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"), 400),
        ("a length that is never reached", put("/v1/kv/x", "Content-Length: 100\r\n", b"hello"), 400),
        ("chunks without a size", chunked("/v1/kv/x", b"zz\r\nhello\r\n0\r\n\r\n"), 400),
        ("a chunk of endless size", chunked("/v1/kv/x", b"fffffffffffffffff\r\nhello"), 400),
        ("chunks that break off", chunked("/v1/kv/x", b"50\r\nhello"), 400),
        ("chunks that never end", chunked("/v1/kv/x", b"5\r\nhello\r\n"), 400),
    ];
    for (what, bytes, status) in cases {
        let answer = exchange(server.http, &bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        let line = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        match status {
            0 => assert!(answer.is_empty(), "{what}: {line}"),
            _ => assert_eq!(line, format!("HTTP/1.1 {status}"), "{what}"),
        }
    }
    assert_eq!(server.holds(), before, "something changed");
    assert!(server.runs());
}

#[test]
fn a_body_has_one_end_however_it_is_announced() {
    let mut server = Server::start("smuggled", "");
    let before = settled(&server);
    // What follows the body in one reading, and is part of it in another.
    let hidden = "PUT /v1/kv/hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nh";
    for headers in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5, 0\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
    ] {
        let body = format!("0\r\n\r\n{hidden}");
        let request = format!("PUT /v1/kv/seen HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}");
        let answer = exchange(server.http, request.as_bytes()).unwrap_or_else(|e| panic!("{headers:?}: {e}"));
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 400") || text.starts_with("HTTP/1.1 501"), "{headers:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {text}");
    }
    assert_eq!(server.holds(), before, "something changed");
    // Beside chunks a length does not count.
    for headers in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 90",
    ] {
        let request = format!("PUT /v1/kv/seen HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        let answer = exchange(server.http, request.as_bytes()).expect("an answer");
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.starts_with("HTTP/1.1 200") && text.matches("HTTP/1.1 ").count() == 1, "{text}");
        assert_eq!(server.get("/v1/kv/seen?raw").text(), "hi", "{headers}");
    }
    assert!(server.runs());
}

#[test]
fn filters_without_end_are_refused_in_words() {
    let mut server = Server::start("filters", "");
    let before = settled(&server);
    let matching = |pattern: &str, count: usize| vec![format!("Node%20matches%20%60{pattern}%60"); count];
    let wide = "(%3fi)[a%5cD]";
    let cases = [
        ("(".repeat(5_000), "the expression nests deeper than 100 levels"),
        ("not%20".repeat(5_000), "the expression nests deeper than 100 levels"),
        (vec!["a==b"; 2_049].join("%20or%20"), "the expression compares more than 2048 times"),
        (matching("a", 33).join("%20or%20"), "the expression holds more than 32 patterns"),
        (matching(&"a".repeat(513), 1).join(""), "the patterns of the expression are longer than 512 bytes"),
        (matching("((a%7b100%7d)%7b100%7d)", 1).join(""), "invalid repeat count: `{100}`"),
        (matching("%5cpL%7b1000%7d", 1).join(""), "expression too large"),
        (matching(wide, 3).join("%20or%20"), "too many characters without regard to case"),
    ];
    for (filter, words) in cases {
        let answer = server.get(&format!("/v1/catalog/nodes?filter={filter}"));
        let what = &filter[..filter.len().min(40)];
        assert_eq!(answer.status, 500, "{what}: {}", answer.text());
        let begin = "Failed to create boolean expression evaluator: ";
        assert!(
            answer.text().starts_with(begin) && answer.text().contains(words),
            "{what}: {}",
            answer.text()
        );
    }
    assert_eq!(server.holds(), before, "something changed");
    assert!(server.runs());
}

#[test]
fn ids_that_climb_are_names_like_others_and_make_no_files() {
    let server = Server::start("climbing", "");
    settled(&server);
    let around = || {
        let dir = server.data().parent().expect("a directory above").to_path_buf();
        let inside = [dir, server.data()].map(|dir| std::fs::read_dir(dir).expect("readable"));
        let mut names: Vec<_> = inside.into_iter().flatten().map(|e| e.expect("an entry").path()).collect();
        names.sort();
        names
    };
    let before = around();
    let body = r#"{"ID": "../../climbed", "Name": "dots", "Check": {"CheckID": "../up", "TTL": "1h"}}"#;
    assert_eq!(server.put(REGISTER, body).status, 200);
    assert_eq!(server.get("/v1/agent/service/..%2f..%2fclimbed").json()["ID"], "../../climbed");
    assert_eq!(server.put("/v1/agent/check/pass/..%2fup", "").status, 200);
    assert_eq!(server.put("/v1/kv/a%2f..%2f..%2fclimbed", "v").text(), "true");
    assert_eq!(around(), before, "a name became a file");
    assert_eq!(server.put("/v1/agent/service/deregister/..%2f..%2fclimbed", "").status, 200);
    assert!(server.get("/v1/agent/services").json()["../../climbed"].is_null());
}

#[test]
fn chunked_bodies_old_versions_and_pipelined_requests_are_served() {
    let server = Server::start("served", "");
    let answer =
        raw_request(server.http, &chunked("/v1/kv/c", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")).expect("HTTP");
    assert_eq!(answer.text(), "true");
    assert_eq!(server.get("/v1/kv/c?raw").text(), "hello");
    let old = exchange(server.http, b"GET /v1/kv/c?raw HTTP/1.0\r\n\r\n").expect("an answer");
    let old = String::from_utf8_lossy(&old).into_owned();
    assert!(old.starts_with("HTTP/1.0 200") && old.ends_with("\r\n\r\nhello"), "{old}");
    let mut connection = Connection::open(server.http).expect("a connection");
    let write = "PUT /v1/kv/p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1";
    let read = "GET /v1/kv/p?raw HTTP/1.1\r\nHost: a\r\n\r\n";
    connection.raw().write_all(format!("{write}{read}{write}").as_bytes()).expect("sent");
    for expected in ["true", "1", "true"] {
        assert_eq!(connection.answer().expect("an answer").text(), expected);
    }
}

/// Sends `pieces` with a pause between them; status line and headers but for `Date`, sorted, and the body.
fn answer_to(server: &Server, pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let mut connection = Connection::open(server.http).expect("a connection");
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 {
            std::thread::sleep(Duration::from_millis(30));
        }
        connection.raw().write_all(piece).expect("sent");
    }
    let mut bytes = Vec::new();
    connection.raw().read_to_end(&mut bytes).expect("an answer");
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("headers");
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).expect("text");
    let mut lines: Vec<_> = head.lines().filter(|l| !l.starts_with("Date: ")).map(str::to_owned).collect();
    lines.sort();
    (lines, body)
}

#[test]
fn a_request_is_answered_alike_whether_it_comes_whole_or_in_pieces() {
    let server = Server::start("pieces", "");
    settled(&server);
    let get = |target: &str, headers: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n").into_bytes()
    };
    server.put("/v1/kv/long", &"long ".repeat(1000));
    let cases = [
        get("/v1/kv/kept", ""),
        get("/v1/kv/kept?raw", ""),
        get("/v1/kv/kept?index=1&wait=1s", ""),
        get("/v1/kv/none", ""),
        get("/v1/kv/", ""),
        get("/v1/kv/a%20b", ""),
        get("/v1/kv/long", "Accept-Encoding: gzip\r\n"),
        get("/v1/kv/long?raw", "Accept-Encoding: br, gzip;q=0.5\r\n"),
        get("/v1/kv/kept?consistent", "X-Consul-Namespace: n\r\n"),
        get("/v1/kv/kept?index=x", ""),
        get("/v1/catalog/services", "Cache-Control: max-age=x\r\n"),
        get("/v1/health/service/consul?passing", ""),
        get("/v1/catalog//nodes?a=b", ""),
        get("/v1/none", ""),
        get("/v1/kv/a;b", ""),
        get("/v1/kv/%zz", ""),
        get("/", ""),
        sized("/v1/kv/kept", b"value"),
        sized("/v1/kv/kept?cas=x", b"value"),
        sized("/v1/txn", b"[]"),
        sized("/v1/none", b""),
        sized("/v1/catalog/nodes", b"{}"),
        sized(REGISTER, b"{nonsense"),
    ];
    for request in cases {
        let line = String::from_utf8_lossy(&request[..request.len().min(50)]).into_owned();
        let whole = answer_to(&server, &[&request]);
        // After its first piece it is not known yet what it will be.
        let in_pieces = answer_to(&server, &[&request[..9], &request[9..]]);
        assert_eq!(whole.0, in_pieces.0, "{line}");
        assert_eq!(whole.1, in_pieces.1, "{line}");
    }
}

#[test]
fn a_connection_may_be_idle_for_longer_than_headers_may_take() {
    let server = Server::start("idle_http", "");
    let mut whole = Connection::open(server.http).expect("a connection");
    let mut pieces = Connection::open(server.http).expect("a connection");
    let unused = Connection::open(server.http).expect("a connection");
    assert_eq!(whole.ask("GET", "/v1/status/leader", b"").expect("an answer").status, 200);
    pieces.raw().write_all(b"GET /v1/status/").expect("sent");
    std::thread::sleep(Duration::from_millis(30));
    pieces.raw().write_all(b"leader HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    assert_eq!(pieces.answer().expect("an answer").status, 200);
    std::thread::sleep(Duration::from_secs(32));
    for mut connection in [whole, pieces, unused] {
        assert_eq!(connection.ask("GET", "/v1/status/leader", b"").expect("still open").status, 200);
    }
}

#[test]
fn headers_that_trickle_in_hold_up_nobody_and_are_given_up() {
    let server = Server::start("slow", "");
    let mut slow: Vec<_> = (0..50).map(|_| Connection::open(server.http).expect("a connection")).collect();
    for byte in b"GET /v1/status/leader HTTP/1.1\r\n" {
        for connection in &mut slow {
            connection.raw().write_all(&[*byte]).expect("sent");
        }
        assert_eq!(server.get("/v1/status/leader").status, 200, "others are answered");
    }
    // Nothing more comes: after a while each is closed from the other side.
    for connection in &mut slow {
        let mut rest = Vec::new();
        let ended = connection.raw().read_to_end(&mut rest);
        assert!(ended.is_ok(), "still open: {ended:?}");
    }
}

#[test]
fn large_bodies_from_everywhere_at_once_take_bounded_memory() {
    let server = Server::start("heavy", "");
    let before = settled(&server);
    let Some(at_rest) = process::memory(server.pid()) else {
        println!("SKIPPED: the system does not tell a process's memory");
        return;
    };
    // 300 clients would hold 7 MiB each: they stop one byte before the end.
    let size = 7 << 20;
    let head = format!("PUT {REGISTER} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
    let mut held = Vec::new();
    let mut refused = 0;
    let body = vec![b' '; size - 1];
    for client in 0..300u16 {
        let source = [127, 0, 3, (client / 50) as u8 + 1];
        let mut connection = Connection::open_from(source, server.http).expect("a connection");
        connection.raw().set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let sent =
            connection.raw().write_all(head.as_bytes()).and_then(|()| connection.raw().write_all(&body));
        match sent {
            Ok(()) => held.push(connection),
            Err(_) => {
                refused += 1;
                if let Ok(answer) = connection.answer() {
                    assert_eq!(answer.status, 429, "{}", answer.text());
                    assert!(answer.text().contains("nothing was changed"), "{}", answer.text());
                }
            }
        }
        if refused == 20 {
            break;
        }
    }
    let peak = process::memory(server.pid()).unwrap_or(0);
    println!(
        "{} bodies held, {refused} refused; {} KiB at rest, {} KiB now",
        held.len(),
        at_rest >> 10,
        peak >> 10
    );
    assert!(refused > 0, "300 bodies of 7 MiB were all taken");
    assert!(peak < at_rest + (512 << 20), "memory is not bounded");
    assert_eq!(server.put("/v1/kv/small", "x").text(), "true", "small requests go on");
    drop(held);
    assert!(
        wait(|| server.put("/v1/kv/large", &"x".repeat(500 << 10)).status == 200),
        "large ones do not resume"
    );
    server.ask("DELETE", "/v1/kv/small", "");
    server.ask("DELETE", "/v1/kv/large", "");
    let names = |text: &str| text.matches("Key").count() + text.matches("ServiceID").count();
    assert_eq!(names(&server.holds()), names(&before));
}

#[test]
fn reads_that_wait_hold_no_memory_for_bodies() {
    let server = Server::start("parked_bodies", "");
    settled(&server);
    // More than all bodies together may take.
    let body = vec![b' '; 8 << 20];
    let head = format!(
        "GET /v1/kv/x?index=1000000000&wait=10m HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut parked = Vec::new();
    for _ in 0..24 {
        let mut connection = Connection::open(server.http).expect("a connection");
        let stream = connection.raw();
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).expect("taken");
        parked.push(connection);
    }
    let waiting = || {
        let metrics = server.get("/v1/agent/metrics").json();
        let gauges = metrics["Gauges"].as_array().cloned().unwrap_or_default();
        let blocking =
            gauges.iter().filter(|g| g["Name"].as_str().is_some_and(|n| n.ends_with("rpc.queries_blocking")));
        blocking.filter_map(|g| g["Value"].as_f64()).sum::<f64>()
    };
    assert!(wait(|| waiting() == 24.0), "{} of 24 wait", waiting());
    assert_eq!(server.put("/v1/kv/large", &"x".repeat(512 << 10)).status, 200);
    drop(parked);
    assert!(wait(|| waiting() == 0.0));
}
