//! `Coordinate`: where nodes are in the space of round-trip times.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::result::{bytes, indexed, list, nothing};
use super::{Failure, Read, Step, decode, refuse_other_datacenter, refuse_unless_leader, unexpected};
use crate::Str;
use crate::call;
use crate::rpc::answer::DatacenterMap;
use crate::rpc::arguments::CoordinateArguments;
use crate::types::{DIMENSIONS, NodeCoordinate};
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// `Coordinate.ListNodes`.
pub(super) static NODES: Read = Read {
    answer: |cx, _| {
        let store = &cx.view.store;
        Ok(indexed(cx, store.coordinates_index(), "Coordinates", || list(store.coordinates())))
    },
    watch: |_| vec![WatchKey::Coordinates],
    filter: None,
};

/// `Coordinate.Node`.
pub(super) static NODE: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let found = || {
            list(store.node_coordinates(&args.read.node).map(|at| {
                // Under the name that was asked for, as Consul has it.
                NodeCoordinate { node: args.read.node.clone(), ..(**at).clone() }
            }))
        };
        Ok(indexed(cx, store.coordinates_index(), "Coordinates", found))
    },
    watch: |_| vec![WatchKey::Coordinates],
    filter: None,
};

/// The datacenters of the WAN pool, with the servers whose place is known.
pub(in crate::front) fn maps(known: Vec<call::Datacenter>) -> Vec<DatacenterMap> {
    let map = |call::Datacenter { name, servers }| DatacenterMap {
        datacenter: name,
        area_id: Str::from("wan"),
        coordinates: servers
            .into_iter()
            .map(|(node, coord)| NodeCoordinate { node, coord, ..NodeCoordinate::default() })
            .collect(),
    };
    known.into_iter().filter(|datacenter| !datacenter.servers.is_empty()).map(map).collect()
}

/// `Coordinate.ListDatacenters`.
pub(super) fn datacenters(_: &Cx<'_>, _: &[u8]) -> Result<Step, Failure> {
    Ok(Step::Call(Box::new(call::Request::Datacenters), |reply| match reply {
        call::Reply::Datacenters(known) => Ok(bytes(&maps(known))),
        other => Err(unexpected(other)),
    }))
}

/// What is written of an update, or Consul's text of what is wrong with it.
pub(in crate::front) fn checked(update: CoordinateArguments) -> Result<NodeCoordinate, HttpError> {
    let CoordinateArguments { node, segment, partition, coord, .. } = update;
    let coord = coord.unwrap_or_default();
    let numbers = [coord.adjustment, coord.error, coord.height];
    if !coord.vec.iter().chain(&numbers).all(|number| number.is_finite()) {
        return Err(HttpError::Failed("invalid coordinate".into()));
    }
    if coord.vec.len() != DIMENSIONS {
        return Err(HttpError::Failed("incompatible coordinate".into()));
    }
    Ok(NodeCoordinate { node, segment, partition, coord })
}

/// `Coordinate.Update`: the leader gathers them.
pub(super) fn update(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let update: CoordinateArguments = decode(arguments)?;
    refuse_other_datacenter(&update.datacenter, &cx.view.config.datacenter)?;
    refuse_unless_leader(cx)?;
    let said = Box::new(checked(update)?);
    Ok(Step::Call(Box::new(call::Request::Placed(said)), |reply| match reply {
        call::Reply::Done => Ok(nothing()),
        other => Err(unexpected(other)),
    }))
}
