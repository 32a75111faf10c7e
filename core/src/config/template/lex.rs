//! From text to tokens: what is copied, and what stands between `{{` and `}}`.
//!
//! A token that cannot be read becomes one that says why: it is the reader of the tree who knows where that is
//! wrong, and Go's messages name the line of the last token that was looked at.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Where it begins, in bytes from the start of the template.
    pub(super) at: usize,
    pub(super) line: usize,
    /// As written.
    pub(super) text: &'a str,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Open,
    Close,
    OpenParen,
    CloseParen,
    Pipe,
    Assign,
    Declare,
    Space,
    /// Any other printable character.
    Char,
    CharConstant,
    Number,
    Complex,
    Quoted,
    Raw,
    Bool,
    Dot,
    Field,
    Identifier,
    Variable,
    Keyword,
    Error(String),
    End,
}

/// Words that begin something other than a pipeline.
const KEYWORDS: &[&str] =
    &["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

impl Token<'_> {
    pub(super) fn is_keyword(&self, word: &str) -> bool {
        self.kind == Kind::Keyword && self.text == word
    }

    /// As messages name it.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::End => "EOF".into(),
            Kind::Error(why) => why.clone(),
            Kind::Keyword | Kind::Dot => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                format!("{}...", crate::strconv::quote(start.as_bytes()))
            }
            _ => crate::strconv::quote(self.text.as_bytes()),
        }
    }
}

