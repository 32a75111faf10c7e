//! What a read is given.

use super::super::request::{Consistency, Options, clamp_wait};
use crate::command::TxnOp;
use crate::config::RuntimeConfig;
use crate::rpc::arguments::ReadArguments;
use crate::types::{Node, NodeService};
use alloc::vec::Vec;
use core::time::Duration;

/// The arguments of a read.
#[derive(Debug, Default)]
pub(in crate::front) struct Arguments {
    pub(in crate::front) read: ReadArguments,
    /// Of a transaction.
    pub(super) ops: Vec<TxnOp>,
}

impl Arguments {
    /// How fresh the answer must be, and how long it may wait.
    pub(super) fn options(&self, config: &RuntimeConfig) -> Options {
        let read = &self.read;
        let consistency = match (read.require_consistent, read.allow_stale) {
            (true, _) => Consistency::Consistent,
            (false, true) => {
                let max = read.max_stale_duration;
                Consistency::Stale { max: (max > 0).then(|| Duration::from_nanos(max.unsigned_abs())) }
            }
            (false, false) => Consistency::Default,
        };
        let wait = clamp_wait(read.max_query_time, config);
        Options { consistency, index: read.min_query_index, wait, cached: false }
    }

    /// Whether the node carries all the metadata asked for.
    pub(super) fn wants_node(&self, node: &Node) -> bool {
        self.read.node_meta_filters.iter().all(|(key, value)| node.meta.get(key) == Some(value))
    }

    /// Whether the instance is of whose services are asked for.
    pub(super) fn wants_peer(&self, service: &NodeService) -> bool {
        service.peer_name == self.read.peer_name
    }

    /// Whether the instance carries the tags asked for, whatever their case.
    pub(super) fn wants_tags(&self, service: &NodeService) -> bool {
        let read = &self.read;
        let old = (!read.service_tag.is_empty()).then_some(&read.service_tag);
        let new = if old.is_some() { &[][..] } else { &read.service_tags };
        !read.tag_filter
            || old.into_iter().chain(new).all(|wanted| {
                let wanted = wanted.to_lowercase();
                service.tags.iter().any(|tag| tag.to_lowercase() == wanted)
            })
    }
}
