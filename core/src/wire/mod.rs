//! Bytes on the wire and on disk.

pub mod msgpack;
pub mod protobuf;
pub mod raw;
pub mod tree;

pub use tree::Tree;
