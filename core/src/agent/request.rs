//! What a front asks the agent, and what the driver runs for it.

use crate::types::{CheckDefinition, ServiceDefinition};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
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
        /// Upper case; `GET` unless given.
        method: String,
        /// As registered; `Host` is honoured.
        headers: BTreeMap<String, Vec<String>>,
        /// Request body.
        body: String,
        /// Report a redirect as it is instead of following it.
        disable_redirects: bool,
        /// For SNI and verification; empty: from the URL.
        tls_server_name: String,
        /// Do not verify the certificate.
        tls_skip_verify: bool,
    },
    /// Connect and close.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// `host:port`.
        address: String,
        /// Service to ask for; empty: the server as a whole.
        service: String,
        /// Over TLS.
        tls: bool,
        /// Do not verify the certificate.
        tls_skip_verify: bool,
        /// For SNI and verification; empty: from the address.
        tls_server_name: String,
    },
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

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// `passing`, `warning` or `critical`.
    pub status: &'static str,
    /// For people; already cut to the limit.
    pub output: String,
}
