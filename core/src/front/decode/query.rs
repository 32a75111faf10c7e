//! The body of a prepared query.

use crate::json::{self, Error, Fields, Struct, Unknown};
use crate::types::{
    Pairs, PreparedQuery, QueryDns, QueryFailover, QueryTarget, QueryTemplate, ServiceQuery, Tags,
};

/// Reads it as Go does: fields that are not known are refused.
pub(in crate::front) fn query(body: &[u8]) -> Result<PreparedQuery, Error> {
    let value = json::parse_body(body)?;
    json::decode(&value, Struct::new("PreparedQuery"), Unknown::Refuse, |f| PreparedQuery {
        id: f.str("ID"),
        name: f.str("Name"),
        session: f.str("Session"),
        token: f.str("Token"),
        template: f
            .part("Template", Struct::new("QueryTemplateOptions"), |f| QueryTemplate {
                kind: f.str("Type"),
                regexp: f.str("Regexp"),
                remove_empty_tags: f.bool("RemoveEmptyTags"),
            })
            .unwrap_or_default(),
        service: f.part("Service", Struct::new("ServiceQuery"), service).unwrap_or_default(),
        dns: f
            .part("DNS", Struct::new("QueryDNSOptions"), |f| QueryDns { ttl: f.str("TTL") })
            .unwrap_or_default(),
        create_index: f.uint64("CreateIndex"),
        modify_index: f.uint64("ModifyIndex"),
    })
}

fn service(f: &mut Fields<'_>) -> ServiceQuery {
    ServiceQuery {
        service: f.str("Service"),
        sameness_group: f.str("SamenessGroup"),
        failover: f.part("Failover", Struct::new("QueryFailoverOptions"), failover).unwrap_or_default(),
        only_passing: f.bool("OnlyPassing"),
        ignore_check_ids: Tags::of(f.opt_strings_of("IgnoreCheckIDs", "types.CheckID")),
        near: f.str("Near"),
        tags: Tags::of(f.opt_strings("Tags")),
        node_meta: Pairs::of(f.opt_string_map("NodeMeta")),
        service_meta: Pairs::of(f.opt_string_map("ServiceMeta")),
        connect: f.bool("Connect"),
        peer: f.str("Peer"),
    }
}

fn failover(f: &mut Fields<'_>) -> QueryFailover {
    let target = |f: &mut Fields<'_>| QueryTarget { peer: f.str("Peer"), datacenter: f.str("Datacenter") };
    QueryFailover {
        nearest_n: f.int("NearestN"),
        datacenters: Tags::of(f.opt_strings("Datacenters")),
        targets: f
            .value("Targets")
            .is_some()
            .then(|| f.objects("Targets", Struct::new("QueryFailoverTarget"), target)),
    }
}
