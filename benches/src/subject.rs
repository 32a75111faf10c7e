//! A server process under test.

use crate::load::http::once;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The agent of this workspace.
    Lictor,
    /// A real Consul, for comparison.
    Consul,
    /// The bare servers of [`crate::floor`].
    Floor,
}

impl Kind {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lictor => "lictor",
            Kind::Consul => "consul",
            Kind::Floor => "floor",
        }
    }
}

/// A running server. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// Where it answers HTTP.
    pub http: SocketAddr,
    /// Where it answers DNS over UDP.
    pub dns: SocketAddr,
    /// Where the floor parks connections; for the others, the HTTP address.
    pub parking: SocketAddr,
    binary: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
}

impl Subject {
    /// Starts an agent (or a Consul) in a fresh directory below `base` and waits until it leads.
    ///
    /// # Errors
    /// The binary does not start or does not lead within a minute.
    pub fn agent(kind: Kind, binary: &Path, base: &Path) -> io::Result<Subject> {
        let [http, dns, rpc, serf] = free_ports()?;
        let dir = base.join(format!("{}-{http}", kind.name()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let config = format!(
            r#"{{"server": true, "bootstrap_expect": 1, "node_name": "bench", "bind_addr": "127.0.0.1",
                "client_addr": "127.0.0.1", "disable_update_check": true, "log_level": "error",
                "data_dir": {:?}, "performance": {{"raft_multiplier": 1}},
                "limits": {{"http_max_conns_per_client": 16000}},
                "ports": {{"http": {http}, "dns": {dns}, "server": {rpc}, "serf_lan": {serf},
                           "serf_wan": -1, "grpc": -1, "grpc_tls": -1}}}}"#,
            dir.join("data").display().to_string()
        );
        fs::write(dir.join("config.json"), config)?;
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut subject = Subject {
            kind,
            http: local(http),
            dns: local(dns),
            parking: local(http),
            binary: binary.to_owned(),
            dir,
            child: None,
        };
        subject.start()?;
        Ok(subject)
    }

    /// Starts the bare servers: this program again, as `floor`.
    ///
    /// # Errors
    /// The process does not start or does not name its ports.
    pub fn floor() -> io::Result<Subject> {
        let binary = std::env::current_exe()?;
        let mut child =
            Command::new(&binary).arg("floor").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let mut ports = line.split_whitespace().filter_map(|word| word.parse::<SocketAddr>().ok());
        let mut port = || ports.next().ok_or_else(|| io::Error::other(format!("no ports in {line:?}")));
        Ok(Subject {
            kind: Kind::Floor,
            http: port()?,
            dns: port()?,
            parking: port()?,
            binary,
            dir: PathBuf::new(),
            child: Some(child),
        })
    }

    /// Starts the process (again, after [`Subject::kill`]); how long it took until it answered a
    /// consistent read.
    ///
    /// # Errors
    /// It did not within two minutes.
    pub fn start(&mut self) -> io::Result<Duration> {
        let log = fs::File::create(self.dir.join("log"))?;
        let started = Instant::now();
        let mut command = Command::new(&self.binary);
        command.arg("agent").arg("-config-file").arg(self.dir.join("config.json"));
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let child = self.child.insert(child);
        while started.elapsed() < Duration::from_secs(120) && child.try_wait()?.is_none() {
            if once(self.http, "GET", "/v1/catalog/nodes?consistent", b"").is_ok_and(|a| a.status == 200) {
                return Ok(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        Err(io::Error::other(format!("{} does not lead:\n{log}", self.binary.display())))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn proc(&self, file: &str) -> io::Result<String> {
        let id = self.child.as_ref().ok_or_else(|| io::Error::other("it does not run"))?.id();
        fs::read_to_string(format!("/proc/{id}/{file}"))
    }

    /// User and system time of all its threads, those that ended included. The kernel counts it to the
    /// nanosecond and shows it in ticks, usually of 10 ms.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu(&self) -> io::Result<Duration> {
        let stat = self.proc("stat")?;
        // The second field is the program's name, which may hold anything but the last bracket.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Ok(Duration::from_nanos((ticks(11) + ticks(12)) * 1_000_000_000 / per_second))
    }

    /// Resident memory in bytes: now, and the most it ever was.
    ///
    /// # Errors
    /// The process is gone.
    pub fn memory(&self) -> io::Result<(u64, u64)> {
        let status = self.proc("status")?;
        Ok((number(&status, "VmRSS:") << 10, number(&status, "VmHWM:") << 10))
    }

    /// Bytes it has sent to the disk, or will.
    ///
    /// # Errors
    /// The process is gone, or its counters are not ours to read.
    pub fn written(&self) -> io::Result<u64> {
        Ok(number(&self.proc("io")?, "write_bytes:"))
    }
}

/// The number that follows `name`.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.kill();
        if self.dir.is_dir() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Ports that are free for TCP and UDP, below the range that the system hands out by itself.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut found = [0; N];
    let start = 17_000 + (std::process::id() % 500) as u16 * 4;
    let mut port = start;
    for slot in &mut found {
        loop {
            port = port.checked_add(1).ok_or_else(|| io::Error::other("no free port"))?;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
            {
                break;
            }
        }
        *slot = port;
    }
    Ok(found)
}
