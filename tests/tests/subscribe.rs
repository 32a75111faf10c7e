//! Following a service over gRPC, as Consul's client agents do for blocking and cached health reads.
//!
//! With a real agent where `CONSUL_BIN` names the binary.

use lictor_tests::server::free_ports;
use lictor_tests::{Scratch, Server, request, wait};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A connection of HTTP/2, byte by byte.
struct Http2 {
    stream: TcpStream,
    /// The messages of the stream that was asked for last.
    data: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

/// A header field as HPACK writes it literally: the start, and a value.
fn literal(start: &[u8], value: &str) -> Vec<u8> {
    [start, &[u8::try_from(value.len()).expect("short")], value.as_bytes()].concat()
}

impl Http2 {
    fn connect(port: u16) -> Http2 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let hello = [&b"\x08PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat();
        stream.write_all(&hello).expect("it is open");
        Http2 { stream, data: Vec::new() }
    }

    fn ask(&mut self, stream: u32, path: &str, message: &[u8]) {
        let headers = [
            vec![0x83, 0x86],
            literal(&[0x04], path),
            literal(&[0x01], "server"),
            literal(&[0x0f, 0x10], "application/grpc"),
            literal(b"\x00\x02te", "trailers"),
        ];
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        let body = [&[0][..], &length, message].concat();
        let asked = [frame(1, 4, stream, &headers.concat()), frame(0, 1, stream, &body)].concat();
        self.stream.write_all(&asked).expect("the server reads");
        self.data.clear();
    }

    /// The next frame: its kind, flags, stream and body.
    fn next(&mut self) -> (u8, u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).expect("a frame");
        let mut body = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut body).expect("the rest of it");
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        (head[3], head[4], stream, body)
    }

    /// Waits for a message of any stream that has these bytes somewhere; no stream may end.
    fn wait_for(&mut self, bytes: &[u8]) {
        while !self.data.windows(bytes.len()).any(|part| part == bytes) {
            let (kind, flags, _, body) = self.next();
            assert!(kind != 7 && (kind > 1 || flags & 1 == 0), "it ended");
            if kind == 0 {
                self.data.extend_from_slice(&body);
            }
        }
        self.data.clear();
    }

    /// Waits for the end of this stream; there must be no message before it.
    fn wait_for_refusal(&mut self, of: u32) {
        loop {
            let (kind, flags, stream, _) = self.next();
            assert!(kind != 7 && (stream != of || kind == 1), "frame {kind}");
            if stream == of && flags & 1 == 1 {
                return;
            }
        }
    }
}

const SUBSCRIBE: &str = "/subscribe.StateChangeSubscription/Subscribe";

fn service(id: &str) -> String {
    format!(
        r#"{{"ID": "{id}", "Name": "web", "Port": 80, "Check": {{"CheckID": "{id}", "TTL": "1h", "Status": "passing"}}}}"#
    )
}

#[test]
fn a_subscription_brings_what_is_there_and_then_every_change() {
    let server = Server::start("subscribe", "");
    let register = |id| assert_eq!(server.put("/v1/agent/service/register", &service(id)).status, 200);
    register("web1");
    let mut agent = Http2::connect(server.rpc);
    let web = b"\x08\x01\x2a\x03dc1\x52\x05\x0a\x03web";
    agent.ask(1, SUBSCRIBE, web);
    agent.wait_for(b"web1");
    register("web2");
    agent.wait_for(b"web2");
    assert_eq!(server.put("/v1/agent/check/fail/web2", "").status, 200);
    agent.wait_for(b"critical");
    assert_eq!(server.put("/v1/agent/service/deregister/web1", "").status, 200);
    // Op 1, and only what names the instance.
    agent.wait_for(b"\x08\x01\x12\x13\x0a\x04\x12\x02n1\x12\x0b\x12\x04web1\x1a\x03web");

    // Who comes back is told that a new picture follows.
    agent.ask(3, SUBSCRIBE, b"\x08\x01\x12\x03web\x20\x02");
    agent.wait_for(b"\x00\x00\x00\x00\x02\x18\x01");

    // What is not there ends at once; the others go on.
    agent.ask(5, SUBSCRIBE, b"\x08\x07\x48\x01");
    agent.wait_for_refusal(5);
    agent.ask(7, "/grpc.health.v1.Health/Check", b"");
    agent.wait_for_refusal(7);
    agent.ask(9, SUBSCRIBE, b"\x0a\xff");
    agent.wait_for_refusal(9);
    register("web3");
    agent.wait_for(b"web3");
}

/// A real client agent of a server with this gossip port.
struct Agent {
    http: u16,
    child: Child,
    scratch: Scratch,
}

