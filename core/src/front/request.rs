//! A request taken apart: path, parameters, and the options that every read shares.

use super::errors::HttpError;
use super::message::{HEADERS_READ, HttpRequest};
use super::path::Query;
use crate::config::RuntimeConfig;
use crate::duration;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// A routed request; kept while its answer is pending.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Decoded path.
    pub(super) path: String,
    /// How much of `path` the route's pattern took; the rest is the argument.
    pub(super) matched: usize,
    pub(super) query: Query,
    pub(super) headers: Vec<(String, Bytes)>,
    pub(super) body: Bytes,
    /// Where it came from; `None` over a unix socket.
    pub(super) remote: Option<SocketAddr>,
}

impl Request {
    pub(super) fn new(raw: HttpRequest, path: String, query: Query) -> Request {
        let HttpRequest { headers, body, remote, .. } = raw;
        Request { path, matched: 0, query, headers, body, remote }
    }

    /// Who asks: the first that a proxy names, else the other end of the connection.
    pub(super) fn client(&self) -> Option<IpAddr> {
        let named = self.header("x-forwarded-for").and_then(|all| all.split(',').next()?.trim().parse().ok());
        named.or(self.remote.map(|remote| remote.ip()))
    }

    /// What follows the route's pattern: a name, an ID, a key.
    pub(super) fn arg(&self) -> &str {
        self.path.get(self.matched..).unwrap_or("")
    }

    /// The argument, or 400 `Missing <what>`.
    pub(super) fn named(&self, what: &'static str) -> Result<&str, HttpError> {
        match self.arg() {
            "" => Err(HttpError::Missing(what)),
            name => Ok(name),
        }
    }

    /// The first header of that (lower-case) name, if it is text and not empty.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        debug_assert!(HEADERS_READ.contains(&name), "drivers leave out {name}");
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        core::str::from_utf8(value).ok().filter(|v| !v.is_empty())
    }
}

/// Which enterprise parameters an endpoint looks at, and so refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enterprise {
    /// None: they are ignored.
    Ignored,
    /// Partitions only.
    Partition,
    /// Namespaces and partitions.
    Both,
}

/// Refuses namespaces and partitions as the community edition does.
pub(super) fn refuse_enterprise(rq: &Request, what: Enterprise) -> Result<(), HttpError> {
    let refuse = |place, name, feature| Err(HttpError::Enterprise { place, name, feature });
    if what == Enterprise::Both {
        if rq.header("x-consul-namespace").is_some() {
            return refuse("header", "X-Consul-Namespace", "Namespaces");
        }
        if !rq.query.get("ns").is_empty() {
            return refuse("query parameter", "ns", "Namespaces");
        }
    }
    if what != Enterprise::Ignored {
        if rq.header("x-consul-partition").is_some() {
            return refuse("header", "X-Consul-Partition", "Partitions");
        }
        if !rq.query.get("partition").is_empty() {
            return refuse("query parameter", "partition", "Partitions");
        }
    }
    Ok(())
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consistency {
    /// The leader, by its lease.
    Default,
    /// The leader, after asking a quorum.
    Consistent,
    /// Any server; with a bound, only while the leader was heard from within it.
    Stale { max: Option<Duration> },
}

impl Consistency {
    /// What answers call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Consistency::Default => "leader",
            Consistency::Consistent => "consistent",
            Consistency::Stale { .. } => "stale",
        }
    }
}

/// The options that every read shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) consistency: Consistency,
    /// Answer only once the index is above this; 0: at once.
    pub(super) index: u64,
    /// How long to wait at most, clamped, without jitter.
    pub(super) wait: Duration,
    pub(super) cached: bool,
}

