//! What gossip, the catalog and the agents must agree on when nothing has happened for a while.

use super::{Checked, hold};
use crate::fast::server::CENTRES;
use lictor_core::Str;
use lictor_core::agent::Local;
use lictor_core::gossip::{Member, Status};
use lictor_core::ids::ServerId;
use lictor_core::raft::{Entry, Payload};
use lictor_core::store::Store;
use lictor_core::view::Members;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The check under which the catalog keeps what gossip says of a node.
const SERF_HEALTH: &str = "serfHealth";
/// The service of servers, which no agent registers.
const CONSUL: &str = "consul";

/// What is true of one host.
#[derive(Clone, Debug)]
pub(in crate::fast) struct Host {
    pub(in crate::fast) id: ServerId,
    /// Its datacenter.
    pub(in crate::fast) centre: usize,
    pub(in crate::fast) name: Str,
    pub(in crate::fast) ip: IpAddr,
    pub(in crate::fast) serves: bool,
    pub(in crate::fast) up: bool,
}

/// What a service of an owner is, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fast) enum Presence {
    /// It is not there.
    Absent,
    /// It is registered with this port.
    Port(u16),
}

/// Founding happens once: whoever writes the first entry of a log writes the same, in all lives of all servers
/// (docs/decisions/0016). Two that differ are two clusters, or one whose members disagree on it.
pub(in crate::fast) fn founded_once(first: &mut Option<Entry>, id: &ServerId, entry: &Entry) -> Checked {
    if entry.index.0 != 1 || !matches!(entry.payload, Payload::Membership(_)) {
        return Ok(());
    }
    match first {
        Some(first) => hold!(
            first.payload == entry.payload,
            "founded once",
            "{id} writes {:?} where another server wrote {:?}",
            entry.payload,
            first.payload
        ),
        None => *first = Some(entry.clone()),
    }
    Ok(())
}

fn member<'a>(members: &'a Members, name: &str) -> Option<&'a Member> {
    members.lan.iter().find(|member| member.name.eq_ignore_ascii_case(name))
}

/// Everybody who is up is alive in everybody's eyes, under the address and the ID that it has now; whoever is
/// down is not (SWIM, Das et al. 2002: completeness, and refutation in 4.2).
pub(in crate::fast) fn members_are_as_they_are(by: &Host, members: &Members, hosts: &[Host]) -> Checked {
    for host in hosts {
        let seen = member(members, &host.name);
        let status = seen.map_or(Status::None, |member| member.status);
        if !host.up {
            hold!(
                status != Status::Alive,
                "the dead are not alive in gossip",
                "{} sees {} alive, which is down",
                by.name,
                host.name
            );
            continue;
        }
        hold!(
            status == Status::Alive,
            "no up node stays failed",
            "{} sees {} {}, which is up",
            by.name,
            host.name,
            status.name()
        );
        let Some(seen) = seen else { continue };
        hold!(
            seen.addr.ip() == host.ip && *seen.tag("id") == *host.id,
            "members are where they are",
            "{} sees {} at {} with ID {}, but it is at {} with ID {}",
            by.name,
            host.name,
            seen.addr,
            seen.tag("id"),
            host.ip,
            host.id
        );
    }
    Ok(())
}

/// Where a member of this name is shown alive.
pub(in crate::fast) fn address_of(members: &Members, name: &str) -> Option<IpAddr> {
    let member = member(members, name)?;
    (member.status == Status::Alive).then(|| member.addr.ip())
}

/// A node ID has one name in gossip at a time (docs/identity.md, every case).
pub(in crate::fast) fn one_name_per_id(by: &Host, members: &Members) -> Checked {
    let alive = members.lan.iter().filter(|member| member.status == Status::Alive);
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for member in alive {
        if let Some(other) = names.insert(member.tag("id"), &member.name) {
            hold!(
                false,
                "an ID has one name",
                "{} sees {other} and {} alive, both with ID {}",
                by.name,
                member.name,
                member.tag("id")
            );
        }
    }
    Ok(())
}

/// Whoever has a name keeps it while it lives, whoever else claims it (docs/identity.md).
pub(in crate::fast) fn the_first_keeps_its_name(by: &Host, owner: &Host, seen: Option<IpAddr>) -> Checked {
    hold!(
        seen.is_none_or(|ip| ip == owner.ip),
        "the first keeps its name",
        "{} sees {} at {seen:?}, and its owner lives at {}",
        by.name,
        owner.name,
        owner.ip
    );
    Ok(())
}

