//! The execution of a prepared query: what is found here in its order, else what other datacenters find.
//!
//! The catalog is looked at like for any read ([`super::blocking`]). What it has is shuffled, sorted by distance
//! where that is asked for, and cut. If it has nothing and the query says where else to look, those places are asked
//! one after the other; the first that finds something counts.

use super::blocking::{Cx, Reading};
use super::errors::HttpError;
use super::near::Near;
use super::pending::Ending;
use super::{Front, MAX_CALLS};
use crate::Str;
use crate::call::{self, Reply, Request};
use crate::ids::ReqId;
use crate::router::{Ask, Kind, To};
use crate::rpc::answer::Executed;
use crate::rpc::arguments::{ReadArguments, Source};
use crate::store::translate_instance;
use crate::time::Now;
use crate::types::{PreparedQuery, QueryFound, QueryTarget};
use crate::view::View;
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;

/// So far behind the nearest, the node itself is still found.
const NODE_ITSELF_WITHIN: usize = 10;

/// A query on its way.
#[derive(Debug)]
pub(super) struct Execution {
    args: ReadArguments,
    query: Arc<PreparedQuery>,
    pub(super) found: QueryFound,
    /// Another datacenter asks: nothing is sorted, and nobody else is asked.
    remote: bool,
    /// Where to look next; `None`: that is not known yet.
    targets: Option<VecDeque<QueryTarget>>,
    failovers: i64,
}

impl Execution {
    /// What a query finds here.
    pub(super) fn begin(
        cx: &Cx<'_>,
        args: ReadArguments,
        query: Arc<PreparedQuery>,
        remote: bool,
    ) -> Box<Execution> {
        let found = here(cx.view, &query, args.connect, &query.service.peer);
        Box::new(Execution { args, query, found, remote, targets: None, failovers: 0 })
    }

    /// Sorts by distance if that is asked for, the node itself first, and leaves as many as are wanted.
    fn arrange(&mut self, cx: &Cx<'_>) {
        if !self.remote {
            let source = self.source(cx);
            let nodes = &mut self.found.nodes;
            if let Some(near) = Near::of(cx, &source) {
                near.sort(nodes, |entry| &entry.node.node);
            }
            let itself = |name: &str| name.eq_ignore_ascii_case(&source.node);
            if !source.node.is_empty()
                && self.found.datacenter == source.datacenter
                && let Some(at) =
                    nodes.iter().take(NODE_ITSELF_WITHIN).position(|entry| itself(&entry.node.node))
            {
                nodes.swap(0, at);
            }
        }
        if let Ok(limit @ 1..) = usize::try_from(self.args.limit) {
            self.found.nodes.truncate(limit);
        }
    }

    /// From where distances are counted: what the client says counts more than what the query says.
    fn source(&self, cx: &Cx<'_>) -> Source {
        let (asked, agent) = (&self.args.source, &self.args.agent);
        let mut source = asked.clone();
        if source.datacenter.is_empty() {
            source.datacenter = agent.datacenter.clone();
        }
        if source.node.is_empty() {
            source.node = self.query.service.near.clone();
        }
        match &*source.node {
            "_agent" => source.node = agent.node.clone(),
            "_ip" => {
                let mut nodes = cx.view.store.nodes();
                let of = nodes.find(|node| !asked.ip.is_empty() && node.address == asked.ip);
                source.node = of.map_or_else(Str::default, |node| node.node.clone());
            }
            _ => {}
        }
        source
    }

    /// The next place to ask; `None`: that was all.
    fn next(&mut self, cx: &Cx<'_>) -> Option<Request> {
        if self.targets.is_none() {
            return Some(Request::Datacenters);
        }
        while let Some(target) = self.targets.as_mut().and_then(VecDeque::pop_front) {
            self.failovers += 1;
            self.found.nodes.clear();
            if !target.peer.is_empty() {
                // Nothing is imported from peers.
                self.found = here(cx.view, &self.query, self.args.connect, &target.peer);
                continue;
            }
            let mut query = (*self.query).clone();
            query.service.peer = Str::default();
            let ReadArguments { limit, connect, ref token, allow_stale, require_consistent, .. } = self.args;
            let arguments = ReadArguments {
                datacenter: target.datacenter.clone(),
                query: Some(Box::new(query)),
                limit,
                connect,
                token: token.clone(),
                allow_stale,
                require_consistent,
                max_stale_duration: self.args.max_stale_duration,
                ..ReadArguments::default()
            };
            let to = To::Datacenter(target.datacenter);
            let body = msgpack::to_vec(&arguments).into();
            return Some(Request::Ask(Ask {
                to,
                method: "PreparedQuery.ExecuteRemote",
                body,
                kind: Kind::Read,
            }));
        }
        None
    }

