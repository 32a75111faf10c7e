//! Several servers on free ports of 127.0.0.1.

use crate::{Server, wait};

/// A server that expects `expect` and joins through the LAN port `join`.
pub fn prepare(name: &str, expect: u32, join: &[u16]) -> Server {
    let mut server = Server::prepare(name, "");
    // Whoever comes first finds nobody, and is found by the others.
    let names: Vec<String> = join.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let extra = serde_json::json!({
        "node_name": name, "bootstrap_expect": expect, "retry_join": names, "retry_interval": "1s",
        "performance": {"raft_multiplier": 1},
        "gossip_lan": {"probe_interval": "200ms", "probe_timeout": "100ms", "suspicion_mult": 2},
    });
    server.set_extra(&extra.to_string());
    server
}

/// Three servers that found a cluster and have a leader.
pub fn cluster(of: &str) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for at in 1..=3 {
        let join: Vec<u16> = servers.iter().map(|server| server.serf).collect();
        servers.push(prepare(&format!("{of}{at}"), 3, &join));
    }
    for server in &mut servers {
        server.launch();
    }
    for server in &mut servers {
        server.wait_for_leader();
    }
    servers
}

/// Which of them leads.
pub fn leader(servers: &[Server]) -> usize {
    let mut found = None;
    wait(|| {
        found = servers
            .iter()
            .position(|server| server.get("/v1/agent/self").json()["Stats"]["consul"]["leader"] == "true");
        found.is_some()
    });
    found.expect("one of them leads")
}
