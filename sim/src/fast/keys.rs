//! The keeper of gossip's keys: changes the key in the three steps of `docs/gossip.md`, whatever breaks meanwhile.
//!
//! Careful, as an operator should be: each step is repeated until it succeeds, and followed by a list that must show
//! every host before the next step. Each request goes to some host that runs.

use super::event::Event;
use super::http;
use super::luck::Luck;
use super::marks::Mark;
use super::verdict::Violation;
use super::world::{MS, SECOND, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use lictor_core::front::{FrontInput, HttpReply, HttpRequest};
use lictor_core::ids::ReqId;
use std::net::SocketAddr;

/// Pause between two requests of one rotation.
const PAUSE: u64 = 500 * MS;

/// Where a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Install,
    Use,
    Remove,
}

impl Step {
    fn next(self) -> Option<Step> {
        match self {
            Step::Install => Some(Step::Use),
            Step::Use => Some(Step::Remove),
            Step::Remove => None,
        }
    }
}

/// What was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Step,
    List,
}

/// The keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    luck: Luck,
    /// The key that all seal with when no rotation is under way.
    key: u8,
    step: Option<Step>,
    /// The step was carried out; what is left is to see that everybody did.
    done: bool,
    under: Option<(usize, Asked)>,
}

/// The bytes of a key.
pub(super) fn key_bytes(number: u8) -> Vec<u8> {
    vec![number; 32]
}

/// The key that nodes start with.
pub(super) const FIRST: u8 = 7;

impl Keeper {
    pub(super) fn new(luck: Luck) -> Keeper {
        Keeper { luck, key: FIRST, step: None, done: false, under: None }
    }

    /// Whoever was asked is gone: nobody knows what came of it.
    pub(super) fn host_ended(&mut self, slot: usize) {
        self.under.take_if(|(asked, _)| *asked == slot);
    }

    fn request(&self, step: Step) -> (HttpRequest, Asked) {
        let (method, key) = match step {
            _ if self.done => ("GET", None),
            Step::Install => ("POST", Some(self.key + 1)),
            Step::Use => ("PUT", Some(self.key + 1)),
            Step::Remove => ("DELETE", Some(self.key)),
        };
        let body = key.map_or(Bytes::new(), |key| {
            Bytes::from(format!("{{\"Key\":\"{}\"}}", BASE64.encode(key_bytes(key))))
        });
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        let target = String::from("/v1/operator/keyring");
        let request =
            HttpRequest { method: method.into(), target, headers: Vec::new(), body, remote: Some(remote) };
        (request, if key.is_some() { Asked::Step } else { Asked::List })
    }

    /// Whether a list shows that all of so many hosts have done the step.
    fn shows(&self, step: Step, pool: &http::PoolKeys, hosts: u64) -> bool {
        let (old, new) = (BASE64.encode(key_bytes(self.key)), BASE64.encode(key_bytes(self.key + 1)));
        let count = |keys: &[(String, u64)], key: &str| {
            keys.iter().find(|(name, _)| name == key).map_or(0, |(_, count)| *count)
        };
        let done = match step {
            Step::Install => count(&pool.keys, &new) == hosts,
            Step::Use => count(&pool.primary, &new) == hosts,
            Step::Remove => count(&pool.keys, &old) == 0 && count(&pool.primary, &new) == hosts,
        };
        done && pool.nodes == hosts
    }
}

impl World {
    pub(super) fn on_keeper(&mut self) {
        let idle = self.keeper.step.is_none();
        let pause = if idle { self.keeper.luck.around(self.plan.knobs.rotate_ms * MS) } else { PAUSE };
        if !idle || !self.quiet {
            self.heap.push(self.now + pause, Event::Keeper);
        }
        if self.keeper.under.is_some() {
            return;
        }
        if idle {
            // The first look is for the pause before the first rotation.
            if !self.quiet && self.now > 10 * SECOND {
                (self.keeper.step, self.keeper.done) = (Some(Step::Install), false);
            }
            return;
        }
        let Some(step) = self.keeper.step else { return };
        let slot = self.keeper.luck.below(self.servers.len() as u64) as usize;
        if !self.servers[slot].is_awake() || self.servers[slot].errand.is_some() {
            return;
        }
        let (request, asked) = self.keeper.request(step);
        self.keeper.under = Some((slot, asked));
        self.next_req += 1;
        let req = ReqId(self.next_req);
        self.servers[slot].errand = Some(req);
        self.line(slot, || format!("keeper: {step:?} {} {}", request.method, request.target));
        self.feed_front(slot, FrontInput::Http { req, request });
    }

    /// A host has answered the keeper.
    pub(super) fn on_errand_done(&mut self, slot: usize, reply: &HttpReply) {
        self.servers[slot].errand = None;
        let Some((_, asked)) = self.keeper.under.take_if(|(host, _)| *host == slot) else { return };
        let Some(step) = self.keeper.step else { return };
        self.line(slot, || format!("keeper hears {} {:?}", reply.status, reply.body));
        if reply.status != 200 {
            self.marks.hit(Mark::KeysNotByAll);
            // Whoever lacks the key, or the step, gets it once more.
            return self.keeper.done = false;
        }
        match asked {
            Asked::Step => self.keeper.done = true,
            Asked::List => {
                let pools = match http::keyring(reply) {
                    Ok(pools) => pools,
                    Err(why) => {
                        return self.fail(Violation::invariant("an answer makes sense", why));
                    }
                };
                let hosts = self.servers.len() as u64 - self.plan.knobs.buried;
                self.keeper.done = false;
                if pools.iter().all(|pool| self.keeper.shows(step, pool, hosts)) {
                    self.keeper.step = step.next();
                    if self.keeper.step.is_none() {
                        self.keeper.key += 1;
                        self.marks.hit(Mark::KeyChanged);
                    }
                }
            }
        }
    }

    /// No rotation is under way.
    pub(super) fn keys_rest(&self) -> bool {
        self.keeper.step.is_none() && self.keeper.under.is_none()
    }
}
