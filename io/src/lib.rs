//! The drivers around the pure core: the only crate with sockets, files, threads and clocks.
//!
//! Drivers hold no policy. Whatever needs an `if` about the protocol belongs in `lictor-core`.
//!
//! | module | what it moves |
//! |---|---|
//! | [`driver`] | inputs into the node, its outputs to everything else |
//! | [`disk`], [`storage`] | batches to the log, one flush for all that queued meanwhile |
//! | [`http`] | connections to a front and back |
//! | [`rpc`] | connections to the server port, and calls to a front and back |
//! | [`dns`] | datagrams and TCP queries to the pure responder |
//! | [`rpc`] | calls of a client agent to servers |
//! | [`checks`] | probes: HTTP, TCP, UDP, gRPC, H2 ping, Docker, scripts |
//! | [`gossip`], [`resolve`] | packets and streams of the gossip pools; names to join |
//! | [`peers`] | raft between servers, on the server port |
//! | [`watches`] | changes of the registry to the handlers that the configuration names |
//! | [`log`] | events to standard output, a file and watchers |
//! | [`rt`] | the runtime surface that the simulator replaces |
//! | [`config_files`] | files into the pure loader |
//! | [`agent`] | the life of the process: files, lock, threads, signals |

pub mod agent;
pub mod checks;
pub mod config_files;
pub mod disk;
pub mod dns;
pub mod driver;
pub mod front;
mod go_error;
pub mod gossip;
pub mod http;
pub mod log;
mod meter;
pub mod peers;
pub mod resolve;
pub mod rpc;
pub mod rt;
pub mod storage;
pub mod watches;
