//! The route table: pattern, methods, ACL rule and handler of every path under `/v1/`.
//!
//! 405, `Allow` and OPTIONS are answered from here. A route without an ACL rule does not compile.

use super::api::{
    acl, agent_check, agent_members, agent_metrics, agent_monitor, agent_node, agent_service, autopilot,
    catalog, coordinate, event, health, keyring, kv, operator, query, session, snapshot, status, txn,
};
use super::blocking::{Answer, Cx};
use super::errors::HttpError;
use super::message::{HttpReply, Stream};
use super::remote::Remote;
use super::request::{Enterprise, Options, Request};
use super::work::Task;
use crate::call;
use crate::filter::Subject;
use crate::metrics::Endpoint;
use crate::view::View;
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::vec::Vec;

mod table;

pub(super) use table::ROUTES;

/// Which rule of the ACL system guards a route; the argument is what the path, query or body names.
/// Enforcement comes with the ACL system: until then every rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nobody is asked.
    Open,
    /// `agent:read` on this node.
    AgentRead,
    /// `agent:write` on this node.
    AgentWrite,
    /// `node:read` on each node shown.
    NodeRead,
    /// `node:write` on the node named.
    NodeWrite,
    /// `service:read` on each service shown, and `node:read` on its node.
    ServiceRead,
    /// `service:write` on the service named.
    ServiceWrite,
    /// `node:write` or `service:write`, by what the body or the check names.
    CatalogWrite,
    /// `key:read`, or `key:list` on a prefix.
    KeyRead,
    /// `key:write`.
    KeyWrite,
    /// Each operation of a transaction by its own rule.
    EachOperation,
    /// `event:read` on each event shown.
    EventRead,
    /// `event:write` on the event named.
    EventWrite,
    /// `keyring:read`.
    KeyringRead,
    /// `keyring:write`.
    KeyringWrite,
    /// `session:read` on the node of each session shown.
    SessionRead,
    /// `session:write` on the node of the session.
    SessionWrite,
    /// `query:read` on each query shown that has a name.
    QueryRead,
    /// `query:write` on the query's name, if it has one.
    QueryWrite,
    /// `operator:read`.
    OperatorRead,
    /// `operator:write`.
    OperatorWrite,
    /// `management`: who has an archive has every token.
    Snapshot,
    /// Stated by the part that is not built yet.
    NotBuilt,
}

impl Rule {
    /// Whether who passes it may change something.
    pub(super) fn writes(self) -> bool {
        match self {
            Rule::AgentWrite | Rule::NodeWrite | Rule::ServiceWrite | Rule::CatalogWrite | Rule::KeyWrite => {
                true
            }
            Rule::EventWrite | Rule::KeyringWrite | Rule::OperatorWrite | Rule::SessionWrite => true,
            Rule::EachOperation | Rule::QueryWrite | Rule::Snapshot => true,
            Rule::QueryRead => false,
            Rule::Open | Rule::AgentRead | Rule::NodeRead | Rule::ServiceRead | Rule::KeyRead => false,
            Rule::EventRead | Rule::KeyringRead | Rule::OperatorRead | Rule::SessionRead => false,
            Rule::NotBuilt => false,
        }
    }
}

/// One pattern: a path, or with a trailing slash every path under it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) pattern: &'static str,
    /// In the order of the `Allow` header.
    pub(super) methods: &'static [Method],
}

/// One method of a route.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) verb: &'static str,
    #[expect(dead_code, reason = "read by the authoriser, which comes with the ACL system")]
    pub(super) rule: Rule,
    pub(super) enterprise: Enterprise,
    pub(super) handler: Handler,
}

