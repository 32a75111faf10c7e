//! A parsed JSON text, and what can be wrong with one.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One value and where it starts in the text.
///
/// Unlike most trees it keeps what Go's decoder goes by: key order, duplicate keys, and the text of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Value<'a> {
    /// Byte offset of its first character; of two errors the one further up is reported.
    pub at: u32,
    /// The value.
    pub kind: Kind<'a>,
}

/// The six kinds of JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// The text of a number, valid by JSON's grammar.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object: keys as sent, in order, duplicates kept.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    /// The name that Go's decoder calls this kind by in errors; numbers carry their text.
    pub(super) fn go_kind(&self) -> String {
        match &self.kind {
            Kind::Null => "null".into(),
            Kind::Bool(_) => "bool".into(),
            Kind::Number(text) => alloc::format!("number {text}"),
            Kind::String(_) => "string".into(),
            Kind::Array(_) => "array".into(),
            Kind::Object(_) => "object".into(),
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }
}

/// Why JSON was refused. Displays with Go's texts, which clients see after `Request decode failed: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The body is empty.
    Eof,
    /// The body ends inside the value.
    UnexpectedEof,
    /// The text ends inside the value (where a whole document is parsed, not a stream).
    UnexpectedEnd,
    /// A character that cannot stand there; the text says where.
    Syntax(String),
    /// More than [`super::MAX_BYTES`].
    TooLarge,
    /// A key that the target does not have, as sent.
    UnknownField(String),
    /// A value of the wrong kind.
    Type {
        /// What was sent: `string`, `number 1.5`, `array`.
        value: String,
        /// `Struct.Path.To.Field`, or empty at the top.
        field: String,
        /// The Go type that a client sees: `int`, `[]string`.
        wanted: String,
    },
    /// A bad duration text.
    Duration(crate::duration::Error),
    /// A string that should be base64 and is not.
    Base64(crate::b64::Corrupt),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Eof => f.write_str("EOF"),
            Error::UnexpectedEof => f.write_str("unexpected EOF"),
            Error::UnexpectedEnd => f.write_str("unexpected end of JSON input"),
            Error::Syntax(text) => f.write_str(text),
            Error::TooLarge => f.write_str("JSON text too large"),
            Error::UnknownField(key) => write!(f, "json: unknown field {}", super::parse::go_quote(key)),
            Error::Type { value, field, wanted } if field.is_empty() => {
                write!(f, "json: cannot unmarshal {value} into Go value of type {wanted}")
            }
            Error::Type { value, field, wanted } => {
                write!(f, "json: cannot unmarshal {value} into Go struct field {field} of type {wanted}")
            }
            Error::Duration(error) => error.fmt(f),
            Error::Base64(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}
