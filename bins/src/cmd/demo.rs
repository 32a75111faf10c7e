//! `demo`: a server on the operator guide's configuration, with stand-ins for its backends.

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use lictor_core::config::Flags;
use lictor_io::agent::{self, Launch};
use lictor_io::config_files::{self, ConfigFiles};
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) static COMMAND: Command = Command {
    name: "demo",
    synopsis: "Shows a registry at work, with nine services",
    usage: "[options]",
    about: "
Starts a server on the configuration in docs/demo: the operator guide's server
settings and its nine gRPC services, with stand-ins on loopback for their
backends, so that every check passes. It runs until it is interrupted. A
service whose port is in use on this machine gets another, and that is said.

    $ {prog} demo

Then, from another terminal:

    $ {prog} catalog services
    $ {prog} health service redis_grpc_service
    $ dig @127.0.0.1 -p 8600 redis_grpc_service.service.consul SRV

Without -data-dir everything is forgotten at the end.",
    body: Body::Leaf {
        api: &[],
        own: &[&[
            Flag::text("data-dir", "path", "Keep the registry here.")
                .or("a directory that is removed at the end"),
            Flag::int("http-port", "Port of the HTTP API.").or("8500"),
            Flag::int("dns-port", "Port of DNS.").or("8600"),
            Flag::int("server-port", "Port of the servers' RPC.").or("8300"),
        ]],
        run,
    },
};

const CONFIG: &str = include_str!("../../../docs/demo/consul.json");
const SERVICES: &str = include_str!("../../../docs/demo/grpc-services.json");

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let scratch = Scratch::new().map_err(|e| format!("The demo needs a directory of its own: {e}"))?;
    let mut services: Value = serde_json::from_str(SERVICES).expect("a test reads it");
    let listed = services["services"].as_array_mut().expect("a test reads it");
    cx.shell.say(format!("==> Starting stand-ins for {} backends", listed.len()));
    for service in listed {
        if let Some(port) = stand_in(service)? {
            cx.shell.say(format!("    The port of {} is in use here: it gets {port}", name(service)));
        }
    }
    let (http, dns) = (port(cx, "http-port", 8500), port(cx, "dns-port", 8600));
    let flags = Flags {
        overrides: json!({
            "node_name": "demo",
            "data_dir": cx.flags.text("data-dir").map_or_else(|| shown(&scratch.0.join("data")), str::to_owned),
            "ports": { "http": http, "dns": dns, "server": port(cx, "server-port", 8300) },
        }),
        ..Flags::default()
    };
    let files = scratch
        .files(&services, flags)
        .map_err(|e| format!("The demo's configuration could not be written: {e}"))?;
    let config = config_files::load(&files).map_err(|why| format!("==> {why}"))?;
    cx.shell.say(format!(
        "==> From another terminal, try:\n\n    \
         curl http://127.0.0.1:{http}/v1/health/service/redis_grpc_service?passing\n    \
         dig @127.0.0.1 -p {dns} redis_grpc_service.service.consul SRV\n    \
         {} catalog services -http-addr=127.0.0.1:{http}\n",
        cx.shell.program
    ));
    let reread = Arc::new(move || config_files::load(&files));
    let code = agent::run(Launch { config, reread });
    drop(scratch);
    Ok(code)
}

fn port(cx: &Context<'_, '_>, flag: &str, default: i64) -> i64 {
    match cx.flags.int(flag) {
        0 => default,
        given => given,
    }
}

/// Accepts and closes connections in place of a backend. Where its port is in use, be it by a connection that ended
/// a minute ago, on another, which the service is then given and which is returned.
fn stand_in(service: &mut Value) -> Result<Option<u16>, String> {
    let cannot = |e| format!("The stand-in for {} cannot listen: {e}", name(service));
    let address = service["address"].as_str().expect("a test reads it");
    let port = service["port"].as_u64().and_then(|p| u16::try_from(p).ok()).expect("a test reads it");
    let (listener, moved) = match TcpListener::bind((address, port)) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            let listener = TcpListener::bind((address, 0)).map_err(cannot)?;
            let port = listener.local_addr().map_err(cannot)?.port();
            (listener, Some(port))
        }
        bound => (bound.map_err(cannot)?, None),
    };
    if let Some(port) = moved {
        let checked = format!("{address}:{port}");
        service["port"] = json!(port);
        service["checks"][0]["tcp"] = json!(checked);
    }
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
        }
    });
    Ok(moved)
}

fn name(service: &Value) -> &str {
    service["name"].as_str().expect("a test reads it")
}

/// A directory that goes when the demo ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("lictor-demo-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }

    fn files(&self, services: &Value, flags: Flags) -> std::io::Result<ConfigFiles> {
        let mut paths = Vec::new();
        for (name, text) in [("consul.json", CONFIG), ("grpc-services.json", &services.to_string())] {
            let path = self.0.join(name);
            fs::write(&path, text)?;
            paths.push(shown(&path));
        }
        Ok(ConfigFiles { paths, format: None, flags })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left for the system's own cleaning.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_the_guides_nine_services_each_with_a_name_an_address_a_port_and_a_check_of_it() {
        let services: Value = serde_json::from_str(SERVICES).unwrap();
        let services = services["services"].as_array().unwrap();
        assert_eq!(services.len(), 9);
        for service in services {
            assert_eq!(service["address"], "127.0.0.1");
            assert!(service["port"].is_u64(), "{}", name(service));
            assert_eq!(service["checks"][0]["tcp"], format!("127.0.0.1:{}", service["port"]));
        }
    }

    #[test]
    fn a_service_whose_port_is_in_use_gets_another_and_its_check_too() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut service =
            json!({ "name": "s", "address": "127.0.0.1", "port": port, "checks": [{ "tcp": "" }] });
        let moved = stand_in(&mut service).unwrap().expect("the port is in use");
        assert_ne!(moved, port);
        assert_eq!(service["port"], moved);
        assert_eq!(service["checks"][0]["tcp"], format!("127.0.0.1:{moved}"));
        TcpListener::bind(("127.0.0.1", moved)).expect_err("the stand-in listens there");
    }
}