/// Whoever waits outside for its name has said so in its log, with both IDs (docs/identity.md).
pub(in crate::fast) fn told_of_its_rival(host: &Host, rival: &Host, said: Option<&str>) -> Checked {
    hold!(
        said.is_some_and(|said| said.contains(&*host.id) && said.contains(&*rival.id)),
        "who waits for a name says why",
        "{} with ID {} waits outside for {}, and has said {said:?}",
        host.name,
        host.id,
        rival.id
    );
    Ok(())
}

/// Of two processes with one node ID the one that must stop says where both are (pains.md d.2 R7).
pub(in crate::fast) fn a_twin_names_both(
    (other, own): (IpAddr, IpAddr),
    is: (Option<IpAddr>, IpAddr),
) -> Checked {
    hold!(
        (Some(other), own) == is,
        "a twin names both",
        "it says that it is at {own} and the other at {other}, and they are at {} and {:?}",
        is.1,
        is.0
    );
    Ok(())
}

/// Of two processes with one node ID the one with the copied, or older, disk stops by itself (pains.md d.2 R7).
pub(in crate::fast) fn a_twin_stops(name: &str, bound: u64, stopped: bool) -> Checked {
    hold!(
        stopped,
        "a twin stops",
        "{name} and another process with its ID have run for {:.0} s, with nothing between them",
        bound as f64 / 1e9
    );
    Ok(())
}

/// Whether this member is shown as failed.
pub(in crate::fast) fn is_failed(members: &Members, host: &Host) -> bool {
    member(members, &host.name).is_some_and(|member| member.status == Status::Failed)
}

/// Whether this member is shown as failed where it is.
pub(in crate::fast) fn is_failed_at(members: &Members, host: &Host) -> bool {
    is_failed(members, host) && member(members, &host.name).is_some_and(|member| member.addr.ip() == host.ip)
}

/// Whoever is called failed by another whom it sees alive hears of it with the ack of the next probe that reaches one
/// of its accusers, and contradicts (SWIM, 4.2; docs/gossip.md, a member is suspected and lives).
pub(in crate::fast) fn the_accused_come_back(by: &Host, host: &Host, shown: u64, bound: u64) -> Checked {
    hold!(
        shown <= bound,
        "who reaches its accuser is back at once",
        "{} has shown {} as failed for {:.1} s, and {} probes it",
        by.name,
        host.name,
        shown as f64 / 1e9,
        host.name
    );
    Ok(())
}

/// Whoever is dead is not alive in anybody's eyes after a round of probes, the longest suspicion and a rumour's way,
/// as long as nothing else goes wrong (SWIM, 4.3: time-bounded completeness; Lifeguard, IV-B).
pub(in crate::fast) fn the_dead_are_found<'a>(
    by: &Host,
    members: &Members,
    dead: impl Iterator<Item = &'a Host>,
    bound: u64,
) -> Checked {
    for host in dead {
        let status = member(members, &host.name).map_or(Status::None, |member| member.status);
        hold!(
            status != Status::Alive,
            "the dead are found in time",
            "{} sees {} alive, which has been down for {:.1} s and more",
            by.name,
            host.name,
            bound as f64 / 1e9
        );
    }
    Ok(())
}

/// Members that are starved accuse others of their own slowness; whoever is well contradicts, and stays failed in the
/// eyes of others who are well for no longer than that takes (Lifeguard, I and V).
pub(in crate::fast) fn the_starved_harm_nobody(by: &Host, host: &Host, shown: u64, bound: u64) -> Checked {
    hold!(
        shown <= bound,
        "the starved harm nobody",
        "{} has seen {} failed for {:.1} s, and both are well",
        by.name,
        host.name,
        shown as f64 / 1e9
    );
    Ok(())
}

/// The pool of one datacenter has none of the other's nodes.
pub(in crate::fast) fn datacenters_stay_apart(by: &Host, members: &Members, hosts: &[Host]) -> Checked {
    for host in hosts.iter().filter(|host| host.centre != by.centre) {
        hold!(
            member(members, &host.name).is_none(),
            "datacenters stay apart",
            "{} has {} in its pool, which is of the other datacenter",
            by.name,
            host.name
        );
    }
    Ok(())
}

/// All servers that are up are alive for each other in the pool of all datacenters, where they are (SWIM, 4.2).
pub(in crate::fast) fn servers_see_each_other(by: &Host, members: &Members, hosts: &[Host]) -> Checked {
    for host in hosts.iter().filter(|host| host.serves && host.up) {
        let name = format!("{}.{}", host.name, CENTRES[host.centre]);
        let seen = members.wan.iter().find(|member| *member.name == *name);
        let there = seen.map(|member| (member.status, member.addr.ip()));
        hold!(
            there == Some((Status::Alive, host.ip)),
            "servers of all datacenters see each other",
            "{} sees {name} as {there:?}, which is up at {}",
            by.name,
            host.ip
        );
    }
    Ok(())
}

