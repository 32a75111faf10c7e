//! From text to pieces: what is copied, and the pipelines between `{{` and `}}`.

use super::Wrong;
use super::eval::is_function;
use crate::strconv;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Action(Vec<Command<'a>>),
}

/// One stage of a pipeline: a function with its arguments, or a single value.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) words: Vec<Word<'a>>,
}

/// A word of a command.
#[derive(Debug)]
pub(super) struct Word<'a> {
    /// Where it begins, in bytes from the start of the template.
    pub(super) at: usize,
    /// As written.
    pub(super) shown: &'a str,
    pub(super) kind: WordKind<'a>,
}

#[derive(Debug)]
pub(super) enum WordKind<'a> {
    Function(&'a str),
    Text(String),
    /// A number, which each function reads in its own way.
    Number,
    Bool(bool),
    /// All interfaces.
    Dot,
    /// `.Name`.
    Field(&'a str),
    Group(Vec<Command<'a>>),
}

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 32;

/// Words of Go's templates that begin something other than a pipeline.
const KEYWORDS: &[&str] =
    &["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

/// Takes a template apart.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Wrong> {
    let mut pieces = Vec::new();
    let (mut at, mut trim) = (0, false);
    while let Some(open) = text[at..].find("{{").map(|n| at + n) {
        let mut literal = &text[at..open];
        if trim {
            literal = literal.trim_start_matches(is_space);
        }
        let mut inside = open + 2;
        if text[inside..].starts_with('-') && text[inside + 1..].starts_with(is_space) {
            literal = literal.trim_end_matches(is_space);
            inside += 2;
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        let mut reader = Reader { text, at: inside, depth: 0 };
        if text[inside..].starts_with("/*") {
            reader.comment()?;
        } else {
            pieces.push(Piece::Action(reader.pipeline()?));
        }
        trim = reader.close()?;
        at = reader.at;
    }
    let rest = if trim { text[at..].trim_start_matches(is_space) } else { &text[at..] };
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, what: impl core::fmt::Display) -> Wrong {
        Wrong::parse(self.text[..self.at].matches('\n').count() + 1, what)
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
    }

    fn at_close(&self) -> bool {
        let rest = self.rest();
        rest.starts_with("}}") || rest.starts_with("-}}") && self.text[..self.at].ends_with(is_space)
    }

    /// Behind `}}`; whether the text that follows is trimmed.
    fn close(&mut self) -> Result<bool, Wrong> {
        let trim = self.rest().starts_with('-');
        self.at += usize::from(trim) + 2;
        Ok(trim)
    }

    fn comment(&mut self) -> Result<(), Wrong> {
        let Some(end) = self.rest().find("*/") else { return Err(self.wrong("unclosed comment")) };
        self.at += end + 2;
        self.spaces();
        match self.at_close() {
            true => Ok(()),
            false => Err(self.wrong("comment ends before closing delimiter")),
        }
    }

    /// The stages up to `}}` or the parenthesis that closes.
    fn pipeline(&mut self) -> Result<Vec<Command<'a>>, Wrong> {
        let mut commands: Vec<Command<'a>> = Vec::new();
        loop {
            self.spaces();
            let ends = self.at_close() || self.depth > 0 && self.rest().starts_with(')');
            if ends && commands.is_empty() {
                return Err(self.wrong("missing value for command"));
            }
            if ends {
                return Ok(commands);
            }
            if self.rest().starts_with('|') {
                return Err(self.wrong("unexpected \"|\" in command"));
            }
            let command = self.command()?;
            let constant = !matches!(
                command.words.first().map(|word| &word.kind),
                Some(WordKind::Function(_) | WordKind::Group(_) | WordKind::Field(_))
            );
            commands.push(command);
            if commands.len() > 1 && constant {
                let stage = commands.len();
                return Err(self.wrong(format!("non executable command in pipeline stage {stage}")));
            }
        }
    }

    fn command(&mut self) -> Result<Command<'a>, Wrong> {
        let mut words = Vec::new();
        loop {
            self.spaces();
            match self.rest().chars().next() {
                None if self.depth > 0 => return Err(self.wrong("unclosed left paren")),
                None => return Err(self.wrong("unclosed action")),
                _ if self.at_close() && self.depth > 0 => return Err(self.wrong("unclosed left paren")),
                _ if self.at_close() => break,
                Some('|') => {
                    self.at += 1;
                    break;
                }
                Some(')') if self.depth > 0 => break,
                Some(')') => return Err(self.wrong("unexpected right paren")),
                Some(_) => words.push(self.word()?),
            }
        }
        Ok(Command { words })
    }

    fn word(&mut self) -> Result<Word<'a>, Wrong> {
        let (start, rest) = (self.at, self.rest());
        let first = rest.chars().next().unwrap_or(' ');
        let kind = match first {
            '"' | '`' => self.quoted(first)?,
            '(' if self.depth == MAX_DEPTH => return Err(self.wrong("parentheses nest too deeply")),
            '(' => {
                self.at += 1;
                self.depth += 1;
                let commands = self.pipeline()?;
                self.depth -= 1;
                self.at += 1;
                WordKind::Group(commands)
            }
            '.' => {
                let name = self.name(1);
                if name.is_empty() { WordKind::Dot } else { WordKind::Field(name) }
            }
            '$' => {
                let name = self.name(1);
                return Err(self.wrong(format!("undefined variable \"${name}\"")));
            }
            '+' | '-' | '0'..='9' => self.number()?,
            c if c.is_alphanumeric() || c == '_' => match self.name(0) {
                "true" => WordKind::Bool(true),
                "false" => WordKind::Bool(false),
                word if KEYWORDS.contains(&word) => {
                    return Err(self.wrong(format!("{{{{{word}}}}} is not supported in addresses")));
                }
                word if is_function(word) => WordKind::Function(word),
                word => return Err(self.wrong(format!("function \"{word}\" not defined"))),
            },
            c if c.is_ascii_graphic() => return Err(self.wrong(format!("unexpected \"{c}\" in operand"))),
            c => {
                let code = u32::from(c);
                return Err(self.wrong(format!("unrecognized character in action: U+{code:04X} '{c}'")));
            }
        };
        let next = self.rest().chars().next();
        if let Some(c) = next.filter(|c| !is_space(*c) && !matches!(c, '|' | ')') && !self.closes_here()) {
            return Err(self.wrong(format!("unexpected \"{c}\" in operand")));
        }
        Ok(Word { at: start, shown: &self.text[start..self.at], kind })
    }

    fn closes_here(&self) -> bool {
        self.rest().starts_with("}}")
    }

    /// A name that begins `skip` bytes on; goes behind it.
    fn name(&mut self, skip: usize) -> &'a str {
        let rest = &self.rest()[skip..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += skip + end;
        &rest[..end]
    }

    fn number(&mut self) -> Result<WordKind<'a>, Wrong> {
        let rest = self.rest();
        let ends = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.' | '_');
        let number = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += number.len();
        match number.parse::<f64>().is_ok() || strconv::int(number.as_bytes(), 64, true).is_ok() {
            true => Ok(WordKind::Number),
            false => Err(self.wrong(format!("bad number syntax: {}", strconv::quote(number.as_bytes())))),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<WordKind<'a>, Wrong> {
        let rest = self.rest();
        let mut escaped = true;
        for (n, c) in rest.char_indices() {
            match c {
                _ if n == 0 => escaped = false,
                _ if escaped => escaped = false,
                '\\' if quote == '"' => escaped = true,
                '\n' if quote == '"' => break,
                c if c == quote => {
                    let literal = &rest[..=n];
                    self.at += literal.len();
                    let text = strconv::unquote(literal).and_then(|bytes| String::from_utf8(bytes).ok());
                    return text.map(WordKind::Text).ok_or_else(|| self.wrong("invalid syntax"));
                }
                _ => {}
            }
        }
        let what = if quote == '"' { "unterminated quoted string" } else { "unterminated raw quoted string" };
        Err(self.wrong(what))
    }
}
