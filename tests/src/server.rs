//! One agent process.

use crate::Scratch;
use crate::cargo::cargo;
use crate::http::{Response, request};
use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The `lictor` binary, built once for the profile of the running test.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/<profile>/deps/<test> -> target/<profile>
        let test = std::env::current_exe().expect("a running test has a path");
        let profile = test.parent().and_then(Path::parent).expect("tests run from target/<profile>/deps");
        let mut build = cargo();
        // A test that needs it, so that features of dependencies are those of all tests and nothing is built twice.
        build.args(["test", "--quiet", "--workspace", "--no-run", "--test", "golden"]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the binary builds");
        profile.join("lictor")
    })
}

/// A running agent. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub struct Server {
    /// HTTP port.
    pub http: u16,
    /// DNS port, UDP and TCP.
    pub dns: u16,
    /// Server port.
    pub rpc: u16,
    /// LAN gossip, UDP and TCP.
    pub serf: u16,
    /// Everything this server writes lies here, unless `extra` says otherwise.
    pub dir: PathBuf,
    /// JSON laid over the configuration at the next start or reload.
    extra: String,
    child: Option<Child>,
    _scratch: Scratch,
}

impl Server {
    /// Starts a server and waits until it leads. `extra` is laid over the configuration (JSON).
    pub fn start(name: &str, extra: &str) -> Server {
        let mut server = Server::prepare(name, extra);
        server.launch();
        server.wait_for_leader();
        server
    }

    /// Everything but the process: ports and a directory.
    pub fn prepare(name: &str, extra: &str) -> Server {
        let scratch = Scratch::new(name);
        let [http, dns, rpc, serf] = free_ports();
        let dir = scratch.path().to_owned();
        Server { http, dns, rpc, serf, dir, extra: extra.to_owned(), child: None, _scratch: scratch }
    }

    /// Replaces what is laid over the configuration; a running server sees it when it reloads.
    pub fn set_extra(&mut self, extra: &str) {
        self.extra = extra.to_owned();
        self.write_configuration();
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The command line that starts this server.
    pub fn command(&self) -> Command {
        self.command_of(binary())
    }

    /// The same with another program: a link, or one of the thin binaries.
    pub fn command_of(&self, program: &Path) -> Command {
        self.write_configuration();
        let mut command = Command::new(program);
        command.arg("agent");
        command.arg("-config-file").arg(self.dir.join("1-base.json"));
        command.arg("-config-file").arg(self.dir.join("2-extra.json"));
        command
    }

    fn write_configuration(&self) {
        let base = format!(
            r#"{{"server": true, "bootstrap_expect": 1, "node_name": "n1", "bind_addr": "127.0.0.1",
                "client_addr": "127.0.0.1", "disable_update_check": true, "data_dir": {:?},
                "ports": {{"http": {}, "dns": {}, "server": {}, "serf_lan": {}, "serf_wan": -1}}}}"#,
            self.data().display().to_string(),
            self.http,
            self.dns,
            self.rpc,
            self.serf
        );
        fs::write(self.dir.join("1-base.json"), base).expect("the configuration is written");
        let extra = if self.extra.is_empty() { "{}" } else { &self.extra };
        fs::write(self.dir.join("2-extra.json"), extra).expect("the configuration is written");
    }

    /// Starts the process without waiting for it.
    pub fn launch(&mut self) {
        self.launch_as(self.command());
    }

    /// Starts the process with another command line.
    pub fn launch_as(&mut self, mut command: Command) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).expect("a log");
        let errors = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.child = Some(child.expect("the binary starts"));
    }

    /// Runs the process to its end, for starts that must fail.
    pub fn run_to_end(&self) -> Output {
        self.command().output().expect("the binary starts")
    }

    /// Waits until the server leads and answers a write.
    pub fn wait_for_leader(&mut self) {
        let ready = wait(|| {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!(
                    "the agent ended with {status}:\n{}",
                    fs::read_to_string(self.dir.join("log")).unwrap_or_default()
                );
            }
            request(self.http, "GET", "/v1/status/leader", b"").is_ok_and(|r| r.text().trim().len() > 2)
        });
        assert!(ready, "no leader:\n{}", self.log());
    }

    /// Whether its HTTP API answers.
    pub fn is_there(&self) -> bool {
        request(self.http, "GET", "/v1/agent/self", b"").is_ok_and(|r| r.status == 200)
    }

    /// One request; panics when the connection fails.
    pub fn ask(&self, method: &str, target: &str, body: &str) -> Response {
        request(self.http, method, target, body.as_bytes())
            .unwrap_or_else(|e| panic!("{method} {target}: {e}"))
    }

    /// `GET`.
    pub fn get(&self, target: &str) -> Response {
        self.ask("GET", target, "")
    }

    /// Whether it answers and knows a leader.
    pub fn has_leader(&self) -> bool {
        request(self.http, "GET", "/v1/status/leader", b"").is_ok_and(|r| r.text().trim().len() > 2)
    }

    /// `PUT`.
    pub fn put(&self, target: &str, body: &str) -> Response {
        self.ask("PUT", target, body)
    }

    /// Everything that a registry holds, as text: equal texts mean that nothing changed.
    pub fn holds(&self) -> String {
        [
            "/v1/kv/?recurse",
            "/v1/catalog/nodes",
            "/v1/catalog/services",
            "/v1/agent/services",
            "/v1/agent/checks",
        ]
        .map(|path| {
            let answer = self.get(path);
            format!("{path} {} {}\n", answer.index(), answer.text())
        })
        .concat()
    }

    /// `kill -9`, and reaps the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal by name (`TERM`, `HUP`, ...).
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let mut status = None;
        wait(|| {
            status = child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.unwrap_or_else(|| {
            let _ = child.kill();
            panic!("the agent does not end:\n{}", self.log())
        })
    }

    /// Runs a command of the CLI against this server.
    pub fn cli(&self, args: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(args).env("CONSUL_HTTP_ADDR", format!("127.0.0.1:{}", self.http));
        command.stdin(Stdio::null()).output().expect("the binary starts")
    }

    /// Whether the process runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The process ID.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(8192);
            eprintln!(
                "--- the end of the agent's log:\n{}",
                String::from_utf8_lossy(&log.as_bytes()[from..])
            );
        }
    }
}

/// Tries until it holds or patience ends.
pub fn wait(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Ports that are free for TCP and UDP now. Another program may take one before the agent does; the range is below the
/// one that the system hands out by itself, which makes that rare. Other test processes have other ports.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = 20_000 + port_slot() * PORTS;
    std::array::from_fn(|_| {
        loop {
            let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
            let port = u16::try_from(port).expect("below 32,000");
            if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
            {
                return port;
            }
        }
    })
}

/// How many ports one test process has.
const PORTS: u32 = 500;
/// How many test processes may run at once.
const SLOTS: u32 = 24;

/// This process's part of the range: the first whose file no other process has locked.
fn port_slot() -> u32 {
    static SLOT: OnceLock<(u32, File)> = OnceLock::new();
    let slot = SLOT.get_or_init(|| {
        let free = |slot: u32| {
            let path = std::env::temp_dir().join(format!("lictor-test-ports-{slot}"));
            let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
            file.try_lock().ok()?;
            Some((slot, file))
        };
        (0..SLOTS).find_map(free).expect("fewer test processes at once")
    });
    slot.0
}
