//! The program under test: ours, or the one that is recorded from.

use crate::{Scratch, binary, http::request, server::free_ports, wait};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// The node ID in every scenario.
pub const NODE_ID: &str = "adf4238a-882b-9ddc-4a9d-5b6758e4159e";

/// The program: `SUBJECT_BIN`, or the built binary.
pub fn program() -> PathBuf {
    env::var_os("SUBJECT_BIN").map_or_else(|| binary().to_owned(), PathBuf::from)
}

/// One running server with the scenarios' configuration.
#[derive(Debug)]
pub struct Subject {
    /// HTTP port.
    pub http: u16,
    /// DNS port.
    pub dns: u16,
    /// RPC port.
    pub rpc: u16,
    /// Gossip port.
    pub serf: u16,
    /// Configuration, data, and the scenario's files.
    pub scratch: Scratch,
    /// The index before the first step.
    pub index: u64,
    child: Option<Child>,
}

impl Subject {
    /// Only ports and a directory, for scenarios that start no server.
    pub fn idle() -> Subject {
        let [http, dns, rpc, serf] = free_ports();
        let scratch = Scratch::new("conformance");
        fs::create_dir(scratch.path().join("files")).expect("a directory for the scenario");
        Subject { http, dns, rpc, serf, scratch, index: 0, child: None }
    }

    /// Starts the server and waits until nothing of its start is left to happen. `extra` is JSON.
    pub fn start(extra: &str) -> Subject {
        let mut subject = Subject::idle();
        let base = serde_json::json!({
            "server": true, "bootstrap_expect": 1, "node_name": "n1", "node_id": NODE_ID,
            "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "datacenter": "dc1",
            "disable_update_check": true, "data_dir": subject.scratch.path().join("data"),
            "performance": {"raft_multiplier": 1}, "log_level": "warn",
            "connect": {"enabled": false}, "peering": {"enabled": false},
            "ports": {"http": subject.http, "dns": subject.dns, "server": subject.rpc,
                "serf_lan": subject.serf, "serf_wan": -1, "grpc": -1, "grpc_tls": -1},
        });
        subject.scratch.write("1.json", base.to_string());
        subject.scratch.write("2.json", if extra.is_empty() { "{}" } else { extra });
        let log = fs::File::create(subject.scratch.path().join("log")).expect("a log");
        let mut command = Command::new(program());
        command.arg("agent");
        for file in ["1.json", "2.json"] {
            command.arg("-config-file").arg(subject.scratch.path().join(file));
        }
        let errors = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        subject.child = Some(child.expect("the subject starts"));
        let ready = wait(|| subject.settled());
        let log = fs::read_to_string(subject.scratch.path().join("log")).unwrap_or_default();
        assert!(ready, "the subject does not get ready:\n{log}");
        let mut calm = 0;
        wait(|| {
            let index = subject.highest();
            calm = if index == subject.index { calm + 1 } else { 0 };
            subject.index = index;
            calm == 15
        });
        subject
    }

    /// The highest index of the catalog.
    fn highest(&self) -> u64 {
        let tables = ["/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/state/any"];
        let index = |table: &&str| request(self.http, "GET", table, b"").map_or(0, |r| r.index());
        tables.iter().map(index).max().unwrap_or(0)
    }

    /// The node is registered with everything that a start registers.
    fn settled(&self) -> bool {
        let get =
            |target: &str| request(self.http, "GET", target, b"").map(|r| r.json()).unwrap_or(Value::Null);
        get("/v1/health/node/n1")
            .as_array()
            .is_some_and(|checks| checks.iter().any(|c| c["CheckID"] == "serfHealth"))
            && get("/v1/catalog/nodes")[0]["TaggedAddresses"]["lan"].is_string()
            && get("/v1/catalog/nodes")[0]["Meta"]["consul-version"].is_string()
            && get("/v1/catalog/service/consul")[0].is_object()
            && self.behind().is_none()
    }

    /// A run of the command line against this server.
    pub fn cli(&self, args: &[String], input: &str) -> Output {
        let mut command = Command::new(program());
        command.args(args).env("CONSUL_HTTP_ADDR", format!("127.0.0.1:{}", self.http));
        command.current_dir(self.scratch.path().join("files"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the subject starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        // A command that reads no input may be gone already.
        let _ = std::io::Write::write_all(&mut pipe, input.as_bytes());
        drop(pipe);
        child.wait_with_output().expect("the subject ends")
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