impl Options {
    /// Reads the options in the order in which Consul complains about them.
    pub(super) fn parse(rq: &Request, config: &RuntimeConfig) -> Result<Options, HttpError> {
        let query = &rq.query;
        let cached = query.has("cached") && config.http.use_cache;
        let mut stale = query.has("stale");
        let mut max = None;
        let text = query.get("max_stale");
        if !text.is_empty() {
            let nanos = duration::parse(text).map_err(|_| HttpError::InvalidMaxStale(text.into()))?;
            if nanos > 0 {
                stale = true;
                max = Some(Duration::from_nanos(nanos.unsigned_abs()));
            }
        }
        let consistent = query.has("consistent");
        let discovers = ["/v1/catalog", "/v1/health"].iter().any(|of| rq.path.starts_with(of));
        let unsaid = !stale && !consistent && !cached && !query.has("leader");
        let default_max = config.http.discovery_max_stale;
        if unsaid && discovers && !default_max.is_zero() {
            (stale, max) = (true, Some(default_max));
        }
        if stale && consistent {
            return Err(HttpError::StaleAndConsistent);
        }
        if cached && consistent {
            return Err(HttpError::CachedAndConsistent);
        }
        // In Consul's order: how fresh, from which cache, how long.
        CacheControl::of(rq)?;
        let (wait, index) = waits(rq)?;
        let consistency = match (stale, consistent) {
            (true, _) => Consistency::Stale { max },
            (_, true) => Consistency::Consistent,
            _ => Consistency::Default,
        };
        Ok(Options { consistency, index, wait: clamp_wait(wait, config), cached })
    }
}

/// How long a request waits, in nanoseconds, and for a change of what index. Consul complains of the wait first.
pub(super) fn waits(rq: &Request) -> Result<(i64, u64), HttpError> {
    let wait = match rq.query.get("wait") {
        "" => 0,
        text => duration::parse(text).map_err(|_| HttpError::InvalidWait)?,
    };
    let index = match rq.query.get("index") {
        "" => 0,
        text => parse_uint(text).map_err(|_| HttpError::InvalidIndex)?,
    };
    Ok((wait, index))
}

/// Nothing or less means the default; more than the maximum means the maximum.
pub(super) fn clamp_wait(nanos: i64, config: &RuntimeConfig) -> Duration {
    match nanos {
        ..=0 => config.default_query_time,
        nanos => Duration::from_nanos(nanos.unsigned_abs()).min(config.max_query_time),
    }
}

/// `Cache-Control`, as far as it concerns answers that are fetched again when they are too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheControl {
    /// Seconds; 0 and less: any age will do.
    max_age: i64,
    must_revalidate: bool,
}

impl CacheControl {
    /// Reads the header; the ages in it must be numbers, and other directives are not looked at.
    pub(super) fn of(rq: &Request) -> Result<CacheControl, HttpError> {
        let mut control = CacheControl::default();
        for directive in rq.header("cache-control").unwrap_or("").split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            let number = |text: &str| text.parse::<i64>().map_err(|_| HttpError::InvalidCacheControl);
            control.must_revalidate |= directive == "must-revalidate";
            if let Some(text) = directive.strip_prefix("max-age=") {
                control.max_age = number(text)?;
                control.must_revalidate |= control.max_age == 0;
            }
            if let Some(text) = directive.strip_prefix("stale-if-error=") {
                number(text)?;
            }
        }
        Ok(control)
    }

    /// How old an answer may be; `None`: any age will do.
    pub(super) fn max_age(self) -> Option<Duration> {
        u64::try_from(self.max_age).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// Whether it is fetched again whatever its age.
    pub(super) fn must_revalidate(self) -> bool {
        self.must_revalidate
    }

    /// Whether an answer of this age is fetched again.
    pub(super) fn refuses(self, age: Duration) -> bool {
        self.must_revalidate || self.max_age().is_some_and(|most| age > most)
    }
}

/// `strconv.ParseUint(text, 10, 64)`.
pub(super) fn parse_uint(text: &str) -> Result<u64, HttpError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(value) if digits => Ok(value),
        _ => Err(HttpError::ParseUint { text: text.into(), out_of_range: digits }),
    }
}

/// `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
