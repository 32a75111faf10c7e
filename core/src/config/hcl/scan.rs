//! Text to tokens, with the positions and errors of HashiCorp's scanner.

use alloc::string::String;
use core::fmt;

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str("-"),
            line => write!(f, "{line}:{}", self.column),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Illegal,
    End,
    Comment,
    Ident,
    Number,
    Float,
    Bool,
    String,
    Heredoc,
    LeftBracket,
    LeftBrace,
    Comma,
    Period,
    RightBracket,
    RightBrace,
    Assign,
    Add,
    Sub,
}

impl Kind {
    /// As errors name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Illegal => "ILLEGAL",
            Kind::End => "EOF",
            Kind::Comment => "COMMENT",
            Kind::Ident => "IDENT",
            Kind::Number => "NUMBER",
            Kind::Float => "FLOAT",
            Kind::Bool => "BOOL",
            Kind::String => "STRING",
            Kind::Heredoc => "HEREDOC",
            Kind::LeftBracket => "LBRACK",
            Kind::LeftBrace => "LBRACE",
            Kind::Comma => "COMMA",
            Kind::Period => "PERIOD",
            Kind::RightBracket => "RBRACK",
            Kind::RightBrace => "RBRACE",
            Kind::Assign => "ASSIGN",
            Kind::Add => "ADD",
            Kind::Sub => "SUB",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) text: &'t str,
}

/// What `next` gives at the end of the text, and for a null character.
const END: char = '\0';

#[derive(Clone, Copy, Debug)]
struct Cursor {
    offset: usize,
    line: usize,
    column: usize,
}

