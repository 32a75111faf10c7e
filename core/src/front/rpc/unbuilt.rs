//! Methods of parts that are not built yet. Who asks is told so, on a stream that stays open; what is true
//! without them (there is no such query, no gateway has services) is answered.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::result::{Both, Indexed, bytes, indexed};
use super::{Answer, Failure, Read, Step, decode, missing, refuse_other_datacenter};
use crate::front::blocking::Body;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Where a call goes.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Addressed {
    datacenter: String,
}

/// Refuses a call that is for this datacenter with `why`.
fn refuse(cx: &Cx<'_>, arguments: &[u8], why: HttpError) -> Result<Step, Failure> {
    let to: Addressed = decode(arguments)?;
    refuse_other_datacenter(&to.datacenter, &cx.view.config.datacenter)?;
    Err(why.into())
}

/// `PreparedQuery.Apply`.
pub(super) fn prepared_queries(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    refuse(cx, arguments, HttpError::NotBuilt("defining prepared queries".into()))
}

/// A prepared query by its name or ID: nobody has defined it.
pub(super) fn no_query(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    refuse(cx, arguments, HttpError::Failed("Query not found".into()))
}

/// `PreparedQuery.List`.
pub(super) static QUERIES: Read = Read {
    answer: |cx, _| Ok(indexed(cx, 1, "Queries", || None::<()>)),
    watch: |_| Vec::new(),
    filter: None,
};

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
