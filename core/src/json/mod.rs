//! JSON as Go's `encoding/json` writes and reads it, byte for byte where clients can tell.
//!
//! [`Writer`] renders answers; [`pretty()`] is `?pretty`. [`parse_body`] and [`parse()`] read text into a
//! [`Value`] that keeps key order and number text, and [`decode()`] takes typed fields out of it with Go's
//! rules: keys match in any letter case, unknown ones are refused, and the first error in the text wins.

mod decode;
mod parse;
mod pretty;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use decode::{Fields, Struct, Unknown, decode, decode_list};
pub(crate) use parse::go_quote;
pub use parse::{MAX_BYTES, MAX_DEPTH, parse, parse_body};
pub use pretty::{pretty, pretty_into};
pub use value::{Error, Kind, Value};
pub use write::{Writer, to_vec};
