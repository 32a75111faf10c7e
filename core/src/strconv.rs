//! Strings, numbers and booleans as Go's `strconv` reads and quotes them.

use crate::json::go_quote;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// `%q`: what is not UTF-8 in hex.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = go_quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

/// `strconv.Unquote` of a literal in double quotes or backquotes; `None` is its `invalid syntax`.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    let inner = literal.get(1..literal.len() - 1)?;
    if literal.starts_with('`') {
        return Some(inner.bytes().filter(|b| *b != b'\r').collect());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => return None,
            '\\' => rest = escape(&mut out, rest, None)?,
            c => push(&mut out, c),
        }
    }
    Some(out)
}

pub(crate) fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What follows a backslash; the rest comes back. `surrogate` stands for half of a surrogate pair, which is
/// a syntax error where there is none.
pub(crate) fn escape<'a>(out: &mut Vec<u8>, rest: &'a str, surrogate: Option<char>) -> Option<&'a str> {
    let c = rest.chars().next()?;
    let after = &rest[c.len_utf8()..];
    let simple = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' => b'"',
        'x' => return digits(after, 2, 16).and_then(|(n, rest)| byte(out, n, rest)),
        '0'..='7' => return digits(rest, 3, 8).and_then(|(n, rest)| byte(out, n, rest)),
        'u' | 'U' => {
            let (code, rest) = digits(after, if c == 'u' { 4 } else { 8 }, 16)?;
            push(out, char::from_u32(code).or(surrogate.filter(|_| code <= char::MAX.into()))?);
            return Some(rest);
        }
        _ => return None,
    };
    out.push(simple);
    Some(after)
}

fn byte<'a>(out: &mut Vec<u8>, value: u32, rest: &'a str) -> Option<&'a str> {
    out.push(u8::try_from(value).ok()?);
    Some(rest)
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let digits = text.get(..count)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some((u32::from_str_radix(digits, radix).ok()?, &text[count..]))
}

/// `strconv.ParseBool`, or its error.
pub(crate) fn bool(text: &[u8]) -> Result<bool, String> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(text))),
    }
}

/// `strconv.ParseInt(text, 0, bits)`, or `ParseUint` for unsigned fields, or its error.
pub(crate) fn int(text: &[u8], bits: u32, signed: bool) -> Result<i64, String> {
    let function = if signed { "ParseInt" } else { "ParseUint" };
    let error = |why: &str| format!("strconv.{function}: parsing {}: {why}", quote(text));
    let (negative, digits) = match text {
        [b'-', rest @ ..] if signed => (true, rest),
        [b'+', rest @ ..] if signed => (false, rest),
        rest => (false, rest),
    };
    let magnitude = match magnitude(digits) {
        Magnitude::Is(n) => n,
        Magnitude::TooLarge => return Err(error("value out of range")),
        Magnitude::Malformed => return Err(error("invalid syntax")),
    };
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    let (least, most) = match signed {
        true => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        false => (0, (1_i128 << bits) - 1),
    };
    if value < least || value > most {
        return Err(error("value out of range"));
    }
    // No unsigned field is wider than 32 bits.
    i64::try_from(value).map_err(|_| error("value out of range"))
}

enum Magnitude {
    Is(u64),
    TooLarge,
    Malformed,
}

/// The number of a text without sign, whose prefix says the base.
fn magnitude(text: &[u8]) -> Magnitude {
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', b'b' | b'B', rest @ ..] => (2, rest),
        [b'0', b'o' | b'O', rest @ ..] => (8, rest),
        [b'0', rest @ ..] if !rest.is_empty() => (8, rest),
        rest => (10, rest),
    };
    // An underscore may stand between digits, or between a prefix and the first digit.
    let prefixed = digits.len() < text.len();
    let mut before = prefixed;
    let mut value = Some(0_u64);
    for byte in digits {
        if *byte == b'_' {
            if !before {
                return Magnitude::Malformed;
            }
            before = false;
            continue;
        }
        let Some(digit) = (*byte as char).to_digit(radix) else { return Magnitude::Malformed };
        before = true;
        value = value.and_then(|v| v.checked_mul(radix.into())?.checked_add(digit.into()));
    }
    if !before || digits.iter().all(|b| *b == b'_') {
        return Magnitude::Malformed;
    }
    value.map_or(Magnitude::TooLarge, Magnitude::Is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_unquote_as_in_go() {
        assert_eq!(unquote(r#""a\tb\x41\101é\u00e9\\""#).as_deref(), Some("a\tbAAéé\\".as_bytes()));
        assert_eq!(unquote(r#""\xff""#).as_deref(), Some(&[0xff][..]));
        assert_eq!(unquote("`a\r\n\\b`").as_deref(), Some(&b"a\n\\b"[..]));
        for bad in [
            "\"a\nb\"",
            r#""\q""#,
            r#""\'""#,
            r#""\x4""#,
            r#""\400""#,
            r#""\U00110000""#,
            r#""\u12""#,
            r#""\ud800""#,
        ] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    #[test]
    fn integers_read_in_the_base_of_their_prefix() {
        let read = |text: &str| int(text.as_bytes(), 64, true);
        let good = [
            ("0", 0),
            ("-5", -5),
            ("+5", 5),
            ("0x1F", 31),
            ("017", 15),
            ("0o17", 15),
            ("0b101", 5),
            ("1_000", 1000),
            ("0x_f", 15),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, value) in good {
            assert_eq!(read(text), Ok(value), "{text}");
        }
        for text in ["", "-", "x", "1.5", "08", "0x", "1__0", "_1", "1_", "0_", "--1"] {
            let error = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
            assert_eq!(read(text), Err(error), "{text}");
        }
        let error = "strconv.ParseInt: parsing \"9223372036854775808\": value out of range";
        assert_eq!(read("9223372036854775808").as_ref().map_err(String::as_str), Err(error));
        let error = "strconv.ParseUint: parsing \"256\": value out of range";
        assert_eq!(int(b"256", 8, false).as_ref().map_err(String::as_str), Err(error));
        let error = "strconv.ParseUint: parsing \"-1\": invalid syntax";
        assert_eq!(int(b"-1", 8, false).as_ref().map_err(String::as_str), Err(error));
    }
}
