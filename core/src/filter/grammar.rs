//! The grammar of filter expressions, and what its errors say.
//!
//! Consul's parser is a generated PEG: it tries alternatives in order, and when none fits it lists what
//! could have stood at the farthest place that any of them reached. Clients see that list, so this parser
//! walks the same alternatives in the same order and keeps the same two books: [`Grammar::expected`] and
//! [`Grammar::errors`]. An alternative that is abandoned leaves its errors behind, as there. Unlike there,
//! nothing is parsed twice below the top, so the time stays linear in nested parentheses.

use super::syntax::{Error, Match, Op, Syntax};
use crate::strconv;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// The longest expression accepted, in bytes. Consul's bound is that of its HTTP headers.
pub const MAX_BYTES: usize = 64 << 10;
/// How deep parentheses and `not` may nest. Consul has no bound, but needs time exponential in it.
pub const MAX_DEPTH: usize = 100;
/// How many comparisons an expression may hold. Consul has no bound.
pub const MAX_MATCHES: usize = 2048;
/// How many complaints are kept.
const MAX_ERRORS: usize = 100;

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Syntax, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error(format!("the expression is longer than {MAX_BYTES} bytes")));
    }
    let mut grammar = Grammar {
        text,
        at: 0,
        inverted: false,
        farthest: 0,
        expected: BTreeSet::new(),
        errors: Vec::new(),
        depth: 0,
        matches: 0,
        over: None,
    };
    // A byte that is no text has become this on its way here.
    if let Some(at) = text.find(char::REPLACEMENT_CHARACTER) {
        let quoted = text[..at].matches(['"', '`']).count() % 2 == 1;
        let rule = if quoted { "rule \"string\": " } else { "" };
        return Err(Error(format!("{}: {rule}invalid encoding", grammar.place(at))));
    }
    let found = grammar.input();
    if let Some(over) = grammar.over {
        return Err(Error(over));
    }
    match found {
        _ if !grammar.errors.is_empty() => Err(Error(grammar.errors.join("\n"))),
        Some(syntax) => Ok(syntax),
        None => Err(Error(grammar.no_match())),
    }
}

struct Grammar<'t> {
    text: &'t str,
    at: usize,
    /// Inside an odd number of negative look-aheads, where what fits is what was not wanted.
    inverted: bool,
    /// The farthest place at which a terminal did not fit.
    farthest: usize,
    /// What would have fitted there.
    expected: BTreeSet<String>,
    /// What rules complained about, each once, in the order found.
    errors: Vec<String>,
    depth: usize,
    matches: usize,
    /// Which of our own limits was passed.
    over: Option<String>,
}