/// Lost packets alone, up to one of twenty, make nobody who is up fail: there are indirect probes, probes by stream,
/// and time to contradict (Lifeguard, Dadgar et al. 2018).
pub(in crate::fast) fn nobody_fails_by_loss(by: &Host, members: &Members, hosts: &[Host]) -> Checked {
    for host in hosts.iter().filter(|host| host.up) {
        let status = member(members, &host.name).map_or(Status::None, |member| member.status);
        hold!(
            status != Status::Failed,
            "nobody fails by loss alone",
            "{} sees {} failed",
            by.name,
            host.name
        );
    }
    Ok(())
}

/// Every member that is there has a node, with its ID and its address, and a passing `serfHealth`; every one
/// that is not is critical, or gone; servers have the `consul` service.
pub(in crate::fast) fn catalog_is_gossip(store: &Store, hosts: &[Host]) -> Checked {
    for host in hosts {
        let health = store.check(&host.name, SERF_HEALTH).map(|check| check.status.clone());
        if !host.up {
            hold!(
                health.as_deref().is_none_or(|status| status == "critical"),
                "the dead are critical in the catalog",
                "{} is down, and its serfHealth is {health:?}",
                host.name
            );
            continue;
        }
        hold!(
            health.as_deref() == Some("passing"),
            "the living pass in the catalog",
            "{} is up, and its serfHealth is {health:?}",
            host.name
        );
        let Some(node) = store.node(&host.name) else { continue };
        hold!(
            *node.id == *host.id && *node.address == *host.ip.to_string(),
            "the catalog knows where nodes are",
            "{} is in the catalog at {} with ID {}, but it is at {} with ID {}",
            host.name,
            node.address,
            node.id,
            host.ip,
            host.id
        );
        hold!(
            store.service(&host.name, CONSUL).is_some() == host.serves,
            "servers have the consul service",
            "{} serves: {}, and the catalog has its consul service: {}",
            host.name,
            host.serves,
            !host.serves
        );
    }
    let known = |name: &str| hosts.iter().any(|host| host.name.eq_ignore_ascii_case(name));
    for node in store.nodes() {
        hold!(
            store.check(&node.node, SERF_HEALTH).is_none() || known(&node.node),
            "no node of gossip is left over",
            "the catalog has {}, which is no host's name",
            node.node
        );
    }
    Ok(())
}

/// The catalog shows exactly what the agent holds.
pub(in crate::fast) fn catalog_is_the_agents(store: &Store, host: &Host, local: &Local) -> Checked {
    for own in local.services().map(|own| &own.service) {
        let there = store.service(&host.name, &own.id);
        hold!(
            there.is_some_and(|there| {
                (&there.service, there.port, &there.tags, &there.meta)
                    == (&own.service, own.port, &own.tags, &own.meta)
            }),
            "the catalog has the agent's services",
            "{} holds {own:?}, and the catalog {there:?}",
            host.name
        );
    }
    for there in store.node_services(&host.name) {
        hold!(
            local.service(&there.id).is_some() || (host.serves && *there.id == *CONSUL),
            "the catalog has nothing that the agent has not",
            "{} holds no service {}, and the catalog does",
            host.name,
            there.id
        );
    }
    for own in local.checks() {
        let there = store.check(&host.name, &own.check_id);
        hold!(
            there.is_some_and(|there| (&there.status, &there.service_id) == (&own.status, &own.service_id)),
            "the catalog has the agent's checks",
            "{} holds {own:?}, and the catalog {there:?}",
            host.name
        );
    }
    for there in store.node_checks(&host.name) {
        hold!(
            local.check(&there.check_id).is_some() || *there.check_id == *SERF_HEALTH,
            "the catalog has nothing that the agent has not",
            "{} holds no check {}, and the catalog does",
            host.name,
            there.check_id
        );
    }
    Ok(())
}

/// The agent holds what its owner was told that it holds, and nothing comes back.
pub(in crate::fast) fn agents_hold_the_last_word<'a>(
    host: &Host,
    local: &Local,
    wanted: impl Iterator<Item = (&'a str, &'a [Presence])>,
) -> Checked {
    let mut named = Vec::new();
    for (id, may) in wanted {
        let there = local.service(id).map_or(Presence::Absent, |own| Presence::Port(own.service.port as u16));
        hold!(
            may.contains(&there),
            "the agent holds its owner's last word",
            "service {id} of {} is {there:?}, and its owner was told {may:?}",
            host.name
        );
        named.push(id);
    }
    for own in local.services() {
        hold!(
            named.contains(&&*own.service.id),
            "the agent holds its owner's last word",
            "{} holds service {}, which nobody registered",
            host.name,
            own.service.id
        );
    }
    Ok(())
}
