//! A template taken apart: what there is to do, piece by piece, and how messages name a piece.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One piece.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Text(&'a str),
    Action(Pipeline<'a>),
    If(Branches<'a>),
    With(Branches<'a>),
    Range(Branches<'a>),
    Break,
    Continue,
}

/// A condition or a list, what to do with it, and what to do without.
#[derive(Debug)]
pub(super) struct Branches<'a> {
    pub(super) pipeline: Pipeline<'a>,
    pub(super) then: Vec<Node<'a>>,
    pub(super) otherwise: Vec<Node<'a>>,
}

/// Commands, each of which gets what the one before gave.
#[derive(Debug)]
pub(super) struct Pipeline<'a> {
    /// Where it begins, in bytes from the start of the template.
    pub(super) at: usize,
    /// It changes variables rather than to declare them.
    pub(super) assigns: bool,
    /// The variables that take its value, with their `$`.
    pub(super) variables: Vec<&'a str>,
    pub(super) commands: Vec<Command<'a>>,
}

/// A function with its arguments, or a single value.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) at: usize,
    /// One at least.
    pub(super) words: Vec<Word<'a>>,
}

/// A word of a command.
#[derive(Debug)]
pub(super) struct Word<'a> {
    pub(super) at: usize,
    pub(super) kind: WordKind<'a>,
}

/// What a word is.
#[derive(Debug)]
pub(super) enum WordKind<'a> {
    Function(&'a str),
    /// As written, and what it stands for.
    Text(&'a str, String),
    Number(&'a str, Number),
    Bool(bool),
    Nil,
    Dot,
    /// `.Name.Name`.
    Field(Vec<&'a str>),
    /// `$name.Name`.
    Variable(&'a str, Vec<&'a str>),
    Group(Pipeline<'a>),
    /// `(group).Name`, `function.Name`.
    Chain(Box<Word<'a>>, Vec<&'a str>),
}

/// A number, in every type that can hold it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number {
    pub(super) int: Option<i64>,
    pub(super) uint: Option<u64>,
    pub(super) float: Option<f64>,
}

fn fields(f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            WordKind::Function(name) => f.write_str(name),
            WordKind::Text(written, _) | WordKind::Number(written, _) => f.write_str(written),
            WordKind::Bool(yes) => write!(f, "{yes}"),
            WordKind::Nil => f.write_str("nil"),
            WordKind::Dot => f.write_str("."),
            WordKind::Field(names) => fields(f, names),
            WordKind::Variable(name, names) => {
                f.write_str(name)?;
                fields(f, names)
            }
            WordKind::Group(pipeline) => write!(f, "{pipeline}"),
            WordKind::Chain(word, names) => {
                match word.kind {
                    WordKind::Group(_) => write!(f, "({word})")?,
                    _ => write!(f, "{word}")?,
                }
                fields(f, names)
            }
        }
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.words.iter().enumerate() {
            f.write_str(if n > 0 { " " } else { "" })?;
            match word.kind {
                WordKind::Group(_) => write!(f, "({word})")?,
                _ => write!(f, "{word}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pipeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            f.write_str(&self.variables.join(", "))?;
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (n, command) in self.commands.iter().enumerate() {
            f.write_str(if n > 0 { " | " } else { "" })?;
            write!(f, "{command}")?;
        }
        Ok(())
    }
}
