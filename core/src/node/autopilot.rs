//! What autopilot's orders mean to the rest of the node; the decisions are in `server/autopilot.rs`.

use super::Node;
use super::boot::raft_config;
use super::calls::Caller;
use crate::gossip::Input;
use crate::ids::Pool;
use crate::raft;
use crate::server::autopilot::{Effect, Raft};
use crate::time::Now;
use crate::types::AutopilotConfig;

impl Node {
    /// Looks after the servers, when that is due.
    pub(super) fn tend(&mut self, now: Now) {
        self.hand_over_if_full(now);
        let config = self.autopilot_config();
        let heartbeat = raft_config(&self.config, &self.id).heartbeat;
        let status = self.raft.status();
        let raft = Raft { status: &status, heartbeat };
        let effects = self.autopilot.step(now.mono, &config, &raft, &self.pools.servers());
        let health = self.autopilot.health();
        if *self.health != health {
            self.health = health.into();
            self.stale_view = true;
        }
        for effect in effects {
            match effect {
                Effect::Change(change) => {
                    let call = self.calls.for_raft(Caller::Duty);
                    self.to_raft.push_back(raft::Input::ChangeMembership { call, change });
                }
                Effect::ForceLeave(name) => {
                    let wan = crate::gossip::consul::wan_name(&name, &self.config.datacenter);
                    for (pool, name) in [(Pool::Lan, name), (Pool::Wan, wan)] {
                        if self.pools.get(pool).is_some_and(|machine| machine.member(&name).is_some()) {
                            self.pools.handle(now.mono, pool, Input::ForceLeave { name, prune: false });
                        }
                    }
                }
                Effect::Log(event) => self.log(event),
            }
        }
    }

    /// The settings in force: those written last, else the defaults.
    fn autopilot_config(&self) -> AutopilotConfig {
        self.store.autopilot().map(|config| (**config).clone()).unwrap_or_default()
    }
}
