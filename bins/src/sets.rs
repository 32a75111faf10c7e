//! The flag sets that many commands share: how to reach an agent, which servers may answer, and the
//! tenancy flags that the community edition accepts and its servers refuse.

use crate::flags::Flag;

/// How to reach an agent.
pub const CLIENT: &[Flag] = &[
    Flag::text("ca-file", "value", "CA certificate (PEM) to trust for TLS; CONSUL_CACERT.").strictly(),
    Flag::text("ca-path", "value", "Directory of CA certificates to trust for TLS; CONSUL_CAPATH.")
        .strictly(),
    Flag::text(
        "client-cert",
        "value",
        "Certificate to show when the agent verifies clients; CONSUL_CLIENT_CERT.",
    )
    .strictly(),
    Flag::text("client-key", "value", "Key of -client-cert; CONSUL_CLIENT_KEY.").strictly(),
    Flag::text(
        "http-addr",
        "address",
        "Where the agent's HTTP API listens: host:port, http://host:port or unix:///path; CONSUL_HTTP_ADDR.",
    )
    .or("http://127.0.0.1:8500")
    .strictly(),
    Flag::text(
        "tls-server-name",
        "value",
        "Name to expect in the agent's certificate; CONSUL_TLS_SERVER_NAME.",
    )
    .strictly(),
    Flag::text(
        "token",
        "value",
        "ACL token to send; CONSUL_HTTP_TOKEN. Without one the agent uses its own default token.",
    )
    .strictly(),
    Flag::text(
        "token-file",
        "value",
        "File that holds the ACL token, taken before -token; CONSUL_HTTP_TOKEN_FILE.",
    )
    .strictly(),
];

/// Which servers may answer.
pub const SERVER: &[Flag] = &[
    Flag::text("datacenter", "value", "Datacenter to ask.").or("that of the agent asked").strictly(),
    Flag::switch("stale", "Let any server answer, not only the leader: faster, perhaps a little behind.")
        .strictly(),
];

/// Accepted for scripts written for the enterprise edition; a server refuses any value.
pub const NAMESPACE: &[Flag] =
    &[Flag::text("namespace", "name", "Consul Enterprise only: servers refuse it.").strictly()];

/// Accepted for scripts written for the enterprise edition; a server refuses any value.
pub const PARTITION: &[Flag] =
    &[Flag::text("partition", "name", "Consul Enterprise only: servers refuse it.").strictly()];

/// Sets of a command that talks to its agent only.
pub const TO_AGENT: &[&[Flag]] = &[CLIENT];

/// Sets of a command whose question goes on to the servers.
pub const TO_SERVERS: &[&[Flag]] = &[CLIENT, SERVER];
