//! From tokens to a tree, refusing what Go refuses, in its words.

use super::Wrong;
use super::eval::is_function;
use super::lex::{Kind, Token, tokens};
use super::tree::{Branches, Command, Node, Number, Pipeline, Word, WordKind};
use crate::strconv::{int, quote, unquote};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// How deep parentheses and blocks may nest.
const MAX_DEPTH: usize = 64;

/// Takes a template apart.
pub(super) fn tree(text: &str) -> Result<Vec<Node<'_>>, Wrong> {
    let tokens = tokens(text);
    let mut parser =
        Parser { tokens, next: 0, seen: 0, variables: vec!["$"], depth: 0, ranges: 0, action_line: None };
    let (nodes, end) = parser.list(true)?;
    match end {
        Last::Text => Ok(nodes),
        Last::End => Err(parser.wrong("unexpected {{end}}")),
        Last::Else => Err(parser.wrong("unexpected {{else}}")),
    }
}

/// What ends a list of nodes.
enum Last {
    Text,
    End,
    Else,
}

enum Piece<'a> {
    Node(Node<'a>),
    End,
    Else,
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    /// The last token that was looked at: errors are on its line.
    seen: usize,
    /// Variables that may be used here.
    variables: Vec<&'a str>,
    depth: usize,
    ranges: usize,
    action_line: Option<usize>,
}

impl<'a> Parser<'a> {
    fn wrong(&self, what: impl core::fmt::Display) -> Wrong {
        Wrong::parse(self.tokens[self.seen].line, what)
    }

    fn peek(&mut self) -> Token<'a> {
        let at = self.next.min(self.tokens.len() - 1);
        self.seen = self.seen.max(at);
        self.tokens[at].clone()
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn peek_word(&mut self) -> Token<'a> {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take_word(&mut self) -> Token<'a> {
        let token = self.peek_word();
        self.next += 1;
        token
    }

    fn unexpected(&self, token: &Token<'_>, context: &str) -> Wrong {
        if token.kind == Kind::End && context == "list" {
            return self.wrong("unexpected EOF");
        }
        let Kind::Error(why) = &token.kind else {
            return self.wrong(format!("unexpected {} in {context}", token.shown()));
        };
        let mut extra = String::new();
        if let Some(line) = self.action_line.filter(|line| *line != token.line) {
            let action = if why.ends_with(" action") { "" } else { " in action" };
            extra = format!("{action} started at sockaddr.Parse:{line}");
        }
        self.wrong(format!("{why}{extra}"))
    }

    fn close(&mut self, context: &str) -> Result<(), Wrong> {
        let token = self.take_word();
        if token.kind == Kind::Close { Ok(()) } else { Err(self.unexpected(&token, context)) }
    }

    /// Nodes up to `{{end}}`, `{{else}}`, or the end of the text where that may come.
    fn list(&mut self, whole: bool) -> Result<(Vec<Node<'a>>, Last), Wrong> {
        let mut nodes = Vec::new();
        loop {
            let token = self.peek_word();
            if token.kind == Kind::End {
                return if whole { Ok((nodes, Last::Text)) } else { Err(self.unexpected(&token, "list")) };
            }
            match self.piece()? {
                Piece::Node(node) => nodes.push(node),
                Piece::End => return Ok((nodes, Last::End)),
                Piece::Else => return Ok((nodes, Last::Else)),
            }
        }
    }

    fn piece(&mut self) -> Result<Piece<'a>, Wrong> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Piece::Node(Node::Text(token.text))),
            Kind::Open => {
                self.action_line = Some(token.line);
                let piece = self.action();
                self.action_line = None;
                piece
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Piece<'a>, Wrong> {
        let token = self.peek_word();
        if token.kind != Kind::Keyword || token.text == "nil" {
            return Ok(Piece::Node(Node::Action(self.pipeline("command", &Kind::Close)?)));
        }
        self.next += 1;
        Ok(match token.text {
            "if" => Piece::Node(Node::If(self.control("if")?)),
            "with" => Piece::Node(Node::With(self.control("with")?)),
            "range" => Piece::Node(Node::Range(self.control("range")?)),
            "break" => Piece::Node(self.jump("break", Node::Break)?),
            "continue" => Piece::Node(self.jump("continue", Node::Continue)?),
            "end" => {
                self.close("end")?;
                Piece::End
            }
            "else" => {
                let next = self.peek_word();
                if !next.is_keyword("if") && !next.is_keyword("with") {
                    self.close("else")?;
                }
                Piece::Else
            }
            word => return Err(self.wrong(format!("{{{{{word}}}}} is not supported in addresses"))),
        })
    }

