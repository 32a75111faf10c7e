//! An expression as written, before it is known what it is about.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why an expression cannot be used, in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub(super) String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Not(Box<Syntax>),
    /// Two or more, joined by `and`.
    All(Vec<Syntax>),
    /// Two or more, joined by `or`.
    Any(Vec<Syntax>),
    Match(Match),
}

impl Syntax {
    /// One operand is itself, several are a list.
    pub(super) fn join(mut operands: Vec<Syntax>, list: fn(Vec<Syntax>) -> Syntax) -> Syntax {
        match operands.pop() {
            Some(only) if operands.is_empty() => only,
            last => {
                operands.extend(last);
                list(operands)
            }
        }
    }
}

/// One comparison. Texts are bytes: escapes may make what is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) selector: Vec<Vec<u8>>,
    pub(super) op: Op,
    /// `None` for the two operators about emptiness.
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    /// `value in selector` and `selector contains value`.
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Matches,
    NotMatches,
}

impl Op {
    /// As errors name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Op::Equal => "Equal",
            Op::NotEqual => "Not Equal",
            Op::In => "In",
            Op::NotIn => "Not In",
            Op::IsEmpty => "Is Empty",
            Op::IsNotEmpty => "Is Not Empty",
            Op::Matches => "Matches",
            Op::NotMatches => "Not Matches",
        }
    }
}
