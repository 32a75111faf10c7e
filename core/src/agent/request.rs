//! What a front asks the agent, and what the driver runs for it.

use crate::config::AgentTls;
use crate::types::{CheckDefinition, ServiceDefinition};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// A change to the agent's local state. Reads go to the published view instead.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentRequest {
    /// `PUT /v1/agent/service/register`, and services from configuration files.
    RegisterService {
        /// The service with its checks.
        definition: Box<ServiceDefinition>,
        /// Remove checks of the service that the definition does not name.
        replace_existing_checks: bool,
    },
    /// `PUT /v1/agent/service/deregister/:id`.
    DeregisterService {
        /// Service ID.
        id: String,
    },
    /// `PUT /v1/agent/check/register`.
    RegisterCheck {
        /// The check.
        definition: Box<CheckDefinition>,
    },
    /// `PUT /v1/agent/check/deregister/:id`.
    DeregisterCheck {
        /// Check ID.
        id: String,
    },
    /// `PUT /v1/agent/check/{pass,warn,fail,update}/:id`.
    UpdateTtl {
        /// Check ID.
        id: String,
        /// `passing`, `warning` or `critical`.
        status: &'static str,
        /// Kept as the check's output.
        output: String,
    },
    /// `PUT /v1/agent/service/maintenance/:id`.
    ServiceMaintenance {
        /// Service ID.
        id: String,
        /// On or off.
        enable: bool,
        /// Kept as the check's notes; empty: Consul's default text.
        reason: String,
    },
    /// `PUT /v1/agent/maintenance`.
    NodeMaintenance {
        /// On or off.
        enable: bool,
        /// Kept as the check's notes; empty: Consul's default text.
        reason: String,
    },
}

/// The agent's answer: done, or why not.
pub type AgentReply = Result<(), AgentError>;

/// Why the agent refused. State unchanged in every case. The text is Consul's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentError {
    /// 400: the definition is not valid.
    Invalid(String),
    /// 404: no such service or check.
    NotFound(String),
    /// 403: not allowed here.
    Forbidden(String),
    /// 500: everything else.
    Failed(String),
}

impl core::fmt::Display for AgentError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (AgentError::Invalid(text)
        | AgentError::NotFound(text)
        | AgentError::Forbidden(text)
        | AgentError::Failed(text)) = self;
        f.write_str(text)
    }
}

/// One thing the driver probes.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// Run a program. Exit code 0 passing, 1 warning, other critical; on timeout its whole process
    /// group is killed.
    Script {
        /// Program and arguments; never empty, never through a shell.
        args: Vec<String>,
    },
    /// One HTTP request. 2xx passing, 429 warning, other critical.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// As registered, in its letter case; `GET` unless given.
        method: String,
        /// As registered; `Host` is honoured.
        headers: BTreeMap<String, Vec<String>>,
        /// Request body.
        body: String,
        /// Report a redirect as it is instead of following it.
        disable_redirects: bool,
        /// For URLs of the scheme `https`.
        tls: ProbeTls,
    },
    /// Connect and close.
    Tcp {
        /// `host:port`.
        address: String,
        /// `Some`: the TLS handshake must succeed, too.
        tls: Option<ProbeTls>,
    },
    /// Send an empty datagram. Any answer passes, a refusal is critical, silence says nothing.
    Udp {
        /// `host:port`.
        address: String,
    },
    /// An HTTP/2 PING.
    H2Ping {
        /// `host:port`.
        address: String,
        /// `Some`: over TLS.
        tls: Option<ProbeTls>,
    },
    /// Run a program in a container of the local Docker daemon. Exit code 0 passing, 1 warning, other
    /// critical.
    Docker {
        /// ID or name of the container.
        container: String,
        /// Program and arguments; never empty.
        args: Vec<String>,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// `host:port`.
        address: String,
        /// Service to ask for; empty: the server as a whole.
        service: String,
        /// `Some`: over TLS.
        tls: Option<ProbeTls>,
    },
}

/// How a probe speaks TLS.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ProbeTls {
    /// For SNI and verification; empty: the host that is dialled.
    pub server_name: String,
    /// Take any certificate.
    pub skip_verify: bool,
    /// The agent's own authorities and certificate; `None`: the system's authorities, and no certificate.
    pub agent: Option<Arc<AgentTls>>,
}

/// One run of a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSpec {
    /// What to do.
    pub probe: Probe,
    /// How long it may take.
    pub timeout: Duration,
    /// Bytes of output to keep.
    pub output_max: usize,
}

/// How a probe ended. Outputs are for people, and already cut to the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It found something; thresholds decide what that means.
    Found {
        /// `passing`, `warning` or `critical`.
        status: &'static str,
        /// What it saw.
        output: String,
    },
    /// The program could not be started, or was killed: critical at once, thresholds do not apply.
    Broken {
        /// Why.
        output: String,
    },
    /// It learnt nothing: status and output stay.
    Nothing,
}