/// What answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler {
    /// The view, at once.
    View(fn(&Cx<'_>, &Request) -> Result<HttpReply, HttpError>),
    /// The view, by the rules of [`super::blocking`].
    Read(&'static Read),
    /// The node.
    Call(fn(&Cx<'_>, &Request) -> Result<Step, HttpError>),
    /// The agent's view, once the answer's hash differs from `?hash=`.
    Hash(HashRead),
    /// The agent's view, once the answer's index differs from `?index=`; indexes do not grow.
    Events(HashRead),
    /// Nobody yet.
    NotBuilt,
}

/// What a [`Handler::Call`] does next.
pub(super) enum Step {
    /// It is answered without the node.
    Done(HttpReply),
    /// Ask the node and let `finish` read the reply.
    Call(Box<call::Request>, Finish),
    /// Answer with this, until the client goes.
    Stream(Stream),
    /// It turned out to be a read.
    Read(&'static Read),
    /// The same, with options of its own.
    ReadWith(&'static Read, Options),
    /// Have this done, and finish the answer with what comes of it.
    Work(HttpReply, Task),
}

/// The answer as it stands, and its hash.
pub(super) type HashRead = fn(&Cx<'_>, &Request) -> Result<(u64, HttpReply), HttpError>;

/// Makes an answer of the node's reply.
pub(super) type Finish = fn(&Cx<'_>, &Request, call::Reply) -> Result<HttpReply, HttpError>;

/// A read with consistency modes and blocking.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) answer: fn(&Cx<'_>, &Request) -> Result<Answer, HttpError>,
    /// What a change must touch to make the answer another one.
    pub(super) watch: fn(&View, &Request) -> Vec<WatchKey>,
    pub(super) style: Style,
    /// Says `X-Cache` when asked for `?cached`.
    pub(super) cacheable: bool,
    /// What `?filter=` is about; `None`: the parameter is not looked at.
    pub(super) filter: Option<Subject>,
    /// How a client has servers do it.
    pub(super) remote: Remote,
}

/// Which headers a read sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Index, contact and consistency; on errors from the catalog too, if so marked.
    Catalog { meta_on_error: bool },
    /// Index and contact; on errors too, if so marked.
    Kv { meta_on_error: bool },
    /// Contact only; never waits.
    Txn,
    /// As of the catalog, on errors too; never waits.
    Query,
}

/// A route of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) route: &'static Route,
    /// How much of the path its pattern took.
    pub(super) matched: usize,
    /// Where in the table it stands.
    at: usize,
}

impl Found {
    /// What metrics call the method that stands at `method` in the route.
    pub(super) fn endpoint(&self, method: usize) -> Endpoint {
        let verb = self.route.methods.get(method).map_or("", |m| m.verb);
        let number = (self.at * MOST_METHODS + method) as u16;
        Endpoint { number, method: verb, pattern: self.route.pattern }
    }
}

/// No route has more.
const MOST_METHODS: usize = 4;

/// The route of a decoded path, and how much of the path its pattern took: the exact pattern, else the
/// longest one with a trailing slash.
pub(super) fn find(path: &str) -> Option<Found> {
    if !path.starts_with("/v1/") {
        return None;
    }
    let exact = |pattern: &str, matched| {
        let at = ROUTES.binary_search_by(|r| r.pattern.cmp(pattern)).ok()?;
        Some(Found { route: ROUTES.get(at)?, at, matched })
    };
    if let Some(found) = exact(path, path.len()) {
        return Some(found);
    }
    let mut end = path.len();
    while let Some(slash) = path[..end].rfind('/') {
        if let Some(found) = exact(&path[..=slash], slash + 1) {
            return Some(found);
        }
        end = slash;
    }
    None
}

/// Whether the path lacks only a trailing slash: Go's mux redirects then.
pub(super) fn wants_slash(path: &str) -> bool {
    ROUTES.iter().any(|r| r.pattern.strip_suffix('/') == Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_route_has_methods() {
        for pair in ROUTES.windows(2) {
            assert!(pair[0].pattern < pair[1].pattern, "{} {}", pair[0].pattern, pair[1].pattern);
        }
        for route in ROUTES {
            assert!(route.pattern.starts_with("/v1/") && !route.methods.is_empty(), "{}", route.pattern);
            assert!(route.methods.len() <= MOST_METHODS, "{}", route.pattern);
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_exact_beats_prefix() {
        let found = |path| find(path).map(|f| (f.route.pattern, f.matched));
        assert_eq!(found("/v1/kv/a/b"), Some(("/v1/kv/", 7)));
        assert_eq!(found("/v1/agent/services"), Some(("/v1/agent/services", 18)));
        assert_eq!(found("/v1/agent/services/"), None);
        assert_eq!(found("/v1/agent/service/register"), Some(("/v1/agent/service/register", 26)));
        assert_eq!(found("/v1/agent/service/web/1"), Some(("/v1/agent/service/", 18)));
        assert_eq!(found("/v1/kv"), None);
        assert!(wants_slash("/v1/kv") && !wants_slash("/v1/agent/services"));
    }
}
