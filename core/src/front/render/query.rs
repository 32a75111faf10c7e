//! Prepared queries, and what they found.

use super::{check, node, raft_index, service};
use crate::json::Writer;
use crate::types::{Pairs, PreparedQuery, QueryFailover, QueryFound, ServiceQuery, Tags};

/// A query as it is defined.
pub(in crate::front) fn query(w: &mut Writer<'_>, query: &PreparedQuery) {
    w.object(|w| {
        w.field_str("ID", &query.id);
        w.field_str("Name", &query.name);
        w.field_str("Session", &query.session);
        w.field_str("Token", &query.token);
        w.field("Template", |w| {
            w.object(|w| {
                w.field_str("Type", &query.template.kind);
                w.field_str("Regexp", &query.template.regexp);
                w.field_bool("RemoveEmptyTags", query.template.remove_empty_tags);
            });
        });
        w.field("Service", |w| service_query(w, &query.service));
        w.field("DNS", |w| w.object(|w| w.field_str("TTL", &query.dns.ttl)));
        raft_index(w, query.create_index, query.modify_index);
    });
}

fn service_query(w: &mut Writer<'_>, query: &ServiceQuery) {
    w.object(|w| {
        w.field_str("Service", &query.service);
        w.field_str("SamenessGroup", &query.sameness_group);
        w.field("Failover", |w| failover(w, &query.failover));
        w.field_bool("OnlyPassing", query.only_passing);
        list(w, "IgnoreCheckIDs", &query.ignore_check_ids);
        w.field_str("Near", &query.near);
        list(w, "Tags", &query.tags);
        map(w, "NodeMeta", &query.node_meta);
        map(w, "ServiceMeta", &query.service_meta);
        w.field_bool("Connect", query.connect);
        w.field_str("Peer", &query.peer);
    });
}

fn failover(w: &mut Writer<'_>, failover: &QueryFailover) {
    w.object(|w| {
        w.field_i64("NearestN", failover.nearest_n);
        list(w, "Datacenters", &failover.datacenters);
        w.field("Targets", |w| match &failover.targets {
            None => w.null(),
            Some(targets) => w.array(|w| {
                for target in targets {
                    w.object(|w| {
                        w.field_str("Peer", &target.peer);
                        w.field_str("Datacenter", &target.datacenter);
                    });
                }
            }),
        });
    });
}

/// As it was sent: none at all is `null`.
fn list(w: &mut Writer<'_>, name: &str, list: &Tags) {
    match list.is_none() {
        true => w.field_null(name),
        false => w.field_strs(name, list.iter()),
    }
}

fn map(w: &mut Writer<'_>, name: &str, map: &Pairs) {
    match map.is_none() {
        true => w.field_null(name),
        false => w.field_str_map(name, map),
    }
}

/// The fields of what a query found. Where nothing is, Consul shows `null` here.
pub(in crate::front) fn found(w: &mut Writer<'_>, found: &QueryFound) {
    w.field_str("Service", &found.service);
    w.field("Nodes", |w| {
        w.array(|w| {
            for entry in &found.nodes {
                w.object(|w| {
                    w.field("Node", |w| node::node(w, &entry.node));
                    w.field("Service", |w| service::instance(w, &entry.service, false));
                    w.field("Checks", |w| match entry.checks.is_empty() {
                        true => w.null(),
                        false => w.array(|w| entry.checks.iter().for_each(|one| check::result(w, one))),
                    });
                });
            }
        });
    });
    w.field("DNS", |w| w.object(|w| w.field_str("TTL", &found.dns.ttl)));
    w.field_str("Datacenter", &found.datacenter);
    w.field_str("PeerName", &found.peer_name);
    w.field_i64("Failovers", found.failovers);
}
