//! Machines of their own on one network that loses what a test says: network namespaces on a bridge.
//!
//! Each has two interfaces: one on the network, where agents talk with each other, and one to the test alone, which
//! loses nothing. Needs root and the `ip` and `tc` of iproute2.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};

/// A network with hosts. Dropping it removes it.
#[derive(Debug)]
pub struct Network {
    /// Of all names.
    prefix: String,
    /// Of the addresses that the test asks at.
    side: [u8; 3],
    hosts: u8,
}

/// A host of a [`Network`].
#[derive(Debug)]
pub struct Host {
    /// Its address on the network.
    pub ip: IpAddr,
    /// Its address for the test.
    pub api: IpAddr,
    /// What a command line begins with that runs there.
    pub within: Vec<String>,
}

/// A filter that drops everything, and one that drops where a random number is below the one put in.
/// Classic BPF: `ret 2`; `ld rand`, `jgt #n`, `ret 0`, `ret 2`.
const DROP_ALL: &str = "1,6 0 0 2";
fn drop_some(below: u32) -> String {
    format!("4,32 0 0 4294963256,37 0 1 {below},6 0 0 0,6 0 0 2")
}

impl Network {
    /// A network, or a printed reason why there is none.
    pub fn or_skip(hosts: u8) -> Option<Network> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        remove_leftovers();
        let number = id().wrapping_mul(4).wrapping_add(count);
        let network = Network {
            prefix: format!("lt{}{}", id(), char::from(b'a' + count as u8)),
            side: [100, 64 + (number % 64) as u8, (number / 64 % 256) as u8],
            hosts,
        };
        match network.build() {
            Ok(()) => Some(network),
            Err(why) => {
                eprintln!("SKIPPED: no network namespaces with lossy links can be made here: {why}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let switch = self.switch();
        run(&format!("ip netns add {switch}"))?;
        run(&format!("ip -n {switch} link add br0 type bridge"))?;
        run(&format!("ip -n {switch} link set br0 up"))?;
        let [a, b, c] = self.side;
        for i in 0..self.hosts {
            let (host, side) = (self.name(i), format!("{}m{i}", self.prefix));
            run(&format!("ip netns add {host}"))?;
            run(&format!("ip -n {host} link set lo up"))?;
            run(&format!("ip -n {switch} link add e{i} type veth peer name eth0 netns {host}"))?;
            run(&format!("ip -n {switch} link set e{i} master br0 up"))?;
            run(&format!("ip -n {host} address add {}/24 dev eth0", self.host(i).ip))?;
            run(&format!("ip -n {host} link set eth0 up"))?;
            run(&format!("ip link add {side} type veth peer name eth1 netns {host}"))?;
            run(&format!("ip address add {a}.{b}.{c}.{}/30 dev {side}", 4 * i + 1))?;
            run(&format!("ip link set {side} up"))?;
            run(&format!("ip -n {host} address add {}/30 dev eth1", self.host(i).api))?;
            run(&format!("ip -n {host} link set eth1 up"))?;
        }
        // Whether links can lose anything here.
        self.filter(0, "egress", Some(&drop_some(0)))?;
        self.filter(0, "egress", None)
    }

    /// A host.
    pub fn host(&self, i: u8) -> Host {
        let [a, b, c] = self.side;
        Host {
            ip: Ipv4Addr::new(10, 77, 0, i + 1).into(),
            api: Ipv4Addr::new(a, b, c, 4 * i + 2).into(),
            within: ["ip", "netns", "exec", &self.name(i)].map(str::to_owned).to_vec(),
        }
    }

    /// Nothing reaches a host over the network, and nothing comes from it.
    pub fn cut(&self, i: u8) {
        self.filter(i, "egress", Some(DROP_ALL)).expect("a link can be cut");
        self.filter(i, "ingress", Some(DROP_ALL)).expect("a link can be cut");
    }

    /// A host hears nothing, and is heard.
    pub fn deafen(&self, i: u8) {
        self.filter(i, "egress", Some(DROP_ALL)).expect("a link can be cut");
    }

    /// Of all packets to any host so many are lost.
    pub fn lose(&self, percent: u8) {
        let some = drop_some((f64::from(percent) / 100.0 * f64::from(u32::MAX)) as u32);
        for i in 0..self.hosts {
            self.filter(i, "egress", Some(&some)).expect("a link can lose packets");
        }
    }

    /// No link loses anything any more.
    pub fn mend(&self) {
        for i in 0..self.hosts {
            self.filter(i, "egress", None).expect("a link can be mended");
            self.filter(i, "ingress", None).expect("a link can be mended");
        }
    }

    /// What the switch does with packets to (`egress`) or from (`ingress`) a host.
    fn filter(&self, i: u8, way: &str, program: Option<&str>) -> Result<(), String> {
        let on = format!("ip netns exec {} tc", self.switch());
        let _ = run(&format!("{on} qdisc add dev e{i} clsact"));
        run(&format!("{on} filter delete dev e{i} {way}"))?;
        let Some(program) = program else { return Ok(()) };
        // The program is one word with spaces.
        let mut command: Vec<String> =
            format!("{on} filter add dev e{i} {way} bpf bytecode").split(' ').map(str::to_owned).collect();
        command.extend([program.to_owned(), "direct-action".to_owned()]);
        run_words(&command)
    }

    fn switch(&self) -> String {
        format!("{}-sw", self.prefix)
    }

    fn name(&self, i: u8) -> String {
        format!("{}-{i}", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for i in 0..self.hosts {
            let _ = run(&format!("ip netns delete {}", self.name(i)));
            let _ = run(&format!("ip link delete {}m{i}", self.prefix));
        }
        let _ = run(&format!("ip netns delete {}", self.switch()));
    }
}

/// Namespaces of test processes that were killed.
fn remove_leftovers() {
    let Ok(all) = fs::read_dir("/run/netns") else { return };
    for name in all.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let Some(rest) = name.strip_prefix("lt") else { continue };
        let Some((process, _)) = rest.split_once('-') else { continue };
        let process = process.trim_end_matches(|c: char| c.is_ascii_lowercase());
        if process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists() {
            let _ = run(&format!("ip netns delete {name}"));
        }
    }
}

fn run(command: &str) -> Result<(), String> {
    run_words(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

fn run_words(words: &[String]) -> Result<(), String> {
    let out = Command::new(&words[0]).args(&words[1..]).output().map_err(|e| format!("{}: {e}", words[0]))?;
    match out.status.success() {
        true => Ok(()),
        false => Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&out.stderr).trim())),
    }
}
