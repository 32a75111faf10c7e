//! The one table from error to status code and text.
//!
//! Texts are Consul's where clients or tests match on them.

use crate::agent::AgentError;
use crate::call::CallError;
use crate::filter;
use crate::json;
use alloc::string::String;
use core::fmt;

/// What a server says that saves or restores already; agents that asked it know it by that.
pub(super) const ARCHIVES_BUSY: &str =
    "another snapshot is being saved or restored on this server: try again in a moment";

/// Why a request is not answered with data.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum HttpError {
    InvalidWait,
    InvalidIndex,
    InvalidMaxStale(String),
    InvalidCacheControl,
    StaleAndConsistent,
    CachedAndConsistent,
    /// `?ns=`, `X-Consul-Namespace` and their partition twins.
    Enterprise {
        place: &'static str,
        name: &'static str,
        feature: &'static str,
    },
    /// `Missing <what>`: a path that ends where a name should be.
    Missing(&'static str),
    /// 400 with exactly this text.
    BadRequest(String),
    /// 404 with exactly this text.
    NotFound(String),
    /// 500 with exactly this text.
    Failed(String),
    /// No prepared query has this ID or name.
    QueryNotFound,
    /// 500 with exactly this text, and the meta of an answer that was never made.
    Query(String),
    /// A request body, except a transaction's.
    Decode(json::Error),
    /// A transaction's body.
    DecodeTxn(json::Error),
    NoPathToDatacenter,
    /// 401: a part that the configuration switches off.
    Disabled(&'static str),
    /// `?filter=` that does not parse, or does not fit what it is about.
    Filter(filter::Error),
    /// A known path, or part of a body, whose feature this version does not have.
    NotBuilt(String),
    ConflictingFlags(String),
    ParseUint {
        text: String,
        out_of_range: bool,
    },
    KeyName,
    BodyTooLarge {
        len: usize,
        max: usize,
        /// The key that sets the limit, if there is one.
        setting: Option<&'static str>,
    },
    TooManyOps(usize),
    ValueTooLarge {
        key: String,
        len: usize,
        max: usize,
    },
    /// This front already holds as many requests as it may.
    TooManyPending,
    /// Another archive is worked on.
    ArchivesBusy,
    /// A barrier named an index that this server did not reach in time.
    CaughtUpTooLate,
    /// The node did not do it.
    Call(CallError),
    /// The agent refused.
    Agent(AgentError),
}

impl HttpError {
    /// The status code.
    pub(super) fn status(&self) -> u16 {
        use HttpError::*;
        match self {
            InvalidWait | InvalidIndex | InvalidMaxStale(_) | InvalidCacheControl => 400,
            StaleAndConsistent | CachedAndConsistent | Enterprise { .. } => 400,
            Missing(_) | BadRequest(_) | Decode(_) | DecodeTxn(_) | ConflictingFlags(_) => 400,
            NotFound(_) | QueryNotFound => 404,
            // Not 404: client libraries take it for "there is none", and a lock without a session is no lock.
            NotBuilt(_) => 501,
            BodyTooLarge { .. } | TooManyOps(_) | ValueTooLarge { .. } => 413,
            TooManyPending | ArchivesBusy | Call(CallError::Busy) => 429,
            Disabled(_) => 401,
            Failed(_) | Query(_) | NoPathToDatacenter | Filter(_) | ParseUint { .. } | KeyName => 500,
            Call(CallError::Remote(text)) => of_remote(text),
            CaughtUpTooLate | Call(_) => 500,
            Agent(AgentError::Invalid(_)) => 400,
            Agent(AgentError::Forbidden(_)) => 403,
            Agent(AgentError::NotFound(_)) => 404,
            Agent(AgentError::Failed(_)) => 500,
        }
    }
}

/// What a server's text means over HTTP.
fn of_remote(text: &str) -> u16 {
    let has = |known: &[&str]| known.iter().any(|known| text.contains(known));
    match () {
        () if has(&["Query not found"]) => 404,
        () if has(&["Permission denied", "ACL not found"]) => 403,
        () if has(&["rate limit exceeded", "RPC rate limit exceeded"]) && has(&["only be performed"]) => 503,
        () if has(&["rate limit exceeded", "RPC rate limit exceeded"]) => 429,
        () => 500,
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use HttpError::*;
        match self {
            InvalidWait => f.write_str("Invalid wait time"),
            InvalidIndex => f.write_str("Invalid index"),
            InvalidMaxStale(text) => write!(f, "Invalid max_stale value \"{text}\""),
            InvalidCacheControl => f.write_str("Invalid Cache-Control header."),
            StaleAndConsistent => {
                f.write_str("Cannot specify ?stale with ?consistent, conflicting semantics.")
            }
            CachedAndConsistent => {
                f.write_str("Cannot specify ?cached with ?consistent, conflicting semantics.")
            }
            Enterprise { place, name, feature } => {
                write!(f, "Invalid {place}: \"{name}\" - {feature} are a Consul Enterprise feature")
            }
            Missing(what) => write!(f, "Missing {what}"),
            BadRequest(text) | NotFound(text) | Failed(text) | Query(text) => f.write_str(text),
            QueryNotFound => f.write_str("Query not found"),
            Decode(error) => {
                write!(f, "Request decode failed: {error}")
            }
            DecodeTxn(error) => write!(f, "Failed to parse body: {error}"),
            Disabled(what) => f.write_str(what),
            NoPathToDatacenter => f.write_str("No path to datacenter"),
            Filter(error) => write!(f, "Failed to create boolean expression evaluator: {error}"),
            NotBuilt(what) => write!(f, "{what} is not built yet in this version of Lictor"),
            ConflictingFlags(query) => writeln!(f, "Conflicting flags: {query}"),
            ParseUint { text, out_of_range } => {
                let why = if *out_of_range { "value out of range" } else { "invalid syntax" };
                write!(f, "strconv.ParseUint: parsing \"{text}\": {why}")
            }
            KeyName => {
                f.write_str("invalid key name, keys should respect the \"^[a-zA-Z0-9,_./\\\\-?&=]+$\" format")
            }
            BodyTooLarge { len, max, setting } => {
                write!(f, "Request body({len} bytes) too large, max size: {max} bytes.")?;
                match setting {
                    Some(key) => {
                        write!(f, " See https://www.consul.io/docs/agent/config/config-files#{key}.")
                    }
                    None => Ok(()),
                }
            }
            TooManyOps(count) => write!(f, "Transaction contains too many operations ({count} > 128)"),
            ValueTooLarge { key, len, max } => {
                write!(f, "Value for key \"{key}\" is too large ({len} > {max} bytes)")
            }
            TooManyPending => {
                f.write_str("rate limit exceeded, try again later or against a different server")
            }
            ArchivesBusy => f.write_str(ARCHIVES_BUSY),
            CaughtUpTooLate => {
                f.write_str("No cluster leader: this server did not catch up with the leader in time")
            }
            Call(error) => error.fmt(f),
            Agent(
                AgentError::Invalid(text)
                | AgentError::NotFound(text)
                | AgentError::Forbidden(text)
                | AgentError::Failed(text),
            ) => f.write_str(text),
        }
    }
}

impl From<CallError> for HttpError {
    fn from(error: CallError) -> Self {
        HttpError::Call(error)
    }
}
