//! Which cluster this server is of: two that were founded apart must never become one by meeting in gossip.
//!
//! The ID is made when a cluster is founded, and is part of raft's membership: in the log, in snapshots, in every
//! later membership. Servers show it in gossip, and autopilot takes in only servers of no cluster. Messages of raft
//! carry it too, and those of another cluster are dropped.
//!
//! A client agent uses servers of one cluster: the one that it used last, as long as gossip shows a server of it that
//! has not left, else the one that most servers show. Servers that show none (Consul's, and those that belong to none
//! yet) it uses as well.

use super::Node;
use super::pools;
use crate::Str;
use crate::event::{Event, Level};
use crate::gossip::consul::{NO_CLUSTER, Server};
use crate::gossip::{Input, Status};
use crate::ids::{Pool, ServerId};
use crate::raft::{Membership, Raft};
use crate::time::{Duration, Now};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// Between two lines of log about messages of another cluster.
const TELL_EVERY: Duration = Duration::from_secs(300);

/// What a server shows of its cluster; empty: it has a log that tells of none.
pub(super) fn tag(raft: &Raft) -> Str {
    match raft.membership().cluster {
        // Who voted and got nothing of the log before it was taken out can be of any cluster.
        0 if raft.has_no_log() => Str::from(NO_CLUSTER),
        0 => Str::default(),
        cluster => Str::from(format!("{cluster:016x}")),
    }
}

/// The ID of a cluster of several founders: FNV-1a of their node IDs. Whoever of them founds, and however often it
/// crashes over it, the entry is the same. (A sole founder draws one: it may found anew after it lost its disk.)
pub(super) fn of_founders(founders: &Membership) -> u64 {
    let bytes = founders.voters.iter().flat_map(|id| id.bytes().chain([0]));
    bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Whose servers a client agent uses that used those of `last`; empty: no server shows a cluster.
fn chosen(last: &Str, servers: &BTreeMap<ServerId, Server>) -> Str {
    let mut shown: BTreeMap<&Str, usize> = BTreeMap::new();
    for server in servers.values().filter(|server| server.status != Status::Left && names_one(server)) {
        *shown.entry(&server.cluster).or_default() += 1;
    }
    if shown.contains_key(last) {
        return last.clone();
    }
    let most = shown.into_iter().max_by_key(|(cluster, servers)| (*servers, Reverse(*cluster)));
    most.map_or_else(Str::default, |(cluster, _)| cluster.clone())
}

fn names_one(server: &Server) -> bool {
    !server.cluster.is_empty() && *server.cluster != *NO_CLUSTER
}

impl Node {
    /// Of the servers that there are, those that this client agent uses.
    pub(super) fn of_own_cluster(&mut self, mut servers: BTreeMap<ServerId, Server>) -> Vec<Server> {
        let own = chosen(&self.used_cluster, &servers);
        if own.is_empty() {
            return servers.into_values().collect();
        }
        if own != self.used_cluster {
            self.keep_cluster(&own);
            self.used_cluster = own.clone();
        }
        let mut others: BTreeMap<Str, Vec<Str>> = BTreeMap::new();
        servers.retain(|_, server| {
            let foreign = names_one(server) && server.cluster != own;
            if foreign && server.status == Status::Alive {
                others.entry(server.cluster.clone()).or_default().push(server.short_name.clone());
            }
            !foreign
        });
        self.clusters_told.retain(|cluster| others.contains_key(cluster));
        for (cluster, names) in others {
            if self.clusters_told.insert(cluster.clone()) {
                let text = "not using servers of another cluster: this agent is of the one that it used last, or that \
                            most servers show; part the two in gossip";
                let event = Event::new(Level::Warn, "agent.client", text).with("cluster", &*own);
                self.log(event.with("other_cluster", &*cluster).with("servers", names.join(",")));
            }
        }
        servers.into_values().collect()
    }

    /// Shows in gossip which cluster this server is of, once that has changed.
    pub(super) fn show_cluster(&mut self, now: Now) {
        if !self.config.server {
            return;
        }
        let shown = tag(&self.raft);
        if shown != self.shown_cluster && self.pools.get(Pool::Lan).is_some() {
            let tags = pools::tags(&self.config, &self.id, Pool::Lan, &shown);
            self.shown_cluster = shown;
            self.pools.handle(now.mono, Pool::Lan, Input::SetTags { tags });
        }
    }

    /// Whether a message of raft comes from another cluster. The log is told now and then.
    pub(super) fn is_stranger(&mut self, now: Now, from: &ServerId, cluster: u64) -> bool {
        let own = self.raft.membership().cluster;
        if own == 0 || cluster == 0 || own == cluster {
            return false;
        }
        if self.stranger_told.is_none_or(|at| now.mono >= at + TELL_EVERY) {
            self.stranger_told = Some(now.mono);
            let text = "dropped messages of a server of another cluster: two clusters cannot become one; stop the \
                        servers of one, empty their data directories, and start them again with retry_join";
            let event = Event::new(Level::Error, "agent.server.raft", text).with("from", &**from);
            let event = event.with("cluster", format!("{own:016x}"));
            self.log(event.with("other_cluster", format!("{cluster:016x}")));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::Member;

    /// Servers by name, cluster and whether they are there.
    fn pool(shown: &[(&str, &str, Status)]) -> BTreeMap<ServerId, Server> {
        let server = |(name, cluster, status): &(&str, &str, Status)| {
            let tags = crate::gossip::consul::ServerTags {
                id: Str::from(*name),
                datacenter: Str::from("dc1"),
                build: Str::from("1.21.5"),
                port: 8300,
                cluster: Str::from(*cluster),
                ..Default::default()
            };
            let member = Member {
                name: Str::from(*name),
                addr: ([10, 0, 0, 1], 8301).into(),
                tags: tags.tags(),
                status: *status,
                vsn: [1, 5, 2, 2, 5, 4],
            };
            let server = Server::from_member(&member).expect("a server");
            (server.id.clone(), server)
        };
        shown.iter().map(server).collect()
    }

    #[test]
    fn an_agent_is_of_the_cluster_that_it_used_last_or_else_of_the_one_with_most_servers() {
        use Status::{Alive, Failed, Left};
        let of = |last: &str, shown: &[_]| chosen(&Str::from(last), &pool(shown));
        let four = [("a", "x", Alive), ("b", "x", Failed), ("c", "x", Failed), ("d", "w", Alive)];
        assert_eq!(&*of("", &four), "x", "those that have failed count");
        assert_eq!(&*of("w", &four), "w");
        assert_eq!(&*of("gone", &four), "x");
        assert_eq!(&*of("x", &[("a", "x", Failed), ("d", "w", Alive)]), "x", "it may come back");
        assert_eq!(&*of("x", &[("a", "x", Left), ("d", "w", Alive)]), "w");
        assert_eq!(&*of("", &[("a", "", Alive), ("b", "none", Alive)]), "", "Consul's, and a new one");
    }
}
