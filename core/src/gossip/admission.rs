//! Whom a pool lets in.

use super::consul;
use super::serf::Member;
use alloc::string::String;

/// The rule that every member must meet, when it is heard of and when its cluster is joined.
#[derive(Clone, Debug)]
pub enum Admission {
    /// Everybody, as plain serf does.
    Any,
    /// Consul's rules for the pool of one datacenter.
    ConsulLan(consul::LanRules),
    /// Consul's rules for the pool of all servers.
    ConsulWan,
}

impl Admission {
    /// Whether these members may be part of the pool together, or why not.
    pub(super) fn admit(&self, members: &[Member]) -> Result<(), String> {
        match self {
            Admission::Any => Ok(()),
            Admission::ConsulLan(rules) => rules.admit(members),
            Admission::ConsulWan => consul::admit_wan(members),
        }
    }

    /// Whether a node ID has one name.
    pub(super) fn has_unique_ids(&self) -> bool {
        matches!(self, Admission::ConsulLan(_))
    }

    /// Whether members must say all their versions.
    pub(super) fn needs_versions(&self) -> bool {
        !matches!(self, Admission::Any)
    }
}
