//! A real Consul to work with, where `CONSUL_BIN` names its binary.

use crate::server::free_ports;
use crate::{Scratch, request, wait};
use serde_json::{Value, json};
use std::fs;
use std::process::{Child, Command, Stdio};

/// An agent of Consul on free ports of 127.0.0.1. Dropping it ends it.
#[derive(Debug)]
pub struct Consul {
    /// Where its API is.
    pub http: u16,
    /// Where it is joined.
    pub serf: u16,
    child: Child,
    _scratch: Scratch,
}

impl Consul {
    /// A server of this name that leads, with `more` in its configuration; with `retry_join_wan` among that, it has a
    /// WAN pool. `None`, and why on the output, where there is no Consul.
    pub fn server(name: &str, more: Value) -> Option<Consul> {
        if std::env::var_os("CONSUL_BIN").is_none() {
            println!("skipped: CONSUL_BIN does not name a Consul binary");
            return None;
        }
        let consul = Consul::run(&["-server", "-bootstrap-expect=1", "-node", name], more);
        let leads =
            || request(consul.http, "GET", "/v1/status/leader", b"").is_ok_and(|r| r.text().trim().len() > 2);
        assert!(wait(leads), "Consul does not lead");
        Some(consul)
    }

    /// A client agent that joins through this port.
    pub fn agent(name: &str, serf: u16) -> Consul {
        let join = format!("-retry-join=127.0.0.1:{serf}");
        Consul::run(&["-node", name, "-retry-interval=1s", &join], json!({}))
    }

    fn run(flags: &[&str], more: Value) -> Consul {
        let binary = std::env::var_os("CONSUL_BIN").expect("CONSUL_BIN names a Consul binary");
        let scratch = Scratch::new("consul");
        let [http, dns, rpc, serf, wan] = free_ports();
        let wan = more.get("retry_join_wan").map_or(json!(-1), |_| json!(wan));
        let mut config = json!({
            "ports": {"http": http, "dns": dns, "server": rpc, "serf_lan": serf, "serf_wan": wan, "grpc": -1,
                      "grpc_tls": -1},
            "performance": {"raft_multiplier": 1},
        });
        let more = more.as_object().expect("an object").clone();
        config.as_object_mut().expect("an object").extend(more);
        let file = scratch.write("c.json", config.to_string());
        let log = fs::File::create(scratch.path().join("log")).expect("a log");
        let mut command = Command::new(binary);
        command.args(["agent", "-bind=127.0.0.1"]).args(flags);
        command.arg("-data-dir").arg(scratch.path().join("data")).arg("-config-file").arg(file);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
        Consul { http, serf, child: child.expect("Consul starts"), _scratch: scratch }
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