impl Agent {
    /// `None`, and why on the output, where there is none.
    fn start(server: u16) -> Option<Agent> {
        let Ok(binary) = std::env::var("CONSUL_BIN") else {
            println!("skipped: CONSUL_BIN does not name a Consul binary");
            return None;
        };
        let scratch = Scratch::new("consul-agent");
        let [http, dns, rpc, serf] = free_ports();
        let ports = format!(
            r#"{{"ports": {{"http": {http}, "dns": {dns}, "server": {rpc}, "serf_lan": {serf}, "serf_wan": -1,
                "grpc": -1, "grpc_tls": -1}}, "retry_join": ["127.0.0.1:{server}"], "retry_interval": "1s"}}"#
        );
        std::fs::write(scratch.path().join("c.json"), ports).expect("written");
        let mut command = Command::new(binary);
        command.args(["agent", "-node=a1", "-bind=127.0.0.1"]);
        command.arg("-data-dir").arg(scratch.path().join("data"));
        command.arg("-config-file").arg(scratch.path().join("c.json"));
        let log = std::fs::File::create(scratch.path().join("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        Some(Agent { http, child: command.spawn().expect("Consul starts"), scratch })
    }

    /// The answer with its index; `None` unless it is 200.
    fn get(&self, target: &str) -> Option<(Value, u64)> {
        let answer = request(self.http, "GET", target, b"").ok().filter(|answer| answer.status == 200)?;
        Some((answer.json(), answer.index()))
    }

    fn put(&self, target: &str, body: &str) {
        let answer = request(self.http, "PUT", target, body.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// IDs and statuses of the instances' own checks.
fn shown(answer: &Value) -> Value {
    let instances = answer.as_array().cloned().unwrap_or_default();
    let status = |i: &Value| {
        let checks = i["Checks"].as_array().cloned().unwrap_or_default();
        checks.iter().find(|c| c["ServiceID"] == i["Service"]["ID"]).map(|c| c["Status"].clone())
    };
    instances.iter().map(|i| json!([i["Service"]["ID"], status(i)])).collect()
}

#[test]
fn a_real_agent_answers_blocking_and_cached_health_reads() {
    let mut server = Server::start("subscribe-agent", r#"{"performance": {"raft_multiplier": 1}}"#);
    let Some(agent) = Agent::start(server.serf) else { return };
    assert!(wait(|| agent.get("/v1/catalog/nodes").is_some()), "{}", agent.log());
    agent.put("/v1/agent/service/register", &service("web1"));
    let there = json!([["web1", "passing"]]);
    for target in ["/v1/health/service/web?cached", "/v1/health/service/web?index=1&wait=5s"] {
        let mut last = None;
        let shows = wait(|| {
            last = agent.get(target);
            last.as_ref().is_some_and(|(answer, _)| shown(answer) == there)
        });
        assert!(shows, "{target}: {last:?}\n{}", agent.log());
    }

    // What it shows of an instance, it shows whichever way it was read.
    let read = |target| agent.get(target).map(|(answer, _)| answer[0]["Node"].clone());
    assert_eq!(read("/v1/health/service/web?cached"), read("/v1/health/service/web"));

    // A waiting read wakes.
    let wakes = |what: &str, change: &dyn Fn(), then: Value| {
        let (_, index) = agent.get("/v1/health/service/web?index=1&wait=5s").expect("an answer");
        let (http, target) = (agent.http, format!("/v1/health/service/web?index={index}&wait=60s"));
        let waiting = std::thread::spawn(move || request(http, "GET", &target, b"").expect("an answer"));
        change();
        let answer = waiting.join().expect("no panic");
        assert!(answer.index() > index, "{what}: {} after {index}\n{}", answer.index(), agent.log());
        let settled = || agent.get("/v1/health/service/web?cached").is_some_and(|(a, _)| shown(&a) == then);
        assert!(wait(settled), "{what}: {}\n{}", answer.text(), agent.log());
    };
    wakes("a check", &|| agent.put("/v1/agent/check/fail/web1", ""), json!([["web1", "critical"]]));
    let more = || agent.put("/v1/agent/service/register", &service("web2"));
    wakes("one more", &more, json!([["web1", "critical"], ["web2", "passing"]]));
    let less = || agent.put("/v1/agent/service/deregister/web1", "");
    wakes("one less", &less, json!([["web2", "passing"]]));
    let connect = agent.get("/v1/health/connect/web?cached");
    assert_eq!(connect.map(|(answer, _)| answer), Some(json!([])), "{}", agent.log());

    // What an agent has seen is never gone for it while its server starts.
    server.kill();
    server.launch();
    let again = || agent.put("/v1/agent/service/register", &service("web3"));
    again();
    let mut lost = false;
    let shows = wait(|| {
        let Some((answer, _)) = agent.get("/v1/health/service/web?cached") else { return false };
        lost |= shown(&answer).as_array().is_some_and(Vec::is_empty);
        shown(&answer) == json!([["web2", "passing"], ["web3", "passing"]])
    });
    assert!(shows && !lost, "lost: {lost}\n{}", agent.log());
}
