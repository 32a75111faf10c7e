//! `/v1/coordinate`: where nodes are in the space of round-trip times.

use super::super::blocking::{Answer, Body, Cx};
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::remote::{self, Remote};
use super::super::request::Request;
use super::super::respond;
use super::super::route::{Finish, Read, Step, Style};
use super::super::rpc::coordinate::{checked, maps};
use super::agent_node::coordinate;
use super::{decode, unexpected};
use crate::Str;
use crate::call;
use crate::json::{Struct, Writer};
use crate::router::{Ask, Kind, To};
use crate::rpc::answer::DatacenterMap;
use crate::rpc::arguments::CoordinateArguments;
use crate::store::Excerpt;
use crate::types::{Coordinate, NodeCoordinate};
use crate::watch::WatchKey;
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

fn refuse_if_disabled(cx: &Cx<'_>) -> Result<(), HttpError> {
    match cx.view.config.coordinates.disabled {
        true => Err(HttpError::Disabled("Coordinate support disabled")),
        false => Ok(()),
    }
}

fn write(w: &mut Writer<'_>, at: &NodeCoordinate, node: &str) {
    w.object(|w| {
        w.field_str("Node", node);
        w.field_str("Segment", &at.segment);
        if !at.partition.is_empty() {
            w.field_str("Partition", &at.partition);
        }
        w.field("Coord", |w| coordinate(w, &at.coord));
    });
}

/// `GET /v1/coordinate/datacenters`: the servers of each, as the WAN pool knows them.
pub(in crate::front) fn datacenters(cx: &Cx<'_>, _: &Request) -> Result<Step, HttpError> {
    refuse_if_disabled(cx)?;
    if cx.view.config.server {
        return Ok(Step::Call(Box::new(call::Request::Datacenters), |cx, rq, reply| match reply {
            call::Reply::Datacenters(known) => Ok(datacenters_reply(cx, rq, &maps(known))),
            other => Err(unexpected(other)),
        }));
    }
    Ok(remote::to_server("Coordinate.ListDatacenters", cx, |cx, rq, reply| {
        let body = remote::body(reply)?;
        let maps: Option<Vec<DatacenterMap>> = remote::value(&body)?;
        Ok(datacenters_reply(cx, rq, &maps.unwrap_or_default()))
    }))
}

fn datacenters_reply(cx: &Cx<'_>, rq: &Request, maps: &[DatacenterMap]) -> HttpReply {
    respond::json(cx.view, rq, |w| {
        w.array(|w| {
            for map in maps {
                w.object(|w| {
                    w.field_str("Datacenter", &map.datacenter);
                    w.field_str("AreaID", &map.area_id);
                    w.field("Coordinates", |w| {
                        w.array(|w| map.coordinates.iter().for_each(|at| write(w, at, &at.node)));
                    });
                });
            }
        });
    })
}

/// Those of the segment that `?segment=` names, if it does.
fn shown<'a>(
    rq: &'a Request,
    all: impl Iterator<Item = &'a Arc<NodeCoordinate>> + 'a,
) -> impl Iterator<Item = &'a Arc<NodeCoordinate>> + 'a {
    all.filter(|at| !rq.query.has("segment") || *at.segment == *rq.query.get("segment"))
}

/// `GET /v1/coordinate/nodes`.
pub(in crate::front) static NODES: Read = Read {
    answer: |cx, rq| {
        refuse_if_disabled(cx)?;
        let store = &cx.view.store;
        Ok(Answer::json(cx, store.coordinates_index(), |w| {
            w.array(|w| shown(rq, store.coordinates()).for_each(|at| write(w, at, &at.node)));
        }))
    },
    watch: |_, _| vec![WatchKey::Coordinates],
    style: Style::Kv { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, _, _| "Coordinate.ListNodes",
        take: Excerpt::coordinates,
        finish: |cx, rq, reply| remote::finish(&NODES, cx, rq, reply),
    },
};

/// `GET /v1/coordinate/node/:node`: 404 for one that has not said where it is.
pub(in crate::front) static NODE: Read = Read {
    answer: |cx, rq| {
        refuse_if_disabled(cx)?;
        let store = &cx.view.store;
        let index = store.coordinates_index();
        let found: Vec<&Arc<NodeCoordinate>> = shown(rq, store.node_coordinates(rq.arg())).collect();
        if found.is_empty() {
            return Ok(Answer { index, body: Body::Absent });
        }
        // Under the name that was asked for, as Consul has it.
        Ok(Answer::json(cx, index, |w| w.array(|w| found.iter().for_each(|at| write(w, at, rq.arg())))))
    },
    watch: |_, _| vec![WatchKey::Coordinates],
    style: Style::Kv { meta_on_error: true },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.node = Str::from(rq.arg());
            "Coordinate.Node"
        },
        take: Excerpt::coordinates,
        finish: |cx, rq, reply| remote::finish(&NODE, cx, rq, reply),
    },
};

/// `PUT /v1/coordinate/update`.
pub(in crate::front) fn update(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    refuse_if_disabled(cx)?;
    let update = decode(&rq.body, Struct::new("CoordinateUpdateRequest"), |f| CoordinateArguments {
        datacenter: f.str("Datacenter"),
        node: f.str("Node"),
        segment: f.str("Segment"),
        partition: f.str("Partition"),
        coord: f.object("Coord", Struct::new("Coordinate"), |f| Coordinate {
            vec: f.float64s("Vec"),
            error: f.float64("Error"),
            adjustment: f.float64("Adjustment"),
            height: f.float64("Height"),
        }),
    })?;
    let config = &cx.view.config;
    let named = remote::datacenter(rq, config);
    let datacenter = match &*update.datacenter {
        "" => named,
        _ if rq.query.has("dc") || rq.query.has("datacenter") => named,
        own => Str::from(own),
    };
    if config.server && cx.view.raft.is_leader && datacenter == config.datacenter {
        let finish: Finish = |_, _, reply| match reply {
            call::Reply::Done => Ok(respond::done()),
            other => Err(unexpected(other)),
        };
        return Ok(Step::Call(Box::new(call::Request::Placed(Box::new(checked(update)?))), finish));
    }
    let to = match config.server && datacenter == config.datacenter {
        true => To::Leader,
        false => To::Datacenter(datacenter.clone()),
    };
    let body = msgpack::to_vec(&CoordinateArguments { datacenter, ..update }).into();
    let ask = Ask { to, method: "Coordinate.Update", body, kind: Kind::Write };
    Ok(Step::Call(Box::new(call::Request::Ask(ask)), |_, _, reply| {
        remote::body(reply).map(|_| respond::done())
    }))
}
