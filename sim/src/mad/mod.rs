//! The drivers of `lictor-io` themselves, on madsim's clock and network and on a simulated disk.
//!
//! | module | what it is |
//! |---|---|
//! | [`world`], [`seeds`], [`trace`] | a run, the choice of seeds, what a run leaves |
//! | [`rt`] | the runtime surface of `lictor-io` over madsim |
//! | [`links`] | which machines hear each other, and connections that behave when they do not |
//! | [`disk`] | one disk that loses, tears, fails and fills |
//! | [`directory`] | that disk as one process sees it |
//! | [`crash`], [`batches`] | the storage layer alone on that disk |
//! | [`server`] | a machine with a server or client agent: start, kill, power cut, signals |
//! | `process` | what runs on it: the drivers, put together as `agent::run` does |
//! | [`cluster`] | three servers and two client agents |
//! | [`client`], [`ledger`] | who asks, and what may be answered |
//! | [`load`] | clients that write, read and watch until they are told to stop |
//!
//! `docs/simulator-io.md` says what bites.

#[cfg(not(madsim))]
compile_error!(
    "--cfg madsim is missing: .cargo/config.toml sets it, an environment RUSTFLAGS replaces that; unset it"
);

pub mod batches;
pub mod client;
pub mod cluster;
pub mod crash;
pub mod directory;
pub mod disk;
mod inode;
pub mod ledger;
pub mod links;
pub mod load;
mod process;
pub mod rt;
pub mod seeds;
pub mod server;
pub mod trace;
pub mod world;
