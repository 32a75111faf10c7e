//! Whom Consul lets into a pool.

use super::super::serf::{Member, Status};
use super::server::{Build, Server};
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

/// Builds since this one have unique node ids.
const UNIQUE_IDS: Build = Build(0, 8, 5);

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
    /// Refuses members of another datacenter, partition or segment, and node ids that two names claim.
    pub(in super::super) fn admit(&self, members: &[Member]) -> Result<(), String> {
        let mut names_by_id: BTreeMap<&str, &str> = BTreeMap::new();
        for member in members {
            let name = &member.name;
            let id = member.tag("id");
            if !id.is_empty() {
                if member.status == Status::Left {
                    continue;
                }
                if *id == *self.node_id && !name.eq_ignore_ascii_case(&self.node_name) {
                    return Err(format!(
                        "Member '{name}' has conflicting node ID '{id}' with this agent's ID"
                    ));
                }
                if let Some(other) = names_by_id.get(id) {
                    return Err(format!(
                        "Member '{name}' has conflicting node ID '{id}' with member '{other}'"
                    ));
                }
                if Build::find(member.tag("build")).is_some_and(|build| build >= UNIQUE_IDS) {
                    names_by_id.insert(id, name);
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
