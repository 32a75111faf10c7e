//! Reading JSON text, with Go's syntax errors.

use super::value::{Error, Kind, Value};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The deepest nesting accepted, as by Go's decoder.
pub const MAX_DEPTH: usize = 10_000;
/// What is nested deeper is checked and not kept: nothing that is decoded lies so deep, and a tree that recursion walks
/// must fit a stack.
const MAX_KEPT: usize = 128;
/// The longest text accepted, in bytes. Callers set tighter limits on what they read.
pub const MAX_BYTES: usize = 64 << 20;

/// Reads the first value of a request body, as Go's `json.Decoder` does.
///
/// What follows the value is ignored; an empty body is [`Error::Eof`].
pub fn parse_body(body: &[u8]) -> Result<Value<'_>, Error> {
    let mut parser = Parser::new(body, true)?;
    match parser.document() {
        Err(Error::UnexpectedEnd) if parser.only_space() => Err(Error::Eof),
        Err(Error::UnexpectedEnd) => Err(Error::UnexpectedEof),
        other => other,
    }
}

/// Reads a whole document, as Go's `json.Unmarshal` does: nothing but space may follow the value.
pub fn parse(text: &[u8]) -> Result<Value<'_>, Error> {
    let mut parser = Parser::new(text, false)?;
    let value = parser.document()?;
    match parser.peek_past_space() {
        None => Ok(value),
        Some(byte) => Err(wrong(byte, "after top-level value")),
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    /// Whether the text is a stream that may just have been cut off.
    stream: bool,
}

