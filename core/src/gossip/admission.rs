//! Whom a pool lets in.

use super::consul;
use super::serf::Member;
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::format;
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

    /// What one name alone may have: the node ID; in the pool of all servers that of its datacenter, for a datacenter
    /// may have begun as a copy of another.
    pub(super) fn identity(&self, tags: &BTreeMap<Str, Str>) -> Option<Str> {
        let id = tags.get("id").filter(|id| !id.is_empty())?;
        match self {
            Admission::Any => None,
            Admission::ConsulLan(_) => Some(id.clone()),
            Admission::ConsulWan => {
                let datacenter = tags.get("dc").map_or("", |datacenter| datacenter);
                Some(Str::from(format!("{id}.{datacenter}")))
            }
        }
    }

    /// Whether members must say all their versions.
    pub(super) fn needs_versions(&self) -> bool {
        !matches!(self, Admission::Any)
    }
}
