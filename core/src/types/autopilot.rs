//! The settings of autopilot.

use alloc::string::String;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How servers are looked after. Replicated; durations in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct AutopilotConfig {
    /// Servers that are gone are taken out of raft.
    pub cleanup_dead_servers: bool,
    pub last_contact_threshold: i64,
    /// Entries that a healthy server may be behind.
    pub max_trailing_logs: u64,
    /// Never fewer voters than this by cleaning up.
    pub min_quorum: u64,
    /// How long a server must be healthy before it votes.
    pub server_stabilization_time: i64,
    /// Of Consul's Enterprise edition, kept for it.
    pub redundancy_zone_tag: String,
    /// As above.
    pub disable_upgrade_migration: bool,
    /// As above.
    pub upgrade_version_tag: String,
    pub create_index: u64,
    pub modify_index: u64,
}

impl Default for AutopilotConfig {
    fn default() -> Self {
        AutopilotConfig {
            cleanup_dead_servers: true,
            last_contact_threshold: 200_000_000,
            max_trailing_logs: 250,
            min_quorum: 0,
            server_stabilization_time: 10_000_000_000,
            redundancy_zone_tag: String::new(),
            disable_upgrade_migration: false,
            upgrade_version_tag: String::new(),
            create_index: 0,
            modify_index: 0,
        }
    }
}

impl AutopilotConfig {
    /// How late a healthy server's last answer may be.
    pub fn last_contact(&self) -> Duration {
        nanos(self.last_contact_threshold)
    }

    /// How long a server must be healthy before it votes.
    pub fn stabilization(&self) -> Duration {
        nanos(self.server_stabilization_time)
    }
}

fn nanos(n: i64) -> Duration {
    Duration::from_nanos(u64::try_from(n).unwrap_or(0))
}