impl Grammar<'_> {
    // Places and books.

    /// `line:column (offset)` as the generated parser counts: a line feed stands in column 0 of its line.
    fn place(&self, at: usize) -> String {
        let upto = self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8());
        let read = &self.text[..upto];
        let line = 1 + read.matches('\n').count();
        let column = read.rsplit('\n').next().unwrap_or("").chars().count() + usize::from(upto == at);
        format!("{line}:{column} ({at})")
    }

    fn note(&mut self, fits: bool, at: usize, wanted: &str) {
        if fits != self.inverted || at < self.farthest {
            return;
        }
        if at > self.farthest {
            self.farthest = at;
            self.expected.clear();
        }
        self.expected.insert(format!("{}{wanted}", if self.inverted { "!" } else { "" }));
    }

    fn complain(&mut self, at: usize, rule: &str, what: &str) {
        // A place takes a look at all of the text before it.
        if self.errors.len() == MAX_ERRORS {
            return;
        }
        let error = format!("{}: rule \"{rule}\": {what}", self.place(at));
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn no_match(&self) -> String {
        let mut expected: Vec<&str> = self.expected.iter().map(String::as_str).collect();
        if let Some(end) = expected.iter().position(|e| *e == "!.") {
            expected.remove(end);
            expected.push("EOF");
        }
        let list = match expected.split_last() {
            None => String::new(),
            Some((last, [])) => (*last).into(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        };
        format!("{}: no match found, expected: {list}", self.place(self.farthest))
    }

    // Terminals.

    fn literal(&mut self, text: &'static str) -> bool {
        let fits = self.text[self.at..].starts_with(text);
        self.note(fits, self.at, &strconv::quote(text.as_bytes()));
        if fits {
            self.at += text.len();
        }
        fits
    }

    fn class(&mut self, shown: &str, fits: fn(char) -> bool) -> bool {
        let next = self.text[self.at..].chars().next().filter(|c| fits(*c));
        self.note(next.is_some(), self.at, shown);
        self.at += next.map_or(0, char::len_utf8);
        next.is_some()
    }

    fn any(&mut self) -> bool {
        self.class(".", |_| true)
    }

    // Combinators.

    /// All or nothing: where `rule` fails, nothing is taken.
    fn attempt<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = rule(self);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    /// Looks ahead for `rule`.
    fn ahead(&mut self, rule: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = self.at;
        let found = rule(self);
        self.at = start;
        found
    }

    /// Looks ahead for the absence of `rule`.
    fn absent(&mut self, rule: impl FnOnce(&mut Self) -> bool) -> bool {
        self.inverted = !self.inverted;
        let found = self.ahead(rule);
        self.inverted = !self.inverted;
        !found
    }

    fn end(&mut self) -> bool {
        self.absent(Self::any)
    }

    fn space(&mut self) -> bool {
        let one = |g: &mut Self| g.class("[ \\t\\r\\n]", |c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        let found = one(self);
        while found && one(self) {}
        found
    }

    fn spaces(&mut self) {
        self.space();
    }

    // Rules.

    fn input(&mut self) -> Option<Syntax> {
        self.attempt(|g| {
            g.spaces();
            let inner = g.enclosed()?;
            g.spaces();
            g.end().then_some(inner)
        })
        .or_else(|| {
            // What the first try counted is read again.
            self.matches = 0;
            self.attempt(|g| {
                g.spaces();
                let found = g.or_expression()?;
                g.spaces();
                g.end().then_some(found)
            })
        })
    }

    /// `( expression )`; an expression without its closing parenthesis is complained about where
    /// the generated parser comes to it, in [`Grammar::grouping`].
    fn enclosed(&mut self) -> Option<Syntax> {
        self.attempt(|g| g.opened()?.ok())
    }

    /// What follows an opening parenthesis; `Err` holds where the closing one should stand.
    fn opened(&mut self) -> Option<Result<Syntax, usize>> {
        if !self.literal("(") {
            return None;
        }
        self.spaces();
        let inner = self.nested(Self::or_expression)?;
        self.spaces();
        Some(if self.literal(")") { Ok(inner) } else { Err(self.at) })
    }

    fn nested(&mut self, rule: fn(&mut Self) -> Option<Syntax>) -> Option<Syntax> {
        if self.over.is_some() {
            return None;
        }
        if self.depth == MAX_DEPTH {
            self.over = Some(format!("the expression nests deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.depth += 1;
        let found = rule(self);
        self.depth -= 1;
        found
    }

    fn or_expression(&mut self) -> Option<Syntax> {
        let all = self.chain("or", Self::and_expression)?;
        Some(Syntax::join(all, Syntax::Any))
    }

    fn and_expression(&mut self) -> Option<Syntax> {
        let all = self.chain("and", Self::not_expression)?;
        Some(Syntax::join(all, Syntax::All))
    }

    /// One or more of `operand`, between them `word`.
    fn chain(&mut self, word: &'static str, operand: fn(&mut Self) -> Option<Syntax>) -> Option<Vec<Syntax>> {
        let mut all = vec![self.attempt(operand)?];
        let next = |g: &mut Self| (g.space() && g.literal(word) && g.space()).then(|| operand(g))?;
        while let Some(one) = self.attempt(next) {
            all.push(one);
        }
        Some(all)
    }

    fn not_expression(&mut self) -> Option<Syntax> {
        let negated = self.attempt(|g| {
            let inner = (g.literal("not") && g.space()).then(|| g.nested(Self::not_expression))??;
            Some(match inner {
                Syntax::Not(twice) => *twice,
                once => Syntax::Not(Box::new(once)),
            })
        });
        negated.or_else(|| self.grouping())
    }

    fn grouping(&mut self) -> Option<Syntax> {
        let start = self.at;
        let unclosed = match self.opened() {
            Some(Ok(inner)) => return Some(inner),
            Some(Err(at)) => Some(at),
            None => None,
        };
        self.at = start;
        if let Some(found) = self.comparison() {
            return Some(found);
        }
        if let Some(at) = unclosed {
            self.complain(at, "grouping", "Unmatched parentheses");
        }
        None
    }

    fn comparison(&mut self) -> Option<Syntax> {
        if self.matches >= MAX_MATCHES {
            self.over = Some(format!("the expression compares more than {MAX_MATCHES} times"));
            return None;
        }
        let found = self
            .attempt(|g| {
                let selector = g.selector()?;
                let op = g.op_before_value()?;
                let value = g.value()?;
                Some(Match { selector, op, value: Some(value) })
            })
            .or_else(|| {
                self.attempt(|g| {
                    let selector = g.selector()?;
                    let op = if g.words(&["is", "empty"], false) {
                        Op::IsEmpty
                    } else if g.words(&["is", "not", "empty"], false) {
                        Op::IsNotEmpty
                    } else {
                        return None;
                    };
                    Some(Match { selector, op, value: None })
                })
            })
            .or_else(|| self.attempt(Self::value_in_selector))?;
        self.matches += 1;
        Some(Syntax::Match(found))
    }

    fn value_in_selector(&mut self) -> Option<Match> {
        let start = self.at;
        let value = self.value()?;
        let op = self.op_in()?;
        if let Some(selector) = self.selector() {
            return Some(Match { selector, op, value: Some(value) });
        }
        // The second alternative: the same again, then anything but a selector.
        self.at = start;
        self.value()?;
        self.op_in()?;
        if self.absent(|g| g.selector().is_some()) {
            self.complain(self.at, "match", "Invalid selector");
        }
        None
    }

    fn op_in(&mut self) -> Option<Op> {
        if self.words(&["in"], true) {
            Some(Op::In)
        } else if self.words(&["not", "in"], true) {
            Some(Op::NotIn)
        } else {
            None
        }
    }

    fn op_before_value(&mut self) -> Option<Op> {
        for (symbol, op) in [("==", Op::Equal), ("!=", Op::NotEqual)] {
            let fits = self.attempt(|g| {
                g.spaces();
                g.literal(symbol).then(|| g.spaces())
            });
            if fits.is_some() {
                return Some(op);
            }
        }
        let worded: [(&[&str], Op); 4] = [
            (&["contains"], Op::In),
            (&["not", "contains"], Op::NotIn),
            (&["matches"], Op::Matches),
            (&["not", "matches"], Op::NotMatches),
        ];
        worded.into_iter().find(|(words, _)| self.words(words, true)).map(|(_, op)| op)
    }

    /// Each word after white space; after the last one too, if so asked.
    fn words(&mut self, words: &[&'static str], space_after: bool) -> bool {
        self.attempt(|g| {
            let all = words.iter().all(|word| g.space() && g.literal(word));
            (all && (!space_after || g.space())).then_some(())
        })
        .is_some()
    }

    fn selector(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut parts = vec![self.identifier()?];
        while let Some(part) = self.selector_part() {
            parts.push(part);
        }
        Some(parts)
    }

    fn identifier(&mut self) -> Option<Vec<u8>> {
        let start = self.at;
        if !self.class("[a-zA-Z]", |c| c.is_ascii_alphabetic()) {
            return None;
        }
        while self.class("[a-zA-Z0-9_]", |c| c.is_ascii_alphanumeric() || c == '_') {}
        Some(self.text[start..self.at].into())
    }

    fn selector_part(&mut self) -> Option<Vec<u8>> {
        self.attempt(|g| if g.literal(".") { g.identifier() } else { None }).or_else(|| self.index())
    }

    /// `["key"]`.
    fn index(&mut self) -> Option<Vec<u8>> {
        let start = self.at;
        if !self.literal("[") {
            return None;
        }
        self.spaces();
        let inside = self.at;
        let key = self.string();
        if let Some(key) = &key {
            self.spaces();
            if self.literal("]") {
                return Some(key.clone());
            }
        }
        let after = self.at;
        self.at = inside;
        if self.absent(|g| g.string().is_some()) {
            self.complain(inside, "index", "Invalid index");
        }
        if key.is_some() {
            self.complain(after, "index", "Unclosed index expression");
        }
        self.at = start;
        None
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let selector = self.attempt(Self::selector).map(|parts| parts.join(&b'.'));
        selector.or_else(|| self.number()).or_else(|| self.string())
    }

    fn number(&mut self) -> Option<Vec<u8>> {
        let start = self.at;
        self.attempt(|g| {
            g.literal("-");
            g.digits()?;
            let end = g.at;
            if g.ahead(Self::after_number) {
                return Some(g.text[start..end].into());
            }
            // The second alternative: the same number, then something else.
            if g.absent(|g| g.ahead(Self::after_number)) {
                g.complain(end, "number", "Invalid number literal");
            }
            None
        })
    }

    fn after_number(&mut self) -> bool {
        self.space() || self.end() || self.literal(")")
    }

    fn digits(&mut self) -> Option<()> {
        let digit = |g: &mut Self| g.class("[0-9]", |c| c.is_ascii_digit());
        if !self.literal("0") {
            if !self.class("[1-9]", |c| matches!(c, '1'..='9')) {
                return None;
            }
            while digit(self) {}
        }
        self.attempt(|g| {
            let fraction = g.literal(".") && digit(g);
            while fraction && digit(g) {}
            fraction.then_some(())
        });
        Some(())
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let start = self.at;
        let raw = self.literal("`");
        if !raw && !self.literal("\"") {
            return None;
        }
        let quote = if raw { "`" } else { "\"" };
        while self.absent(|g| g.literal(quote)) && self.any() {}
        if self.literal(quote) {
            let value = strconv::unquote(&self.text[start..self.at]);
            if value.is_none() {
                self.complain(start, "string", "invalid syntax");
            }
            return Some(value.unwrap_or_default());
        }
        if self.end() {
            self.complain(self.at, "string", "Unterminated string literal");
        }
        self.at = start;
        None
    }
}
