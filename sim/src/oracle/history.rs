//! What clients asked, when, and what they were answered: the only evidence that a judge accepts.
//!
//! Times are nanoseconds of the simulator's global clock, which no node can see. Indexes are Consul's:
//! `ModifyIndex`, `CreateIndex` and `X-Consul-Index` as they stood in the answer.

use bytes::Bytes;
use lictor_core::command::Command;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything that the judges are told of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Every request, in any order.
    pub operations: Vec<Operation>,
    /// Every command that any server applied, once, in order of index.
    pub log: Vec<Committed>,
    /// The indexes of what leaders began with: nothing of an archive comes after it that had not come whole before.
    pub begun: Vec<u64>,
    /// Those among [`Operation::server`] that are client agents: each of their answers is that of one server or another.
    pub agents: BTreeSet<u32>,
    /// What servers have in the end, all the same and all that the log holds; `None` if nobody looked.
    pub finally: Option<Finally>,
    /// Every start of a server after its first, in any order.
    pub restarts: Vec<Restart>,
    /// Every view that a server published, in order of time: what its readers could see from then on.
    /// Only [`super::watch`] asks for it.
    pub progress: Vec<Progress>,
}

/// What servers have in the end, as far as no client reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finally {
    /// IDs of sessions.
    pub sessions: BTreeSet<String>,
    /// Names of prepared queries.
    pub queries: BTreeSet<String>,
}

/// A server published a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The server, as in [`Operation::server`].
    pub server: u32,
    /// When.
    pub at: u64,
    /// The last index that the view has applied.
    pub index: u64,
}

/// A server started again: what it showed before need not bind it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The server, as in [`Operation::server`].
    pub server: u32,
    /// When it stopped answering.
    pub at: u64,
}

/// One request of a client and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Who asked. A client has one request under way at a time.
    pub client: u32,
    /// The server that was asked, as the plan numbers them; the number survives restarts.
    pub server: u32,
    /// When the request left the client.
    pub begin: u64,
    /// When the answer, or the news of a broken connection, reached the client; `None` if nothing ever did.
    pub end: Option<u64>,
    /// What was asked.
    pub call: Call,
    /// What came of it. [`Outcome::Unknown`] whenever `end` is `None`.
    pub outcome: Outcome,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// `GET`; with `wait`, a blocking query.
    Read {
        /// What is read.
        target: Target,
        /// How fresh it must be.
        mode: Mode,
        /// `?index=…&wait=…`.
        wait: Option<Wait>,
    },
    /// One write.
    Write(Write),
    /// `PUT /v1/session/renew/ID`: it changes nothing that is replicated.
    Renew {
        /// The session.
        session: String,
    },
    /// `GET /v1/snapshot`.
    Save {
        /// `?stale`: of whatever the server has.
        stale: bool,
    },
    /// `PUT /v1/snapshot` of what was saved before.
    Restore(Arc<Saved>),
    /// `PUT /v1/txn`. If no step writes, it is a read in the given mode.
    Txn {
        /// In order.
        steps: Vec<TxnStep>,
        /// Of a transaction that only reads; a writing one ignores it.
        mode: Mode,
    },
}

/// An archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Of what state it is.
    pub of: u64,
    /// The last index that it says it contains, as if it came from a cluster that is so far.
    pub index: u64,
    /// `state.bin`.
    pub state: Bytes,
    /// The whole of it.
    pub archive: Bytes,
}

/// What a read looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// `/v1/kv/KEY`.
    Key(String),
    /// `/v1/kv/PREFIX?recurse`.
    Prefix(String),
    /// `/v1/health/service/NAME`.
    Health(String),
}

/// Consul's consistency modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No parameter: the leader answers under its lease.
    Default,
    /// `?stale`: any server answers from what it has.
    Stale,
    /// `?consistent`: the leader asks a quorum first.
    Consistent,
}