pub(super) struct Scanner<'t> {
    text: &'t str,
    at: Cursor,
    /// Where the last character began, to step back once.
    before: Cursor,
    /// Bytes of the last character.
    last_len: usize,
    /// Columns of the line that ended last.
    line_len: usize,
    /// The last complaint: it outweighs whatever the parser makes of the tokens.
    pub(super) error: Option<(Place, &'static str)>,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let start = Cursor { offset: 0, line: 1, column: 0 };
        Scanner { text, at: start, before: start, last_len: 0, line_len: 0, error: None }
    }

    fn peek(&self) -> char {
        self.text[self.at.offset..].chars().next().unwrap_or(END)
    }

    fn next(&mut self) -> char {
        let Some(c) = self.text[self.at.offset..].chars().next() else {
            self.at.column += 1;
            self.last_len = 0;
            return END;
        };
        self.before = self.at;
        self.last_len = c.len_utf8();
        self.at.offset += self.last_len;
        self.at.column += 1;
        match c {
            '\n' => {
                self.at.line += 1;
                self.line_len = self.at.column;
                self.at.column = 0;
            }
            END => self.complain("unexpected null character (0x00)"),
            '\u{e123}' => {
                self.complain("unicode code point U+E123 reserved for internal use");
                return char::REPLACEMENT_CHARACTER;
            }
            _ => {}
        }
        c
    }

    /// Steps back over `c`, the character just read.
    fn unread(&mut self, c: char) {
        if c != END {
            self.at = self.before;
        }
    }

    fn place(&self) -> Place {
        match (self.at.column, self.line_len) {
            (0, 0) => Place { line: 1, column: 1 },
            // The last character was a line feed.
            (0, column) => Place { line: self.at.line - 1, column },
            (column, _) => Place { line: self.at.line, column },
        }
    }

    fn complain(&mut self, what: &'static str) {
        self.error = Some((self.place(), what));
    }

    pub(super) fn scan(&mut self) -> Token<'t> {
        let mut c = self.next();
        while matches!(c, ' ' | '\t' | '\n' | '\r') {
            c = self.next();
        }
        let start = self.at.offset - self.last_len;
        let place = self.place();
        let kind = self.token(c);
        let text = self.text.get(start..self.at.offset).unwrap_or("");
        let kind = if kind == Kind::Ident && matches!(text, "true" | "false") { Kind::Bool } else { kind };
        Token { kind, place, text }
    }

    fn token(&mut self, c: char) -> Kind {
        match c {
            c if is_letter(c) => {
                let mut c = self.next();
                while is_letter(c) || is_digit(c) || c == '-' || c == '.' {
                    c = self.next();
                }
                self.unread(c);
                Kind::Ident
            }
            '0'..='9' => self.number(c),
            END => Kind::End,
            '"' => {
                self.string();
                Kind::String
            }
            '#' | '/' => {
                self.comment(c);
                Kind::Comment
            }
            '.' if self.peek().is_ascii_digit() => {
                let c = self.peek();
                let c = self.digits(c);
                self.exponent(c);
                Kind::Float
            }
            '.' => Kind::Period,
            '<' => {
                self.heredoc();
                Kind::Heredoc
            }
            '[' => Kind::LeftBracket,
            ']' => Kind::RightBracket,
            '{' => Kind::LeftBrace,
            '}' => Kind::RightBrace,
            ',' => Kind::Comma,
            '=' => Kind::Assign,
            '+' => Kind::Add,
            '-' if self.peek().is_ascii_digit() => {
                let c = self.next();
                self.number(c)
            }
            '-' => Kind::Sub,
            _ => {
                self.complain("illegal char");
                Kind::Illegal
            }
        }
    }

    fn comment(&mut self, first: char) {
        if first == '#' || self.peek() != '*' {
            if first == '/' && self.peek() != '/' {
                return self.complain("expected '/' for comment");
            }
            let mut c = self.next();
            while c != '\n' && c != END {
                c = self.next();
            }
            return self.unread(c);
        }
        self.next();
        let mut c = self.next();
        loop {
            if c == END {
                return self.complain("comment not terminated");
            }
            let before = c;
            c = self.next();
            if before == '*' && c == '/' {
                return;
            }
        }
    }

    fn number(&mut self, first: char) -> Kind {
        if first == '0' {
            return self.zero();
        }
        self.digits(first);
        let c = self.next();
        self.fraction_or_end(c)
    }

    /// After the digits: `c` is what follows them.
    fn fraction_or_end(&mut self, c: char) -> Kind {
        match c {
            'e' | 'E' => {
                self.exponent(c);
                Kind::Float
            }
            '.' => {
                let c = self.peek();
                let c = self.digits(c);
                if matches!(c, 'e' | 'E') {
                    let c = self.next();
                    self.exponent(c);
                }
                Kind::Float
            }
            c => {
                self.unread(c);
                Kind::Number
            }
        }
    }

    /// A number that begins with 0: hexadecimal, octal, or a float.
    fn zero(&mut self) -> Kind {
        let mut c = self.next();
        if matches!(c, 'x' | 'X') {
            c = self.next();
            let found = c.is_ascii_hexdigit();
            while c.is_ascii_hexdigit() {
                c = self.next();
            }
            if !found {
                self.complain("illegal hexadecimal number");
            }
            self.unread(c);
            return Kind::Number;
        }
        let mut illegal_octal = false;
        while c.is_ascii_digit() {
            c = self.next();
            illegal_octal |= matches!(c, '8' | '9');
        }
        if !matches!(c, 'e' | 'E' | '.') && illegal_octal {
            self.complain("illegal octal number");
        }
        self.fraction_or_end(c)
    }

    /// Takes digits from `c` on; the character behind them comes back, unread.
    fn digits(&mut self, mut c: char) -> char {
        let scanned = c.is_ascii_digit();
        while c.is_ascii_digit() {
            c = self.next();
        }
        if scanned {
            self.unread(c);
        }
        c
    }

    fn exponent(&mut self, c: char) {
        if matches!(c, 'e' | 'E') {
            let mut c = self.next();
            if matches!(c, '-' | '+') {
                c = self.next();
            }
            self.digits(c);
        }
    }

    fn string(&mut self) {
        let mut braces = 0_usize;
        loop {
            let c = self.next();
            if c == END || (c == '\n' && braces == 0) {
                return self.complain("literal not terminated");
            }
            if c == '"' && braces == 0 {
                return;
            }
            // Inside `${ }` quotes do not count.
            if braces == 0 && c == '$' && self.peek() == '{' {
                braces = 1;
                self.next();
            } else if braces > 0 && c == '{' {
                braces += 1;
            }
            if braces > 0 && c == '}' {
                braces -= 1;
            }
            if c == '\\' {
                self.escape();
            }
        }
    }

    fn escape(&mut self) {
        match self.next() {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '"' => {}
            c @ '0'..='7' => self.code(c, 8, 3),
            kind @ ('x' | 'u' | 'U') => {
                let c = self.next();
                let count = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                self.code(c, 16, count);
            }
            _ => self.complain("illegal char escape"),
        }
    }

    fn code(&mut self, mut c: char, base: u32, count: usize) {
        let mut left = count;
        while left > 0 && c.is_digit(base) {
            c = self.next();
            if c == END {
                break;
            }
            left -= 1;
        }
        if left > 0 {
            self.complain("illegal char escape");
        }
        if left != count {
            self.unread(c);
        }
    }

    fn heredoc(&mut self) {
        if self.next() != '<' {
            return self.complain("heredoc expected second '<', didn't see it");
        }
        let start = self.at.offset;
        let mut c = self.next();
        if c == '-' {
            c = self.next();
        }
        while is_letter(c) || is_digit(c) {
            c = self.next();
        }
        if c == END {
            return self.complain("heredoc not terminated");
        }
        if c == '\r' && self.peek() == '\n' {
            c = self.next();
        }
        if c != '\n' {
            return self.complain("invalid characters in heredoc anchor");
        }
        let anchor = &self.text[start..self.at.offset - 1];
        if anchor.is_empty() || anchor == "-" {
            return self.complain("zero-length heredoc anchor");
        }
        let word = anchor.strip_prefix('-').unwrap_or(anchor);
        let mut line = self.at.offset;
        loop {
            let c = self.next();
            if c == END {
                return self.complain("heredoc not terminated");
            }
            if c == '\n' {
                let text = &self.text[line..self.at.offset - 1];
                // The length counts the dash too: an anchor of that kind must be indented.
                let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
                let ends = text.trim_start_matches(space).trim_end_matches('\r') == word;
                if text.len() >= anchor.len() && ends {
                    return;
                }
                line = self.at.offset;
            }
        }
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() && c.is_alphabetic()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || !c.is_ascii() && c.is_numeric()
}

/// The value of a heredoc token: without its first line and its anchor; with `<<-` also without the
/// indentation of the anchor, if every line has that.
pub(super) fn heredoc_value(text: &str) -> String {
    let Some(first) = text.find('\n') else { return String::new() };
    let cut = |less: usize| text.get(first + 1..text.len().saturating_sub(less)).unwrap_or("");
    if !text.starts_with("<<-") {
        return cut(first - 1).into();
    }
    let body = cut(first - 2);
    let indent = body.rsplit('\n').next().unwrap_or("");
    if !body.split('\n').all(|line| line.starts_with(indent)) {
        return cut(first - 1).trim_end_matches([' ', '\t']).into();
    }
    let mut out = String::new();
    let mut lines = body.split('\n').peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some() {
            out.push_str(&line[indent.len()..]);
            out.push('\n');
        }
    }
    out
}