    fn jump(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, Wrong> {
        self.close(&format!("{{{{{word}}}}}"))?;
        match self.ranges {
            0 => Err(self.wrong(format!("{{{{{word}}}}} outside {{{{range}}}}"))),
            _ => Ok(node),
        }
    }

    fn deeper(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.wrong("max expression depth exceeded")) } else { Ok(()) }
    }

    fn control(&mut self, word: &str) -> Result<Branches<'a>, Wrong> {
        self.deeper()?;
        let variables = self.variables.len();
        let pipeline = self.pipeline(word, &Kind::Close)?;
        let range = usize::from(word == "range");
        self.ranges += range;
        let (then, end) = self.list(false)?;
        self.ranges -= range;
        let mut otherwise = Vec::new();
        if let Last::Else = end {
            let next = self.peek();
            if word != "range" && next.is_keyword(word) {
                self.next += 1;
                let branches = self.control(word)?;
                otherwise.push(if word == "if" { Node::If(branches) } else { Node::With(branches) });
            } else {
                let (nodes, end) = self.list(false)?;
                if let Last::Else = end {
                    return Err(self.wrong("expected end; found {{else}}"));
                }
                otherwise = nodes;
            }
        }
        self.variables.truncate(variables);
        self.depth -= 1;
        Ok(Branches { pipeline, then, otherwise })
    }

    /// The commands up to `end`, and the variables that they set.
    fn pipeline(&mut self, context: &str, end: &Kind) -> Result<Pipeline<'a>, Wrong> {
        let at = self.peek_word().at;
        let mut pipeline = Pipeline { at, assigns: false, variables: Vec::new(), commands: Vec::new() };
        while self.peek_word().kind == Kind::Variable {
            let before = self.next;
            let name = self.take().text;
            let next = self.peek_word();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.next += 1;
                    pipeline.assigns = next.kind == Kind::Assign;
                    pipeline.variables.push(name);
                    self.variables.push(name);
                    break;
                }
                Kind::Char if next.text == "," => {
                    self.next += 1;
                    pipeline.variables.push(name);
                    self.variables.push(name);
                    if context != "range" || pipeline.variables.len() > 1 {
                        return Err(self.wrong(format!("too many declarations in {context}")));
                    }
                    match self.peek_word().kind {
                        Kind::Variable | Kind::Close | Kind::CloseParen => {}
                        _ => return Err(self.wrong("range can only initialize variables")),
                    }
                }
                _ => {
                    self.next = before;
                    break;
                }
            }
        }
        loop {
            let token = self.peek_word();
            match token.kind {
                _ if token.kind == *end => {
                    self.next += 1;
                    return self.checked(pipeline, context);
                }
                _ if begins(&token) => {
                    let command = self.command()?;
                    pipeline.commands.push(command);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
    }

    fn checked(&self, pipeline: Pipeline<'a>, context: &str) -> Result<Pipeline<'a>, Wrong> {
        if pipeline.commands.is_empty() {
            return Err(self.wrong(format!("missing value for {context}")));
        }
        let constant = pipeline.commands.iter().skip(1).position(|command| {
            use WordKind::{Bool, Dot, Nil, Number, Text};
            matches!(command.words[0].kind, Bool(_) | Dot | Nil | Number(..) | Text(..))
        });
        match constant {
            Some(n) => Err(self.wrong(format!("non executable command in pipeline stage {}", n + 2))),
            None => Ok(pipeline),
        }
    }

    fn command(&mut self) -> Result<Command<'a>, Wrong> {
        let at = self.peek_word().at;
        let mut words = Vec::new();
        loop {
            self.peek_word();
            words.extend(self.operand()?);
            let token = self.take();
            match token.kind {
                Kind::Space => continue,
                Kind::Close | Kind::CloseParen => self.next -= 1,
                Kind::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            if words.is_empty() {
                return Err(self.wrong("empty command"));
            }
            return Ok(Command { at, words });
        }
    }

    /// A word with the fields that follow it.
    fn operand(&mut self) -> Result<Option<Word<'a>>, Wrong> {
        let Some(word) = self.term()? else { return Ok(None) };
        let at = self.peek().at;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(&self.take().text[1..]);
        }
        if names.is_empty() {
            return Ok(Some(word));
        }
        let kind = match word.kind {
            WordKind::Field(first) => WordKind::Field([first, names].concat()),
            WordKind::Variable(name, first) => WordKind::Variable(name, [first, names].concat()),
            WordKind::Function(_) | WordKind::Group(_) | WordKind::Chain(..) => {
                WordKind::Chain(Box::new(word), names)
            }
            _ => {
                let term = quote(word.to_string().as_bytes());
                return Err(self.wrong(format!("unexpected . after term {term}")));
            }
        };
        Ok(Some(Word { at, kind }))
    }

    fn term(&mut self) -> Result<Option<Word<'a>>, Wrong> {
        let token = self.peek_word();
        if !begins(&token) {
            return Ok(None);
        }
        self.next += 1;
        let kind = match token.kind {
            Kind::Identifier if is_function(token.text) => WordKind::Function(token.text),
            Kind::Identifier => {
                return Err(self.wrong(format!("function \"{}\" not defined", token.text)));
            }
            Kind::Dot => WordKind::Dot,
            Kind::Keyword => WordKind::Nil,
            Kind::Variable if self.variables.contains(&token.text) => {
                WordKind::Variable(token.text, Vec::new())
            }
            Kind::Variable => return Err(self.wrong(format!("undefined variable \"{}\"", token.text))),
            Kind::Field => WordKind::Field(vec![&token.text[1..]]),
            Kind::Bool => WordKind::Bool(token.text == "true"),
            Kind::OpenParen => {
                self.deeper()?;
                let pipeline = self.pipeline("parenthesized pipeline", &Kind::CloseParen)?;
                self.depth -= 1;
                WordKind::Group(pipeline)
            }
            Kind::Quoted | Kind::Raw => {
                let bytes = unquote(token.text).ok_or_else(|| self.wrong("invalid syntax"))?;
                WordKind::Text(token.text, String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => match number(&token) {
                Ok(number) => WordKind::Number(token.text, number),
                Err(why) => return Err(self.wrong(why)),
            },
        };
        Ok(Some(Word { at: token.at, kind }))
    }
}

/// Whether a word begins with this token.
fn begins(token: &Token<'_>) -> bool {
    use Kind::{
        Bool, CharConstant, Complex, Dot, Field, Identifier, Number, OpenParen, Quoted, Raw, Variable,
    };
    token.is_keyword("nil")
        || matches!(
            token.kind,
            Bool | CharConstant
                | Complex
                | Dot
                | Field
                | Identifier
                | Number
                | OpenParen
                | Quoted
                | Raw
                | Variable
        )
}

fn number(token: &Token<'_>) -> Result<Number, String> {
    let text = token.text;
    if token.kind == Kind::CharConstant {
        return character(text);
    }
    if token.kind == Kind::Complex || text.ends_with('i') {
        return Err(format!("complex numbers are not supported in addresses: {text}"));
    }
    let int = int(text.as_bytes(), 64, true).ok();
    let mut uint = int.and_then(|n| u64::try_from(n).ok()).filter(|_| !text.starts_with(['+', '-']));
    if int.is_none() {
        // What only an unsigned number holds.
        uint = text.replace('_', "").parse().ok().filter(|_| !text.starts_with(['+', '0']));
    } else if int == Some(0) {
        uint = Some(0);
    }
    if int.is_some() || uint.is_some() {
        let float = int.map(|n| n as f64).or(uint.map(|n| n as f64));
        return Ok(Number { int, uint, float });
    }
    let hexadecimal = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    let float: f64 = match text.parse() {
        Ok(float) if !hexadecimal && f64::is_finite(float) => float,
        _ => return Err(format!("illegal number syntax: {}", quote(text.as_bytes()))),
    };
    if !text.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quote(text.as_bytes())));
    }
    let exact = |n: i128| n as f64 == float;
    let whole = Some(float as i128).filter(|n| exact(*n));
    Ok(Number {
        int: whole.and_then(|n| i64::try_from(n).ok()),
        uint: whole.and_then(|n| u64::try_from(n).ok()),
        float: Some(float),
    })
}

/// `'a'`.
fn character(text: &str) -> Result<Number, String> {
    let inner = &text[1..text.len() - 1];
    let malformed = || format!("malformed character constant: {text}");
    let mut chars = inner.chars();
    let c = match (chars.next(), inner) {
        (None, _) => return Err("invalid syntax".into()),
        (_, "\\'") => '\'',
        (Some('\\'), _) => {
            let bytes = unquote(&format!("\"{inner}\"")).ok_or("invalid syntax")?;
            let mut read = core::str::from_utf8(&bytes).map_err(|_| malformed())?.chars();
            match (read.next(), read.next()) {
                (Some(c), None) => c,
                _ => return Err(malformed()),
            }
        }
        (Some(c), _) if chars.next().is_none() => c,
        _ => return Err(malformed()),
    };
    let code = u32::from(c);
    Ok(Number { int: Some(code.into()), uint: Some(code.into()), float: Some(code.into()) })
}
