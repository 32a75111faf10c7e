//! Sessions: what a lock is held for.

use crate::Str;
use crate::duration;
use crate::time::Duration;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A session: bound to a node, to checks that must not be critical, and, with a TTL, to being renewed.
///
/// Lists are `None` where nobody gave one and empty where somebody gave an empty one, for users are shown which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Session {
    /// A UUID, drawn by the server that took the request.
    #[serde(rename = "ID")]
    pub id: Str,
    /// For people.
    pub name: Str,
    /// The node that it ends with.
    pub node: Str,
    /// How long nobody can take a lock that this session lost by ending, in nanoseconds.
    pub lock_delay: i64,
    /// What becomes of its keys: [`Session::RELEASE`] or [`Session::DELETE`].
    pub behavior: Str,
    /// It ends when it was not renewed for this long, at the earliest; a Go duration, or empty: never.
    #[serde(rename = "TTL")]
    pub ttl: Str,
    /// Checks of the node.
    pub node_checks: Option<Vec<Str>>,
    /// Checks of the node's services.
    pub service_checks: Option<Vec<ServiceCheck>>,
    /// Checks as older clients name them.
    pub checks: Option<Vec<Str>>,
    /// Raft index of its creation.
    pub create_index: u64,
    /// The same.
    pub modify_index: u64,
}

/// A check of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceCheck {
    /// The check's ID.
    #[serde(rename = "ID")]
    pub id: Str,
    /// Of Consul's Enterprise edition; else empty.
    pub namespace: Str,
}

impl Session {
    /// The keys that it holds are released when it ends.
    pub const RELEASE: &'static str = "release";
    /// The keys that it holds are deleted when it ends.
    pub const DELETE: &'static str = "delete";
    /// The longest TTL.
    pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
    /// The shortest TTL, unless `session_ttl_min` says another.
    pub const TTL_MIN: Duration = Duration::from_secs(10);
    /// No lock is kept from others for longer than this.
    const LOCK_DELAY_MAX: Duration = Duration::from_secs(60);

    /// Every check that it depends on.
    pub fn all_checks(&self) -> impl Iterator<Item = &Str> {
        let plain = [&self.checks, &self.node_checks].into_iter().flatten().flatten();
        plain.chain(self.service_checks.iter().flatten().map(|check| &check.id))
    }

    /// How long nobody can take a lock that it lost by ending.
    pub fn delay(&self) -> Duration {
        Duration::from_nanos(self.lock_delay.max(0).unsigned_abs()).min(Session::LOCK_DELAY_MAX)
    }

    /// After how long without a renewal it may end; `None`: not for that.
    pub fn time_to_live(&self) -> Option<Duration> {
        let nanos = duration::parse(&self.ttl).ok()?;
        (nanos > 0).then(|| Duration::from_nanos(nanos.unsigned_abs()))
    }
}