/// The parameters of a blocking query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// `?index=`: answer when the target's index is above this.
    pub index: u64,
    /// `?wait=`, in nanoseconds. The server may add up to a sixteenth.
    pub ns: u64,
}

/// A write outside a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// `PUT /v1/kv/KEY?flags=`.
    Put {
        /// The key.
        key: String,
        /// The body.
        value: Vec<u8>,
        /// `?flags=`.
        flags: u64,
    },
    /// `PUT /v1/kv/KEY?cas=`.
    Cas {
        /// The key.
        key: String,
        /// The body.
        value: Vec<u8>,
        /// `?flags=`.
        flags: u64,
        /// `?cas=`: the `ModifyIndex` that the key must have; 0: it must be absent.
        index: u64,
    },
    /// `DELETE /v1/kv/KEY`.
    Delete {
        /// The key.
        key: String,
    },
    /// `DELETE /v1/kv/KEY?cas=`.
    DeleteCas {
        /// The key.
        key: String,
        /// The `ModifyIndex` that the key must have if it exists.
        index: u64,
    },
    /// `DELETE /v1/kv/PREFIX?recurse`.
    DeleteTree {
        /// Every key that begins with this.
        prefix: String,
    },
    /// `PUT /v1/kv/KEY?acquire=`.
    Acquire {
        /// The key.
        key: String,
        /// The body.
        value: Vec<u8>,
        /// The session.
        session: String,
    },
    /// `PUT /v1/kv/KEY?release=`.
    Release {
        /// The key.
        key: String,
        /// The body.
        value: Vec<u8>,
        /// The session.
        session: String,
    },
    /// `PUT /v1/session/create`, without a lock delay.
    CreateSession(NewSession),
    /// `PUT /v1/session/destroy/ID`.
    DestroySession {
        /// The session.
        session: String,
    },
    /// `POST /v1/query`.
    CreateQuery {
        /// `Name`: no two that are asked for have the same.
        name: String,
    },
    /// `PUT /v1/catalog/register`.
    Register(Registration),
    /// `PUT /v1/catalog/deregister`.
    Deregister(Deregistration),
}

/// A session that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSession {
    /// `Name`: no two that are asked for have the same.
    pub name: String,
    /// `Node`.
    pub node: String,
    /// `NodeChecks`: this one; empty for none.
    pub check: String,
    /// `TTL` in nanoseconds; 0 for none.
    pub ttl: u64,
    /// `Behavior`: its keys are deleted, not released.
    pub deletes: bool,
}

/// A node, with at most one service instance and one check of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// `Node`.
    pub node: String,
    /// `Address`.
    pub address: String,
    /// `Service.ID`; empty for no service.
    pub service_id: String,
    /// `Service.Service`.
    pub service: String,
    /// `Service.Port`.
    pub port: u16,
    /// `Check.CheckID`, a check of the service if there is one, else of the node; empty for no check.
    pub check_id: String,
    /// `Check.Status`.
    pub status: String,
}

/// Removes the check if one is named, else the service, else the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deregistration {
    /// `Node`.
    pub node: String,
    /// `ServiceID`, may be empty.
    pub service_id: String,
    /// `CheckID`, may be empty.
    pub check_id: String,
}

/// One operation of a transaction, on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnStep {
    /// What to do.
    pub verb: Verb,
    /// The key, or the prefix for `get-tree` and `delete-tree`.
    pub key: String,
    /// For `set` and `cas`; else empty.
    pub value: Vec<u8>,
    /// For `set` and `cas`; else 0.
    pub flags: u64,
    /// For `cas`, `delete-cas` and `check-index`; else 0.
    pub index: u64,
}

