//! Methods of parts that are not built yet. Who asks is told so, on a stream that stays open; what is true
//! without them (no gateway has services) is answered.

use super::result::{Both, Indexed, bytes, indexed};
use super::{Answer, Read, missing};
use crate::front::blocking::Body;
use alloc::vec::Vec;
use serde::Serialize;

/// `Internal.GatewayServiceDump`.
pub(super) static GATEWAY_SERVICES: Read = Read {
    answer: |cx, args| match args.read.service_name.is_empty() {
        true => Err(missing("Must provide gateway name")),
        false => Ok(indexed(cx, 1, "Dump", || None::<()>)),
    },
    watch: |_| Vec::new(),
    filter: None,
};

/// Who a service's proxies talk to.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Topology {
    upstreams: Option<()>,
    downstreams: Option<()>,
    upstream_decisions: Option<()>,
    downstream_decisions: Option<()>,
    metrics_protocol: &'static str,
    transparent_proxy: bool,
    upstream_sources: Option<()>,
    downstream_sources: Option<()>,
}

/// `Internal.ServiceTopology`: there are no proxies.
pub(super) static TOPOLOGY: Read = Read {
    answer: |cx, args| {
        if args.read.service_name.is_empty() {
            return Err(missing("Must provide a service name"));
        }
        let nobody = Topology {
            upstreams: None,
            downstreams: None,
            upstream_decisions: None,
            downstream_decisions: None,
            metrics_protocol: "tcp",
            transparent_proxy: false,
            upstream_sources: None,
            downstream_sources: None,
        };
        if !cx.wants(1) {
            return Ok(Answer { index: 1, body: Body::Unwanted });
        }
        let fields = Both(("ServiceTopology", nobody), ("FilteredByACLs", false));
        Ok(Answer { index: 1, body: Body::Result(bytes(&Indexed { index: 1, cx, fields })) })
    },
    watch: |_| Vec::new(),
    filter: None,
};