    /// Takes what was asked for. What cannot be asked or understood has found nothing.
    fn took(&mut self, reply: &Reply, own: &str) {
        match reply {
            Reply::Datacenters(known) => {
                let others = known.iter().map(|datacenter| &datacenter.name).filter(|name| ***name != *own);
                let others = others.cloned().collect::<alloc::vec::Vec<_>>();
                self.targets = Some(targets(&self.query, &others));
            }
            Reply::Answer(body) if self.targets.is_some() => {
                if let Ok(told) = msgpack::from_slice::<Executed>(body) {
                    self.found = told.into();
                }
            }
            _ => self.targets = Some(self.targets.take().unwrap_or_default()),
        }
    }
}

/// What a query finds in this datacenter, under the name of this peer.
fn here(view: &View, query: &PreparedQuery, connect: bool, peer: &Str) -> QueryFound {
    let nodes = match peer.is_empty() {
        true => view.store.query_instances(&query.service, connect).into_iter().cloned().collect(),
        false => alloc::vec::Vec::new(),
    };
    let datacenter = if peer.is_empty() { view.config.datacenter.clone() } else { Str::default() };
    QueryFound {
        service: query.service.service.clone(),
        nodes,
        dns: query.dns.clone(),
        datacenter,
        peer_name: peer.clone(),
        failovers: 0,
    }
}

/// Where a query wants to be looked, of the datacenters that are known, the nearest first.
fn targets(query: &PreparedQuery, known: &[Str]) -> VecDeque<QueryTarget> {
    let failover = &query.service.failover;
    let datacenter = |name: &Str| QueryTarget { peer: Str::default(), datacenter: name.clone() };
    let nearest = known.iter().take(usize::try_from(failover.nearest_n).unwrap_or(0));
    let mut targets: VecDeque<QueryTarget> = nearest.clone().map(datacenter).collect();
    let taken: BTreeSet<&Str> = nearest.collect();
    let named: alloc::vec::Vec<QueryTarget> = match failover.datacenters.is_empty() {
        false => failover.datacenters.iter().map(datacenter).collect(),
        true => failover.targets.clone().unwrap_or_default(),
    };
    for target in named {
        let somewhere = !target.datacenter.is_empty();
        if somewhere && !known.contains(&target.datacenter) {
            continue;
        }
        if (somewhere && !taken.contains(&target.datacenter)) || !target.peer.is_empty() {
            targets.push_back(target);
        }
    }
    targets
}

impl Front {
    /// Goes on with a query that was found in the catalog.
    pub(super) fn execute(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        reading: Reading,
        mut execution: Box<Execution>,
    ) {
        self.queries.shuffle(&mut execution.found.nodes);
        let cx = Cx::of(view, now, &self.memory);
        execution.arrange(&cx);
        if execution.remote
            || !execution.found.nodes.is_empty()
            || execution.query.service.failover.is_empty()
        {
            return self.executed(now, view, req, &reading, *execution);
        }
        self.fail_over(now, view, req, reading, execution);
    }

    /// Asks the next place.
    fn fail_over(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        reading: Reading,
        mut execution: Box<Execution>,
    ) {
        let cx = Cx::of(view, now, &self.memory);
        match execution.next(&cx) {
            None => self.executed(now, view, req, &reading, *execution),
            Some(request) => {
                if self.calls.len() >= MAX_CALLS {
                    let reply = reading.question.refused(&HttpError::TooManyPending);
                    return self.tell(req, reply);
                }
                let ending = Ending::FailOver(Box::new(reading), execution);
                let _ = self.start_call(req, request, ending);
            }
        }
    }

    /// A place was asked.
    pub(super) fn on_fail_over(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        (reading, mut execution): (Reading, Box<Execution>),
        reply: &call::Reply,
    ) {
        execution.took(reply, &view.config.datacenter);
        match execution.found.nodes.is_empty() {
            true => self.fail_over(now, view, req, reading, execution),
            false => self.executed(now, view, req, &reading, *execution),
        }
    }

    fn executed(&mut self, now: Now, view: &Arc<View>, req: ReqId, reading: &Reading, execution: Execution) {
        let Execution { mut found, failovers, .. } = execution;
        found.failovers = failovers;
        let reply = reading.found(view, now, &self.memory, found);
        self.tell(req, reply);
    }
}

/// Puts instances that were found in another datacenter where they are reached from here.
pub(super) fn translate(view: &View, found: &mut QueryFound) {
    if view.config.translate_wan_addrs && found.datacenter != view.config.datacenter {
        found.nodes.iter_mut().for_each(translate_instance);
    }
}

/// Why there is no query.
impl From<crate::store::QueryError> for HttpError {
    fn from(error: crate::store::QueryError) -> HttpError {
        match error {
            crate::store::QueryError::NotFound => HttpError::QueryNotFound,
            crate::store::QueryError::Failed(text) => HttpError::Query(text),
        }
    }
}
