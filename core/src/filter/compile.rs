//! An expression held against the schema of what it will be asked about: selectors exist, operators fit,
//! values have the type of what they are compared with.

use super::schema::Kind;
use super::syntax::{Error, Match, Op, Syntax};
use crate::pattern::{self, ALL_CHARACTERS, Limits, Pattern};
use crate::strconv;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How many patterns an expression may hold: each has its fixed costs.
const MAX_PATTERNS: usize = 32;
/// How long the patterns of an expression may be together, in bytes. Consul has no bound of its own. A few
/// bytes can name a class of thousands of characters, so a longer text would keep its thread for seconds.
const MAX_PATTERN_BYTES: usize = 512;
/// How much memory the patterns of an expression may take together when compiled, in bytes: a blocking query
/// holds them for as long as it waits.
const MAX_COMPILED: usize = 256 << 10;
/// How many characters the patterns of an expression may fold together: each costs some tens of nanoseconds, and six
/// bytes of a pattern can name all there are.
const MAX_FOLDED: u32 = ALL_CHARACTERS;

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Test(Test),
}

/// One comparison, ready to be made.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) path: Vec<String>,
    pub(super) op: Op,
    pub(super) operand: Operand,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Nothing,
    Text(Vec<u8>),
    Bool(bool),
    Int(i64),
    Pattern(Pattern),
}

pub(super) fn compile(syntax: &Syntax, subject: &'static Kind) -> Result<Expr, Error> {
    let (count, bytes) = patterns(syntax);
    if count > MAX_PATTERNS {
        return Err(Error(format!("the expression holds more than {MAX_PATTERNS} patterns")));
    }
    if bytes > MAX_PATTERN_BYTES {
        return Err(Error(format!(
            "the patterns of the expression are longer than {MAX_PATTERN_BYTES} bytes together"
        )));
    }
    // Each gets the same share, so that what one may take does not depend on the order.
    let mut limits = Limits { compiled: MAX_COMPILED / count.max(1), folds: MAX_FOLDED };
    expr(syntax, subject, &mut limits)
}

/// How many patterns an expression holds, and how many bytes they are together.
fn patterns(syntax: &Syntax) -> (usize, usize) {
    match syntax {
        Syntax::Not(inner) => patterns(inner),
        Syntax::All(list) | Syntax::Any(list) => {
            list.iter().map(patterns).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        }
        Syntax::Match(Match { op: Op::Matches | Op::NotMatches, value: Some(text), .. }) => (1, text.len()),
        Syntax::Match(_) => (0, 0),
    }
}

fn expr(syntax: &Syntax, subject: &'static Kind, limits: &mut Limits) -> Result<Expr, Error> {
    let mut all =
        |list: &[Syntax]| list.iter().map(|one| expr(one, subject, limits)).collect::<Result<Vec<_>, _>>();
    Ok(match syntax {
        Syntax::Not(inner) => Expr::Not(Box::new(expr(inner, subject, limits)?)),
        Syntax::All(list) => Expr::All(all(list)?),
        Syntax::Any(list) => Expr::Any(all(list)?),
        Syntax::Match(one) => Expr::Test(test(one, subject, limits)?),
    })
}

fn test(one: &Match, subject: &'static Kind, limits: &mut Limits) -> Result<Test, Error> {
    let shown = |upto: usize| strconv::quote(&one.selector[..upto].join(&b'.'));
    let mut kind = subject;
    for (i, name) in one.selector.iter().enumerate() {
        kind = kind.part(name).ok_or_else(|| Error(format!("Selector {} is not valid", shown(i + 1))))?;
    }
    let selector = shown(one.selector.len());
    if !kind.allows(one.op) {
        return Err(Error(format!("Invalid match operator \"{}\" for selector {selector}", one.op.name())));
    }
    let operand = match &one.value {
        None => Operand::Nothing,
        Some(value) => {
            let coerced = match kind {
                Kind::Bool => strconv::bool(value).map(Operand::Bool),
                Kind::Int(bits, signed) => strconv::int(value, *bits, *signed).map(Operand::Int),
                Kind::Bytes => strconv::int(value, 8, false).map(Operand::Int),
                Kind::Text | Kind::TextList | Kind::Map(_) | Kind::List(_) | Kind::Struct(_) => {
                    Ok(Operand::Text(value.clone()))
                }
            };
            coerced.map_err(|why| {
                let value = strconv::quote(value);
                Error(format!("Failed to coerce value {value} for selector {selector}: {why}"))
            })?
        }
    };
    let operand = match (one.op, operand) {
        (Op::Matches | Op::NotMatches, Operand::Text(text)) => {
            Operand::Pattern(pattern::compile(&text, limits).map_err(|why| {
                Error(format!("Failed to compile regular expression {}: {why}", strconv::quote(&text)))
            })?)
        }
        (_, operand) => operand,
    };
    let path = one.selector.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    Ok(Test { path, op: one.op, operand })
}
