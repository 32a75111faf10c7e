//! A running agent for black-box tests: the real binary, on free loopback ports, in a directory of
//! its own, gone when the test ends; and clusters of them, each agent at an address of its own.

pub mod backend;
pub mod cargo;
pub mod cluster;
pub mod conformance;
pub mod consul;
pub mod dns;
pub mod http;
pub mod namespace;
pub mod node;
pub mod process;
pub mod prometheus;
pub mod scratch;
pub mod server;
pub mod small_disk;
pub mod writers;

pub use http::{Connection, Response, request};
pub use scratch::Scratch;
pub use server::{Server, binary, wait};
