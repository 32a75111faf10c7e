//! Whom Consul lets into a pool.

use super::super::serf::{Member, Status};
use super::server::Server;
use crate::Str;
use alloc::format;
use alloc::string::String;

/// The rules of one datacenter's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanRules {
    /// This datacenter.
    pub datacenter: Str,
    /// This node's id.
    pub node_id: Str,
    /// This node's name.
    pub node_name: Str,
}

impl LanRules {
    /// Refuses members of another datacenter, partition or segment, and other names of this node's id. (Two names
    /// of another node's id are decided one by one, or one that got in would keep everybody from joining.)
    pub(in super::super) fn admit(&self, members: &[Member]) -> Result<(), String> {
        for member in members {
            let name = &member.name;
            let id = member.tag("id");
            if !id.is_empty() {
                // Whoever is gone does not conflict: this node may have had another name. (Consul waits until it is
                // forgotten.)
                if matches!(member.status, Status::Left | Status::Failed) {
                    continue;
                }
                if *id == *self.node_id && !name.eq_ignore_ascii_case(&self.node_name) {
                    return Err(format!(
                        "Member '{name}' has conflicting node ID '{id}' with this agent's ID"
                    ));
                }
            }
            let datacenter = match member.tag("role") {
                "node" => Some(member.tag("dc").into()),
                _ => Server::from_member(member).map(|server| server.datacenter),
            };
            if let Some(datacenter) = datacenter.filter(|datacenter| *datacenter != self.datacenter) {
                return Err(format!("Member '{name}' part of wrong datacenter '{datacenter}'"));
            }
            if !member.tag("fips").is_empty() {
                return Err(format!(
                    "Member '{name}' is FIPS Consul; FIPS Consul is only available in Consul Enterprise"
                ));
            }
            let partition = member.tag("ap");
            if !partition.is_empty() {
                return Err(format!(
                    "Member '{name}' part of partition '{partition}'; Partitions are a Consul Enterprise feature"
                ));
            }
            let segment = member.tag("segment");
            if !segment.is_empty() {
                return Err(format!(
                    "Member '{name}' part of segment '{segment}'; Network Segments are a Consul Enterprise feature"
                ));
            }
        }
        Ok(())
    }
}

/// The pool of all datacenters' servers refuses everything that is no server.
pub(in super::super) fn admit_wan(members: &[Member]) -> Result<(), String> {
    match members.iter().find(|member| Server::from_member(member).is_none()) {
        Some(member) => Err(format!("Member '{}' is not a server", member.name)),
        None => Ok(()),
    }
}
