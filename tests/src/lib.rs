//! A running agent for black-box tests: the real binary, on free loopback ports, in a directory of
//! its own, gone when the test ends.

pub mod backend;
pub mod conformance;
pub mod dns;
pub mod http;
pub mod process;
pub mod prometheus;
pub mod scratch;
pub mod server;

pub use http::{Connection, Response, request};
pub use scratch::Scratch;
pub use server::{Server, binary, wait};
