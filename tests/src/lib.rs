//! A running agent for black-box tests: the real binary, on free loopback ports, in a directory of
//! its own, gone when the test ends.

pub mod http;
pub mod server;

pub use http::{Response, request};
pub use server::{Server, binary, wait};