fn wrong(byte: u8, context: &str) -> Error {
    Error::Syntax(format!("invalid character {} {context}", quote_char(byte)))
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8], stream: bool) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error::TooLarge);
        }
        Ok(Parser { text, at: 0, depth: 0, stream })
    }

    /// The end of the text inside a token: a document is refused as if a space stood there, as in Go.
    fn cut(&self, context: &str) -> Error {
        if self.stream { Error::UnexpectedEnd } else { wrong(b' ', context) }
    }

    fn only_space(&self) -> bool {
        self.text.iter().all(|b| is_space(*b))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn peek_past_space(&mut self) -> Option<u8> {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        self.peek()
    }

    fn next_past_space(&mut self) -> Result<u8, Error> {
        let byte = self.peek_past_space().ok_or(Error::UnexpectedEnd)?;
        self.at += 1;
        Ok(byte)
    }

    fn document(&mut self) -> Result<Value<'a>, Error> {
        let byte = self.next_past_space()?;
        self.value(byte)
    }

    /// The value that starts with `byte`, which has been read.
    fn value(&mut self, byte: u8) -> Result<Value<'a>, Error> {
        let start = self.at - 1;
        let kind = match byte {
            b'{' => self.nested(byte, Self::object)?,
            b'[' => self.nested(byte, Self::array)?,
            b'"' => Kind::String(self.string()?),
            b'-' | b'0'..=b'9' => self.number(byte)?,
            b't' => self.literal("true", Kind::Bool(true))?,
            b'f' => self.literal("false", Kind::Bool(false))?,
            b'n' => self.literal("null", Kind::Null)?,
            _ => return Err(wrong(byte, "looking for beginning of value")),
        };
        // `MAX_BYTES` is below `u32::MAX`.
        Ok(Value { at: start as u32, kind })
    }

    fn nested(
        &mut self,
        byte: u8,
        content: fn(&mut Self) -> Result<Kind<'a>, Error>,
    ) -> Result<Kind<'a>, Error> {
        if self.depth == MAX_KEPT {
            return self.pass_over(byte);
        }
        self.depth += 1;
        let kind = content(self);
        self.depth -= 1;
        kind
    }

    /// Reads past an array or object that lies too deep to be kept, and gives an empty one.
    fn pass_over(&mut self, first: u8) -> Result<Kind<'a>, Error> {
        // The brackets that are open, this one first.
        let mut open = Vec::new();
        let mut byte = first;
        'value: loop {
            if matches!(byte, b'{' | b'[') {
                if self.depth + open.len() == MAX_DEPTH {
                    return Err(wrong(byte, "exceeded max depth"));
                }
                open.push(byte);
                byte = self.next_past_space()?;
                match (open.last(), byte) {
                    (Some(b'['), b']') | (Some(b'{'), b'}') => {
                        open.pop();
                    }
                    (Some(b'['), _) => continue,
                    _ => {
                        byte = self.key(byte)?.1;
                        continue;
                    }
                }
            } else {
                self.value(byte)?;
            }
            while let Some(bracket) = open.last() {
                match (bracket, self.next_past_space()?) {
                    (b'[', b',') => {
                        byte = self.next_past_space()?;
                        continue 'value;
                    }
                    (_, b',') => {
                        byte = self.next_past_space()?;
                        byte = self.key(byte)?.1;
                        continue 'value;
                    }
                    (b'[', b']') | (b'{', b'}') => {
                        open.pop();
                    }
                    (b'[', other) => return Err(wrong(other, "after array element")),
                    (_, other) => return Err(wrong(other, "after object key:value pair")),
                }
            }
            return Ok(if first == b'[' { Kind::Array(Vec::new()) } else { Kind::Object(Vec::new()) });
        }
    }

    /// A key that starts with `byte`, and the first byte of its value.
    fn key(&mut self, byte: u8) -> Result<(Cow<'a, str>, u8), Error> {
        if byte != b'"' {
            return Err(wrong(byte, "looking for beginning of object key string"));
        }
        let key = self.string()?;
        match self.next_past_space()? {
            b':' => Ok((key, self.next_past_space()?)),
            other => Err(wrong(other, "after object key")),
        }
    }

    fn object(&mut self) -> Result<Kind<'a>, Error> {
        let mut entries = Vec::new();
        let mut byte = self.next_past_space()?;
        if byte == b'}' {
            return Ok(Kind::Object(entries));
        }
        loop {
            let (key, first) = self.key(byte)?;
            let value = self.value(first)?;
            entries.push((key, value));
            match self.next_past_space()? {
                b',' => byte = self.next_past_space()?,
                b'}' => return Ok(Kind::Object(entries)),
                other => return Err(wrong(other, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Result<Kind<'a>, Error> {
        let mut items = Vec::new();
        let mut byte = self.next_past_space()?;
        if byte == b']' {
            return Ok(Kind::Array(items));
        }
        loop {
            items.push(self.value(byte)?);
            match self.next_past_space()? {
                b',' => byte = self.next_past_space()?,
                b']' => return Ok(Kind::Array(items)),
                other => return Err(wrong(other, "after array element")),
            }
        }
    }

    fn literal(&mut self, word: &str, kind: Kind<'a>) -> Result<Kind<'a>, Error> {
        for expected in word.bytes().skip(1) {
            let byte = self.peek();
            if byte != Some(expected) {
                let context = format!("in literal {word} (expecting '{}')", expected as char);
                return Err(byte.map_or_else(|| self.cut(&context), |byte| wrong(byte, &context)));
            }
            self.at += 1;
        }
        Ok(kind)
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn need_digit(&mut self, context: &str) -> Result<(), Error> {
        match self.peek() {
            None => Err(self.cut(context)),
            Some(byte) if byte.is_ascii_digit() => Ok(()),
            Some(byte) => Err(wrong(byte, context)),
        }
    }

    fn number(&mut self, mut first: u8) -> Result<Kind<'a>, Error> {
        let start = self.at - 1;
        if first == b'-' {
            self.need_digit("in numeric literal")?;
            first = self.peek().ok_or(Error::UnexpectedEnd)?;
            self.at += 1;
        }
        // Nothing follows a leading zero; the caller refuses a digit there.
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.need_digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.need_digit("in exponent of numeric literal")?;
            self.digits();
        }
        let text = core::str::from_utf8(&self.text[start..self.at]).map_err(|_| Error::UnexpectedEnd)?;
        Ok(Kind::Number(text))
    }

    /// A string whose opening quote has been read.
    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        let start = self.at;
        loop {
            let byte = self.peek().ok_or(Error::UnexpectedEnd)?;
            match byte {
                b'"' | b'\\' => break,
                0..=0x1f => return Err(wrong(byte, "in string literal")),
                _ => self.at += 1,
            }
        }
        let plain = &self.text[start..self.at];
        if self.peek() == Some(b'"') {
            self.at += 1;
            if let Ok(text) = core::str::from_utf8(plain) {
                return Ok(Cow::Borrowed(text));
            }
            return Ok(Cow::Owned(replace_invalid(plain)));
        }
        let mut raw = plain.to_vec();
        loop {
            let byte = self.peek().ok_or(Error::UnexpectedEnd)?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let mut utf8 = [0; 4];
                    raw.extend_from_slice(self.escape()?.encode_utf8(&mut utf8).as_bytes());
                }
                0..=0x1f => return Err(wrong(byte, "in string literal")),
                _ => raw.push(byte),
            }
        }
        Ok(Cow::Owned(String::from_utf8(raw).unwrap_or_else(|e| replace_invalid(e.as_bytes()))))
    }

    /// The character that an escape stands for; its backslash has been read.
    fn escape(&mut self) -> Result<char, Error> {
        let byte = self.peek().ok_or_else(|| self.cut("in string escape code"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex4()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                // A high surrogate counts only with its low half right behind it.
                let before = self.at;
                if self.text[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex4()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = before;
                }
                char::REPLACEMENT_CHARACTER
            }
            _ => return Err(wrong(byte, "in string escape code")),
        })
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut unit = 0;
        for _ in 0..4 {
            const CONTEXT: &str = "in \\u hexadecimal character escape";
            let byte = self.peek().ok_or_else(|| self.cut(CONTEXT))?;
            unit = unit * 16 + char::from(byte).to_digit(16).ok_or_else(|| wrong(byte, CONTEXT))?;
            self.at += 1;
        }
        Ok(unit)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Every byte that is not UTF-8 becomes U+FFFD, one each, as in Go.
fn replace_invalid(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(core::iter::repeat_n(char::REPLACEMENT_CHARACTER, chunk.invalid().len()));
    }
    out
}

/// A byte as Go's syntax errors show it: read as Latin-1, escaped like a string, in single quotes.
fn quote_char(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".into(),
        b'"' => "'\"'".into(),
        _ => {
            let mut out = String::from("'");
            push_escaped(&mut out, byte as char);
            out.push('\'');
            out
        }
    }
}

/// A string as Go's `%q` shows it.
pub(crate) fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    text.chars().for_each(|c| push_escaped(&mut out, c));
    out.push('"');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
        // Latin-1 controls, the no-break space and the soft hyphen do not print.
        '\u{80}'..='\u{a0}' | '\u{ad}' => out.push_str(&format!("\\u{:04x}", c as u32)),
        _ => out.push(c),
    }
}
