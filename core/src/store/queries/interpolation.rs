//! Texts with `${…}` in them, as far as prepared queries need Consul's language for that (HIL): variables, `match(N)`,
//! quoted texts and numbers, in its words where something is wrong. It has no arithmetic and no conditions here.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;

/// How deep quoted texts and calls may nest.
const MAX_DEPTH: usize = 16;

/// A text, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text(Vec<Expr>);

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Literal(String),
    Number(String),
    Bool(bool),
    /// With its column.
    Variable(String, usize),
    Call(String, Vec<Expr>, usize),
    Quoted(Text),
    Negative(Box<Expr>, usize),
}

/// What `${…}` stands for.
pub(super) struct Scope<'a> {
    /// The name that was asked for.
    pub(super) full: &'a str,
    /// The template's own name.
    pub(super) prefix: &'a str,
    /// The segment of the agent that asks.
    pub(super) segment: &'a str,
    /// What the template's pattern took of the name.
    pub(super) groups: &'a [&'a str],
    /// How many bytes all texts together may still have, those of arguments among them.
    pub(super) left: Cell<usize>,
}

impl Scope<'_> {
    /// Takes so many bytes off what is left.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), String> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.ok_or("all texts together would be too long")?);
        Ok(())
    }

    fn variable(&self, name: &str) -> Option<&str> {
        Some(match name {
            "name.full" => self.full,
            "name.prefix" => self.prefix,
            "name.suffix" => self.full.strip_prefix(self.prefix).unwrap_or(self.full),
            "agent.segment" => self.segment,
            _ => return None,
        })
    }
}

impl Text {
    /// Takes a text apart.
    pub(super) fn parse(text: &str) -> Result<Text, String> {
        let mut parser = Parser { rest: text, column: 1, line: 1 };
        parser.sequence(false, 0)
    }

    /// Whether it reads the same under every name.
    pub(super) fn is_plain(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Expr::Literal(_)))
    }

    /// What it reads in a scope.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            let part = part.render(scope)?;
            scope.spend(part.len())?;
            out.push_str(&part);
        }
        Ok(out)
    }
}

impl Expr {
    fn render(&self, scope: &Scope<'_>) -> Result<String, String> {
        match self {
            Expr::Literal(text) | Expr::Number(text) => Ok(text.clone()),
            Expr::Bool(value) => Ok(value.to_string()),
            Expr::Quoted(text) => text.render(scope),
            Expr::Variable(name, column) => match scope.variable(name) {
                Some(value) => Ok(value.into()),
                None => Err(format!("1:{column}: unknown variable accessed: {name}")),
            },
            Expr::Negative(number, _) => Ok(format!("-{}", number.render(scope)?)),
            Expr::Call(name, arguments, column) => {
                let values = arguments.iter().map(|argument| argument.render(scope));
                let values = values.collect::<Result<Vec<String>, String>>()?;
                if name != "match" {
                    return Err(format!("1:{column}: unknown function called: {name}"));
                }
                let ([argument], [value]) = (&arguments[..], &values[..]) else {
                    let got = arguments.len();
                    return Err(format!("1:{column}: match: expected 1 arguments, got {got}"));
                };
                if let Expr::Bool(_) = argument {
                    return Err(format!(
                        "At column {column}, line 1: match: argument 1 should be type int, got type bool"
                    ));
                }
                // A fraction is dropped; what is no number is no group.
                let whole = value.split_once('.').map_or(&**value, |(whole, _)| whole);
                let group = whole.parse::<usize>().ok().and_then(|at| scope.groups.get(at));
                Ok(group.map_or_else(String::new, |group| (*group).into()))
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    column: usize,
    line: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        (self.line, self.column) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let here = self.rest.starts_with(text);
        if here {
            (0..text.chars().count()).for_each(|_| {
                self.next();
            });
        }
        here
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.next();
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let whole = self.rest;
        while self.peek().is_some_and(&belongs) {
            self.next();
        }
        &whole[..whole.len() - self.rest.len()]
    }

    fn expected<T>(&mut self, what: &str) -> Result<T, String> {
        let (line, column) = (self.line, self.column);
        let found = match self.peek() {
            None => "end of string".into(),
            Some(c) if is_name(c) => format!("\"{}\"", self.take(|c| is_name(c) || c == '.')),
            Some(c) if "(){}[],+-*/%=!<>&|?:\"".contains(c) => format!("\"{c}\""),
            Some(c) => format!("invalid sequence \"{c}\""),
        };
        Err(format!("parse error at {line}:{column}: expected {what} but found {found}"))
    }

    /// Literals and interpolations, to the end of all or of a quoted text.
    fn sequence(&mut self, quoted: bool, depth: usize) -> Result<Text, String> {
        let (mut parts, mut literal) = (Vec::new(), String::new());
        loop {
            if self.eat("$${") {
                literal.push_str("${");
            } else if self.rest.starts_with("${") {
                self.eat("${");
                if !literal.is_empty() {
                    parts.push(Expr::Literal(core::mem::take(&mut literal)));
                }
                parts.push(self.expression(depth + 1)?);
                self.blanks();
                if !self.eat("}") {
                    return self.expected("\"}\"");
                }
            } else if self.eat("$$") {
                literal.push('$');
            } else {
                let (line, column) = (self.line, self.column);
                match self.next() {
                    None if quoted => {
                        let text = "expected closing quote but found end of string";
                        return Err(format!("parse error at {line}:{column}: {text}"));
                    }
                    Some('"') if quoted => break,
                    None => break,
                    Some('\\') if quoted => match self.next() {
                        Some('n') => literal.push('\n'),
                        Some(c @ ('\\' | '"')) => literal.push(c),
                        _ => {
                            let text = "invalid backslash escape sequence";
                            return Err(format!("parse error at {line}:{column}: {text}"));
                        }
                    },
                    Some(c) => literal.push(c),
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Expr::Literal(literal));
        }
        Ok(Text(parts))
    }

    fn expression(&mut self, depth: usize) -> Result<Expr, String> {
        self.blanks();
        if depth > MAX_DEPTH {
            return Err(format!("parse error at {}:{}: too deep", self.line, self.column));
        }
        let column = self.column;
        match self.peek() {
            Some('"') => {
                self.next();
                Ok(Expr::Quoted(self.sequence(true, depth + 1)?))
            }
            Some('-') => {
                self.next();
                match self.expression(depth + 1)? {
                    number @ Expr::Number(_) => Ok(Expr::Negative(Box::new(number), column)),
                    _ => self.expected("number"),
                }
            }
            Some(c) if c.is_ascii_digit() => {
                Ok(Expr::Number(self.take(|c| c.is_ascii_digit() || c == '.').into()))
            }
            Some(c) if is_name(c) => {
                let name = String::from(self.take(|c| is_name(c) || matches!(c, '.' | '-' | '*')));
                match &*name {
                    "true" => return Ok(Expr::Bool(true)),
                    "false" => return Ok(Expr::Bool(false)),
                    _ => {}
                }
                self.blanks();
                match self.eat("(") {
                    true => Ok(Expr::Call(name, self.arguments(depth)?, column)),
                    false => Ok(Expr::Variable(name, column)),
                }
            }
            _ => self.expected("expression"),
        }
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<Expr>, String> {
        let mut arguments = Vec::new();
        self.blanks();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(depth + 1)?);
            self.blanks();
            if self.eat(")") {
                return Ok(arguments);
            }
            if !self.eat(",") {
                return self.expected("\")\"");
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
