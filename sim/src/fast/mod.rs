//! The fast simulator: whole nodes on one event heap, in one thread, with nothing real about them but the
//! code under test.
//!
//! [`scenario`] draws a [`plan::Plan`] from a seed, [`run::run`] runs it: first faults, with every
//! invariant checked; then everything heals, and within bounded time everything must work; then the oracles
//! judge what clients saw. Every hop is encoded bytes, clients speak the HTTP API, a restart is a boot from
//! what the disk held. The same plan gives the same run, to the last byte. `docs/simulator.md` says how to
//! use it.
//!
//! | file | holds |
//! |---|---|
//! | `plan`, `action`, `knobs`, `scenario` | what will be done |
//! | `world`, `event` | the heap, and carrying out what nodes order |
//! | `judge` | whether what they show and say may be |
//! | `server`, `disk`, `clock`, `net` | what nodes run on |
//! | `peers`, `gossip`, `stream`, `rpc`, `dns`, `address` | the same for clusters that gossip |
//! | `client`, `traffic`, `http`, `agents` | what clients do |
//! | `faults`, `copies`, `operator`, `keys`, `heal`, `quiet`, `detection`, `herd` | what is done to the cluster, and what is demanded of it |
//! | `invariant`, `verdict`, `marks` | what must hold, and what must be met |
//! | `run`, `trace`, `shrink`, `sweep` | runs, their logs, smaller ones, and many |

pub mod action;
mod address;
mod agents;
mod archives;
mod client;
mod clock;
mod copies;
mod detection;
mod disk;
mod dns;
mod event;
mod faults;
mod gossip;
mod heal;
mod herd;
mod http;
mod invariant;
mod judge;
mod keys;
pub mod knobs;
pub mod luck;
pub mod marks;
mod net;
mod operator;
mod peers;
pub mod plan;
mod quiet;
mod rpc;
pub mod run;
pub mod scenario;
mod server;
pub mod shrink;
mod stream;
pub mod sweep;
pub mod trace;
mod traffic;
pub mod verdict;
mod world;
