//! Why a text is not JSON, in the words of Go's encoding/json, which is what users search for.

use alloc::format;
use alloc::string::{String, ToString};

/// Deepest nesting looked at; serde_json stops at 128.
const DEPTH_MAX: usize = 130;

/// The message for `text`, which serde_json refused with `error`.
pub(super) fn describe(text: &str, error: &serde_json::Error) -> String {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, bad_number: None };
    match scan.document() {
        Err(Stop::At(context)) => match scan.bytes.get(scan.at) {
            Some(&byte) => format!("invalid character {} {context}", quote(byte)),
            None => "unexpected end of JSON input".into(),
        },
        Err(Stop::TooDeep) => "exceeded max depth".into(),
        Ok(()) => match scan.bad_number {
            Some((from, to)) => {
                let number = &text[from..to];
                format!("json: cannot unmarshal number {number} into Go value of type float64")
            }
            None => error.to_string(),
        },
    }
}

enum Stop {
    /// At the byte where the scan stands; the text says what was being looked for.
    At(String),
    TooDeep,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// A number beyond a float64.
    bad_number: Option<(usize, usize)>,
}

impl Scan<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        self.value(0)?;
        self.space();
        if self.at < self.bytes.len() { Err(stop("after top-level value")) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::TooDeep);
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(stop("looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Stop> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(stop("looking for beginning of object key string"));
            }
            self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(stop("after object key"));
            }
            self.at += 1;
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(stop("after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Stop> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(stop("after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<(), Stop> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                                    return Err(stop("in \\u hexadecimal character escape"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(stop("in string escape code")),
                    }
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
                _ => return Err(stop("in string literal")),
            }
        }
    }

    fn number(&mut self) -> Result<(), Stop> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(stop("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(stop("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(stop("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = core::str::from_utf8(&self.bytes[from..self.at]).unwrap_or_default();
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            self.bad_number.get_or_insert((from, self.at));
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), Stop> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let expected = expected as char;
                return Err(Stop::At(format!("in literal {word} (expecting '{expected}')")));
            }
            self.at += 1;
        }
        Ok(())
    }
}

fn stop(context: &str) -> Stop {
    Stop::At(context.into())
}

/// A byte as Go quotes it here: read as a Latin-1 character.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".into(),
        b'\\' => "'\\\\'".into(),
        b'\n' => "'\\n'".into(),
        b'\r' => "'\\r'".into(),
        b'\t' => "'\\t'".into(),
        0x07 => "'\\a'".into(),
        0x08 => "'\\b'".into(),
        0x0b => "'\\v'".into(),
        0x0c => "'\\f'".into(),
        0..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", byte as char),
    }
}
