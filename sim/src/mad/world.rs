//! One run: a thread of its own, a seed, and a report that ends in the command that runs it again.

use super::links::Links;
use super::seeds;
use super::trace::Trace;
use lictor_core::rng::{Rng, Seed};
use madsim::runtime::{Handle, NodeHandle, Runtime};
use madsim::task::NodeId;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Virtual time after which a run counts as hung.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

/// What a scenario is given.
pub struct World {
    /// For the scenario's own choices: faults, sizes, pauses.
    pub rng: Rng,
    /// What happened.
    pub trace: Trace,
    /// madsim's.
    pub handle: Handle,
    /// Which machines hear each other.
    pub links: Links,
    /// Every machine that was made; shared, so that the run can end them.
    machines: Arc<Mutex<Vec<NodeId>>>,
}

impl World {
    /// A machine with an address of its own.
    pub fn machine(&mut self, name: &str) -> (NodeHandle, IpAddr) {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, machines.len() as u8 + 1));
        let node = self.handle.create_node().name(name).ip(ip).build();
        machines.push(node.id());
        self.links.place(node.id(), ip);
        (node, ip)
    }

    /// Something left to chance between two bounds, for pauses.
    pub fn pause(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        self.rng.duration(Duration::from_millis(low_ms), Duration::from_millis(high_ms))
    }
}

/// Runs a scenario with one seed; the hash of all that happened.
///
/// The thread is the run's own: the order of a standard hash map is seeded for the first madsim
/// runtime of a thread only.
///
/// # Panics
/// The scenario does. Its last events and the command that runs it again are printed before.
pub fn run<F, S>(file: &str, test: &str, seed: u64, scenario: F) -> u64
where
    F: FnOnce(World) -> S + Send + 'static,
    S: Future<Output = ()>,
{
    let trace = Trace::default();
    let own = trace.clone();
    let body = move || {
        let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.set_time_limit(TIME_LIMIT);
        let rng = Rng::new(Seed::from_u64(seed)).fork("sim.mad");
        let (handle, machines) = (runtime.handle().clone(), Arc::<Mutex<Vec<NodeId>>>::default());
        let links = Links::default();
        let world = World { rng, trace: own, handle: handle.clone(), links, machines: machines.clone() };
        runtime.block_on(async move {
            scenario(world).await;
            // Tasks that are alive when a runtime ends are leaked.
            for id in machines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                handle.kill(*id);
            }
            madsim::time::sleep(Duration::from_millis(5)).await;
        });
    };
    let run = std::thread::Builder::new().name(format!("{test}, seed {seed}")).spawn(body);
    match run.expect("the operating system gives a thread").join() {
        Ok(()) => trace.hash(),
        Err(panic) => {
            eprintln!("{}\nREPRODUCE  {}", trace.tail(), seeds::command(file, test, seed));
            std::panic::resume_unwind(panic)
        }
    }
}

/// Runs a scenario with each of the chosen seeds.
pub fn sweep<F, S>(file: &str, test: &str, few: u64, scenario: F)
where
    F: Fn(World) -> S + Clone + Send + 'static,
    S: Future<Output = ()>,
{
    for seed in seeds::chosen(few) {
        run(file, test, seed, scenario.clone());
    }
}