/// All tokens; the last one is the end.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, start: 0, line: 1, parens: 0, tokens: Vec::new() };
    if let Err(why) = lexer.all() {
        lexer.push(Kind::Error(why));
    }
    lexer.at = text.len();
    lexer.push(Kind::End);
    lexer.tokens
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the token that is being read begins.
    start: usize,
    /// The line of `start`.
    line: usize,
    parens: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn push(&mut self, kind: Kind) {
        let text = &self.text[self.start..self.at];
        self.tokens.push(Token { kind, at: self.start, line: self.line, text });
        self.skip();
    }

    /// What was read is no part of any token.
    fn skip(&mut self) {
        self.line += self.text[self.start..self.at].matches('\n').count();
        self.start = self.at;
    }

    /// Reads on while `fits`.
    fn run(&mut self, fits: impl Fn(char) -> bool) {
        self.at += self.rest().len() - self.rest().trim_start_matches(fits).len();
    }

    fn accept(&mut self, any: &str) -> bool {
        let found = self.peek().is_some_and(|c| any.contains(c));
        self.at += usize::from(found);
        found
    }

    /// At `}}`, or at ` -}}`, which also trims.
    fn at_close(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(is_space) && rest[1..].starts_with("-}}") {
            return Some(true);
        }
        rest.starts_with("}}").then_some(false)
    }

    fn all(&mut self) -> Result<(), String> {
        while let Some(open) = self.rest().find("{{") {
            let inside = self.at + open + 2;
            let marker =
                self.text[inside..].starts_with('-') && self.text[inside + 1..].starts_with(is_space);
            let literal = &self.rest()[..open];
            self.at += if marker { literal.trim_end_matches(is_space).len() } else { open };
            if self.at > self.start {
                self.push(Kind::Text);
            }
            self.at = inside - 2;
            self.skip();
            self.at = inside;
            let inside = inside + if marker { 2 } else { 0 };
            if self.text[inside..].starts_with("/*") {
                self.at = inside;
                self.skip();
                self.comment()?;
            } else {
                self.push(Kind::Open);
                self.at = inside;
                self.skip();
                self.parens = 0;
                self.action()?;
            }
        }
        self.at = self.text.len();
        if self.at > self.start {
            self.push(Kind::Text);
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(end) = self.rest()[2..].find("*/") else { return Err("unclosed comment".into()) };
        self.at += 2 + end + 2;
        let Some(trim) = self.at_close() else {
            return Err("comment ends before closing delimiter".into());
        };
        self.closed(trim);
        Ok(())
    }

    /// Behind `}}`, and behind the spaces that it trims.
    fn closed(&mut self, trim: bool) {
        self.at += if trim { 4 } else { 2 };
        if trim {
            self.run(is_space);
        }
        self.skip();
    }

    /// All tokens up to `}}`.
    fn action(&mut self) -> Result<(), String> {
        loop {
            if let Some(trim) = self.at_close() {
                if self.parens > 0 {
                    return Err("unclosed left paren".into());
                }
                if trim {
                    self.at += 2;
                    self.skip();
                }
                self.at += 2;
                self.push(Kind::Close);
                if trim {
                    self.run(is_space);
                    self.skip();
                }
                return Ok(());
            }
            let kind = self.token()?;
            self.push(kind);
        }
    }

    fn token(&mut self) -> Result<Kind, String> {
        let Some(c) = self.next() else { return Err("unclosed action".into()) };
        Ok(match c {
            c if is_space(c) => {
                self.run(is_space);
                // The last space may belong to the marker that trims.
                if self.rest().starts_with("-}}") && self.at - 1 > self.start {
                    self.at -= 1;
                }
                Kind::Space
            }
            '=' => Kind::Assign,
            ':' if self.next() == Some('=') => Kind::Declare,
            ':' => return Err("expected :=".into()),
            '|' => Kind::Pipe,
            '"' => self.quoted('"', "unterminated quoted string").map(|()| Kind::Quoted)?,
            '\'' => self.quoted('\'', "unterminated character constant").map(|()| Kind::CharConstant)?,
            '`' => match self.rest().find('`') {
                None => return Err("unterminated raw quoted string".into()),
                Some(end) => {
                    self.at += end + 1;
                    Kind::Raw
                }
            },
            '$' => self.name(Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => match self.name(Kind::Field)? {
                Kind::Field if self.at - self.start == 1 => Kind::Dot,
                kind => kind,
            },
            '.' | '+' | '-' | '0'..='9' => {
                self.at -= 1;
                self.number()?
            }
            '(' => {
                self.parens += 1;
                Kind::OpenParen
            }
            ')' if self.parens == 0 => return Err("unexpected right paren".into()),
            ')' => {
                self.parens -= 1;
                Kind::CloseParen
            }
            c if is_word(c) => match self.name(Kind::Identifier)? {
                Kind::Identifier => match &self.text[self.start..self.at] {
                    "true" | "false" => Kind::Bool,
                    word if KEYWORDS.contains(&word) => Kind::Keyword,
                    _ => Kind::Identifier,
                },
                kind => kind,
            },
            ' '..='~' => Kind::Char,
            c => return Err(format!("unrecognized character in action: {}", unicode(c))),
        })
    }

    /// The rest of a word, and nothing that may not follow one.
    fn name(&mut self, kind: Kind) -> Result<Kind, String> {
        self.run(is_word);
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => Ok(kind),
            Some(_) if self.rest().starts_with("}}") => Ok(kind),
            Some(c) => Err(format!("bad character {}", unicode(c))),
        }
    }

    fn quoted(&mut self, quote: char, open: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => self.next(),
                None | Some('\\' | '\n') => return Err(open.to_owned()),
                Some(c) if c == quote => return Ok(()),
                next => next,
            };
        }
    }

    fn number(&mut self) -> Result<Kind, String> {
        let whole = self.part();
        let signed = matches!(self.peek(), Some('+' | '-'));
        if whole && !signed {
            return Ok(Kind::Number);
        }
        if whole && self.part() && self.text[..self.at].ends_with('i') {
            return Ok(Kind::Complex);
        }
        let read = &self.text[self.start..self.at];
        Err(format!("bad number syntax: {}", crate::strconv::quote(read.as_bytes())))
    }

    /// One number; whether no word follows.
    fn part(&mut self) -> bool {
        self.accept("+-");
        let radix = match self.accept("0") {
            true if self.accept("xX") => 16,
            true if self.accept("oO") => 8,
            true if self.accept("bB") => 2,
            _ => 10,
        };
        let digit = move |c: char| c == '_' || c.is_digit(radix);
        self.run(digit);
        if self.accept(".") {
            self.run(digit);
        }
        let exponent = match radix {
            10 => "eE",
            16 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.run(|c| c == '_' || c.is_ascii_digit());
        }
        self.accept("i");
        let ends = !self.peek().is_some_and(is_word);
        if !ends {
            self.next();
        }
        ends
    }
}

/// `%#U`.
fn unicode(c: char) -> String {
    let code = u32::from(c);
    if c.is_control() { format!("U+{code:04X}") } else { format!("U+{code:04X} '{c}'") }
}
