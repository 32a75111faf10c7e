//! What an HTTP check sends, follows, reads and refuses.

use super::*;

fn special(
    probe: Probe,
    adjust: impl FnOnce(&mut String, &mut BTreeMap<String, Vec<String>>, &mut String),
) -> Probe {
    match probe {
        Probe::Http { url, mut method, mut headers, mut body, disable_redirects, tls } => {
            adjust(&mut method, &mut headers, &mut body);
            Probe::Http { url, method, headers, body, disable_redirects, tls }
        }
        other => other,
    }
}

async fn ask(probe: Probe) -> (&'static str, String) {
    parts(run_probe(probe, LONG).await)
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn the_request_is_as_registered_and_the_rest_is_consuls() {
    let (port, asked) = http_server(|_, _| ok("hi"));
    let url = format!("http://127.0.0.1:{port}/a b?c");
    let (status, output) = ask(get(&url)).await;
    assert_eq!((status, output), ("passing", format!("HTTP GET {url}: 200 OK Output: hi")));
    let plain = asked.recv().unwrap();
    for line in [
        "GET /a%20b?c HTTP/1.1\r\n",
        &format!("\r\nHost: 127.0.0.1:{port}\r\n"),
        "\r\nUser-Agent: Consul Health Check\r\n",
        "\r\nAccept: text/plain, text/*, */*\r\n",
        "\r\nConnection: close\r\n",
    ] {
        assert!(plain.contains(line), "{line:?} in {plain:?}");
    }

    let probe = special(get(&format!("http://u:p@127.0.0.1:{port}/")), |method, headers, body| {
        *method = "put".to_owned();
        *body = "data".to_owned();
        for (name, value) in [
            ("Host", "h.example"),
            ("User-Agent", "mine"),
            ("X-A", "1"),
            ("Content-Length", "99999"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive"),
        ] {
            headers.insert(name.to_owned(), vec![value.to_owned()]);
        }
    });
    assert_eq!(ask(probe).await.0, "passing");
    let request = asked.recv().unwrap();
    assert!(request.starts_with("put / HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n"), "{request}");
    for line in ["User-Agent: mine", "X-A: 1", "Authorization: Basic dTpw", "Content-Length: 4"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} in {request:?}");
    }
    assert!(request.ends_with("\r\n\r\ndata") && !request.contains("chunked"), "{request:?}");
}

#[tokio::test]
async fn nothing_is_sent_when_a_header_would_break_out_of_its_line() {
    let (port, asked) = http_server(|_, _| ok("hi"));
    for (name, value, why) in [
        ("X-A\r\nHost", "evil", "net/http: invalid header field name \"X-A\\r\\nHost\""),
        ("X-A", "v\r\nX-B: 1", "net/http: invalid header field value for \"X-A\""),
    ] {
        let url = format!("http://127.0.0.1:{port}/");
        let probe = special(get(&url), |_, headers, _| {
            headers.insert(name.to_owned(), vec![value.to_owned()]);
        });
        assert_eq!(ask(probe).await, ("critical", format!("Get \"{url}\": {why}")));
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn redirects_are_followed_ten_requests_long_and_not_at_all_on_demand() {
    let (port, asked) = http_server(|path, _| match path.strip_prefix("/loop") {
        Some(n) => redirect(302, &format!("/loop{}", n.parse::<u32>().unwrap() + 1)),
        None => match path {
            "/to" => redirect(301, "target"),
            "/nowhere" => "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nno".to_owned(),
            "/down" => redirect(302, "http://127.0.0.1:1/x"),
            "/file" => redirect(302, "file:///etc/passwd"),
            _ => ok("there"),
        },
    });
    let base = format!("http://127.0.0.1:{port}");
    assert_eq!(ask(get(&format!("{base}/to"))).await.1, format!("HTTP GET {base}/to: 200 OK Output: there"));
    asked.recv().unwrap();
    assert!(asked.recv().unwrap().contains(&format!("\r\nReferer: {base}/to\r\n")));
    assert_eq!(
        ask(get(&format!("{base}/loop0"))).await,
        ("critical", "Get \"/loop10\": stopped after 10 redirects".to_owned())
    );
    assert_eq!(asked.try_iter().count(), 10);
    assert_eq!(
        ask(get(&format!("{base}/nowhere"))).await,
        ("critical", format!("HTTP GET {base}/nowhere: 302 Found Output: no"))
    );
    let refused = "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(ask(get(&format!("{base}/down"))).await, ("critical", refused.to_owned()));
    let scheme = "Get \"file:///etc/passwd\": unsupported protocol scheme \"file\"";
    assert_eq!(ask(get(&format!("{base}/file"))).await, ("critical", scheme.to_owned()));
    let Probe::Http { url, method, headers, body, tls, .. } = get(&format!("{base}/to")) else { panic!() };
    let still = Probe::Http { url, method, headers, body, disable_redirects: true, tls };
    assert_eq!(ask(still).await, ("critical", format!("HTTP GET {base}/to: 301 X Output: ")));
}

#[tokio::test]
async fn secrets_and_bodies_go_where_gos_client_takes_them() {
    let (port, asked) = http_server(|path, own| match path {
        "/same" => redirect(307, "/end"),
        "/other" => redirect(302, &format!("http://localhost:{own}/end")),
        _ => ok(""),
    });
    for (path, kept) in [("/same", true), ("/other", false)] {
        let probe = special(get(&format!("http://127.0.0.1:{port}{path}")), |method, headers, body| {
            *method = "POST".to_owned();
            *body = "data".to_owned();
            headers.insert("Authorization".to_owned(), vec!["secret".to_owned()]);
            headers.insert("Host".to_owned(), vec!["given".to_owned()]);
        });
        assert_eq!(ask(probe).await.0, "passing");
        asked.recv().unwrap();
        let last = asked.recv().unwrap();
        assert_eq!(last.starts_with("POST"), kept, "{last}");
        assert_eq!(last.ends_with("data"), kept, "{last}");
        assert_eq!(last.contains("Authorization: secret"), kept, "{last}");
        assert_eq!(last.contains("Host: given"), kept, "{last}");
    }
}

#[tokio::test]
async fn the_status_decides_and_the_end_of_the_body_is_shown() {
    let (port, _asked) = http_server(|path, _| match path {
        "/429" => "HTTP/1.1 429 Slow Down\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "/broken" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart".to_owned(),
        "/long" => ok(&"0123456789".repeat(1000)),
        "/none" => String::new(),
        _ => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
    });
    let base = format!("http://127.0.0.1:{port}");
    for (path, status, rest) in [
        ("/429", "warning", ": 429 Slow Down Output: x"),
        ("/204", "passing", ": 204 No Content Output: "),
        ("/broken", "passing", ": 200 OK Output: part"),
        ("/503", "critical", ": 503 Service Unavailable Output: "),
    ] {
        let url = format!("{base}{path}");
        assert_eq!(ask(get(&url)).await, (status, format!("HTTP GET {url}{rest}")));
    }
    let (status, output) = ask(get(&format!("{base}/long"))).await;
    assert_eq!(
        (status, output.len()),
        ("passing", 4096 + format!("HTTP GET {base}/long: 200 OK Output: ").len())
    );
    let none = ask(get(&format!("{base}/none"))).await;
    assert_eq!(none, ("critical", format!("Get \"{base}/none\": EOF")));
}

#[tokio::test]
async fn a_head_in_time_counts_and_an_endless_body_ends_with_the_timeout() {
    let port = server(|mut stream| {
        let request = read_request(&mut stream);
        if request.starts_with("GET /body") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        }
        std::thread::spawn(move || {
            // Held open until the probe hangs up.
            let _ = stream.read(&mut [0]);
        });
    });
    let timeout = Duration::from_millis(300);
    let url = format!("http://127.0.0.1:{port}/body");
    let slow_body = parts(run_probe(get(&url), timeout).await);
    // On a machine so busy that not even the head comes in time, there is nothing to see.
    if slow_body.0 == "passing" {
        assert_eq!(slow_body.1, format!("HTTP GET {url}: 200 OK Output: part"));
    }
    let url = format!("http://127.0.0.1:{port}/head");
    let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    assert_eq!(run_probe(get(&url), timeout).await, critical(format!("Get \"{url}\": {why}")));
}