/// A transaction's verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `set`.
    Set,
    /// `cas`.
    Cas,
    /// `get`: fails when the key is absent.
    Get,
    /// `get-tree`.
    GetTree,
    /// `check-index`.
    CheckIndex,
    /// `check-not-exists`.
    CheckNotExists,
    /// `delete`.
    Delete,
    /// `delete-tree`.
    DeleteTree,
    /// `delete-cas`.
    DeleteCas,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// 200 or 404 of a read.
    Read(ReadAnswer),
    /// 200 of a write, with its `true` or `false`.
    Wrote(bool),
    /// 200 or 409 of a transaction.
    Txn(TxnAnswer),
    /// 200 of a new session: its ID.
    Session(String),
    /// 200 or 404 of a renewal.
    Renewed(bool),
    /// 200: the archive.
    Saved(Arc<Saved>),
    /// 200: it has taken the place of everything.
    Restored,
    /// An answer which says that nothing was done: no leader, busy, disk full, bad request. For a read,
    /// any error.
    Failed(String),
    /// Timeout, broken connection, `leadership lost`: a write may take effect at any later time, or never.
    Unknown,
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadAnswer {
    /// `X-Consul-Index`.
    pub index: u64,
    /// The body.
    pub found: Found,
    /// `X-Consul-Knownleader`.
    pub known_leader: bool,
    /// `X-Consul-Lastcontact`, in milliseconds.
    pub last_contact_ms: u64,
}

/// The data of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Of [`Target::Key`] (none when absent, else one) and [`Target::Prefix`] (in order of key).
    Keys(Vec<Entry>),
    /// Of [`Target::Health`], in the order of the answer.
    Instances(Vec<Instance>),
}

/// A key as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `Key`.
    pub key: String,
    /// `Value`, decoded; of a transaction's `set`, `cas` and `check-index` always empty.
    pub value: Vec<u8>,
    /// `Flags`.
    pub flags: u64,
    /// `Session`; empty for none.
    pub session: String,
    /// `LockIndex`.
    pub lock_index: u64,
    /// `CreateIndex`.
    pub create_index: u64,
    /// `ModifyIndex`.
    pub modify_index: u64,
}

/// A service instance as a health read shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `Node.Node`.
    pub node: String,
    /// `Service.ID`.
    pub service_id: String,
    /// `Service.Port`.
    pub port: u16,
    /// `Service.ModifyIndex`.
    pub modify_index: u64,
    /// `CheckID` and `Status` of each check, in the order of the answer.
    pub checks: Vec<(String, String)>,
}

/// The answer to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnAnswer {
    /// 200: every step was done; `Results` in order.
    Done(Vec<Entry>),
    /// 409: nothing was done; the `OpIndex` of each step that could not be.
    RolledBack(Vec<usize>),
}

/// A command of the committed log, as some server applied it.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The index that users see of it.
    pub index: u64,
    /// When the first server applied it.
    pub at: u64,
    /// The command, decoded from the log; entries without a command are left out.
    pub command: Command,
}

impl Call {
    /// Whether the call can change anything.
    pub fn writes(&self) -> bool {
        match self {
            Call::Read { .. } | Call::Renew { .. } | Call::Save { .. } => false,
            Call::Write(_) | Call::Restore(_) => true,
            Call::Txn { steps, .. } => steps.iter().any(|s| s.verb.writes()),
        }
    }
}

impl Verb {
    /// Whether a step with this verb can change anything.
    pub fn writes(self) -> bool {
        match self {
            Verb::Set | Verb::Cas | Verb::Delete | Verb::DeleteTree | Verb::DeleteCas => true,
            Verb::Get | Verb::GetTree | Verb::CheckIndex | Verb::CheckNotExists => false,
        }
    }

    /// The verb as the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Set => "set",
            Verb::Cas => "cas",
            Verb::Get => "get",
            Verb::GetTree => "get-tree",
            Verb::CheckIndex => "check-index",
            Verb::CheckNotExists => "check-not-exists",
            Verb::Delete => "delete",
            Verb::DeleteTree => "delete-tree",
            Verb::DeleteCas => "delete-cas",
        }
    }
}
