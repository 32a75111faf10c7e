//! `print` and `printf`: values as Go's `fmt` shows them, and texts made safe for other languages.

use super::eval::MAX_TEXT;
use super::value::Value;
use crate::strconv::quote;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

/// `fmt.Sprint`: a space between two values neither of which is a text.
pub(super) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for value in args {
        let text = matches!(value, Value::Text(_));
        if !text && !after_text {
            out.push(' ');
        }
        out.push_str(&value.shown());
        after_text = text;
    }
    out
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(args: &[Value]) -> String {
    let all: Vec<String> = args.iter().map(Value::shown).collect();
    all.join(" ") + "\n"
}

/// What stands between a `%` and its verb.
#[derive(Clone, Debug, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// The widest field that Go makes.
const MAX_WIDTH: i128 = 1_000_000;

/// `fmt.Sprintf`. What is wrong with the format stands in the text, as in Go; only too long a text is an error.
pub(super) fn sprintf(format: &str, args: &[Value]) -> Result<String, String> {
    let mut printer = Printer { args, next: 0, reordered: false, good: true, out: String::new() };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        printer.out.push_str(&rest[..at]);
        rest = printer.verb(&rest[at + 1..]);
        if printer.out.len() > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes"));
        }
    }
    printer.out.push_str(rest);
    if !printer.reordered && printer.next < args.len() {
        let extra: Vec<String> = args[printer.next..]
            .iter()
            .map(|value| match value {
                Value::Nothing => "<nil>".into(),
                value => format!("{}={}", value.go_type(), value.shown()),
            })
            .collect();
        let _ = write!(printer.out, "%!(EXTRA {})", extra.join(", "));
    }
    Ok(printer.out)
}

struct Printer<'a> {
    args: &'a [Value],
    next: usize,
    /// Arguments were named by number.
    reordered: bool,
    /// The number that was named is that of an argument.
    good: bool,
    out: String,
}

impl Printer<'_> {
    /// One verb; what follows it comes back.
    fn verb<'f>(&mut self, mut rest: &'f str) -> &'f str {
        let mut flags = Flags::default();
        self.good = true;
        loop {
            match rest.as_bytes().first() {
                Some(b'+') => flags.plus = true,
                Some(b'-') => flags.minus = true,
                Some(b'#') => flags.sharp = true,
                Some(b' ') => flags.space = true,
                Some(b'0') => flags.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        let mut after_index = self.index(&mut rest);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match self.star() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.digits(&mut rest);
            if after_index && flags.width.is_some() {
                self.good = false;
            }
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            if after_index {
                self.good = false;
            }
            after_index = self.index(&mut rest);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match self.star() {
                    Some(precision) if precision >= 0 => flags.precision = usize::try_from(precision).ok(),
                    Some(_) => {}
                    None => self.out.push_str("%!(BADPREC)"),
                }
                after_index = false;
            } else {
                flags.precision = Some(self.digits(&mut rest).unwrap_or(0));
            }
        }
        if !after_index {
            self.index(&mut rest);
        }
        flags.zero &= !flags.minus;
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return "";
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            self.out.push('%');
        } else if !self.good {
            let _ = write!(self.out, "%!{verb}(BADINDEX)");
        } else if let Some(value) = self.args.get(self.next) {
            self.next += 1;
            let text = shown(value, verb, &flags);
            self.out.push_str(&text);
        } else {
            let _ = write!(self.out, "%!{verb}(MISSING)");
        }
        rest
    }

    /// A number for `*`.
    fn star(&mut self) -> Option<i128> {
        let value = self.args.get(self.next);
        self.next += usize::from(value.is_some());
        value.and_then(Value::whole).filter(|n| n.abs() <= MAX_WIDTH)
    }

    fn digits(&mut self, rest: &mut &str) -> Option<usize> {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        *rest = after;
        match digits.parse::<i128>() {
            Ok(n) if n <= MAX_WIDTH => usize::try_from(n).ok(),
            _ => None,
        }
    }

    /// `[n]`: the argument that comes next.
    fn index(&mut self, rest: &mut &str) -> bool {
        let Some(inside) = rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some(end) = inside.find(']') else {
            self.good = false;
            *rest = &rest[1..];
            return false;
        };
        *rest = &inside[end + 1..];
        match inside[..end].parse::<usize>() {
            Ok(n) if (1..=self.args.len()).contains(&n) => self.next = n - 1,
            _ => self.good = false,
        }
        true
    }
}

/// A value under a verb.
fn shown(value: &Value, verb: char, flags: &Flags) -> String {
    let text = match (value, verb) {
        (_, 'T') => return pad(value.go_type().to_string(), flags),
        (Value::Nothing, 'v') => return pad("<nil>".into(), flags),
        (Value::Nothing, _) => return format!("%!{verb}(<nil>)"),
        (Value::Bool(_), 't' | 'v') => Some(value.shown()),
        (Value::Int(n), _) => integer((*n).into(), verb, flags),
        (Value::Uint(n, _), _) => integer((*n).into(), verb, flags),
        (Value::Named(n, ..), 'd' | 'b' | 'o' | 'O' | 'c' | 'U') => integer((*n).into(), verb, flags),
        (Value::Float(n), _) => floating(*n, verb, flags),
        (Value::Addrs(all), 's' | 'v' | 'q' | 'x' | 'X') => {
            return list(all.iter().map(|addr| shown(&Value::Addr(addr.clone()), verb, flags)));
        }
        (Value::Ints(all), _) => return list(all.iter().map(|n| shown(&Value::Int(*n), verb, flags))),
        // These know how to show themselves, as do texts.
        (Value::Text(_) | Value::Hardware(_) | Value::Named(..) | Value::Addr(_) | Value::Sock(..), _) => {
            string(&value.shown(), verb, flags)
        }
        (Value::Interface(_), 'v') => Some(value.shown()),
        _ => None,
    };
    match text {
        Some(text) => pad(text, flags),
        None => format!("%!{verb}({}={})", value.go_type(), value.shown()),
    }
}

/// A list; of one that is refused for its length, no more than shows it to be too long.
fn list(each: impl Iterator<Item = String>) -> String {
    let mut out = String::from("[");
    for (n, text) in each.enumerate() {
        if out.len() > MAX_TEXT {
            break;
        }
        out.push_str(if n > 0 { " " } else { "" });
        out.push_str(&text);
    }
    out + "]"
}

fn pad(text: String, flags: &Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if flags.zero { "0" } else { " " }.repeat(missing);
    if flags.minus { text + &fill } else { fill + &text }
}

fn string(text: &str, verb: char, flags: &Flags) -> Option<String> {
    let cut: String = match flags.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text.into(),
    };
    let hexadecimal = |upper: bool| {
        let most = flags.precision.unwrap_or(usize::MAX);
        let mut out = String::new();
        for (n, byte) in text.bytes().take(most).enumerate() {
            if flags.space && n > 0 {
                out.push(' ');
            }
            if flags.sharp && (flags.space || n == 0) {
                out.push_str(if upper { "0X" } else { "0x" });
            }
            let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        }
        out
    };
    match verb {
        'v' if flags.sharp => Some(quote(text.as_bytes())),
        's' | 'v' => Some(cut),
        'q' if flags.sharp && !cut.contains('`') => Some(format!("`{cut}`")),
        'q' => Some(quote(cut.as_bytes())),
        'x' => Some(hexadecimal(false)),
        'X' => Some(hexadecimal(true)),
        _ => None,
    }
}

fn integer(n: i128, verb: char, flags: &Flags) -> Option<String> {
    let size = n.unsigned_abs();
    let character = || u32::try_from(n).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let (digits, prefix) = match verb {
        'd' | 'v' => (size.to_string(), ""),
        'b' => (format!("{size:b}"), if flags.sharp { "0b" } else { "" }),
        'o' => (format!("{size:o}"), if flags.sharp { "0" } else { "" }),
        'O' => (format!("{size:o}"), "0o"),
        'x' => (format!("{size:x}"), if flags.sharp { "0x" } else { "" }),
        'X' => (format!("{size:X}"), if flags.sharp { "0X" } else { "" }),
        'c' => return Some(character().into()),
        'q' => return Some(format!("'{}'", character().escape_default())),
        'U' => return Some(format!("U+{size:04X}")),
        _ => return None,
    };
    let sign = match (n < 0, flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let least = match (flags.precision, flags.width) {
        (Some(0), _) if n == 0 => return Some(String::new()),
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    Some(format!("{sign}{prefix}{zeros}{digits}"))
}

fn floating(n: f64, verb: char, flags: &Flags) -> Option<String> {
    let text = match verb {
        'v' => float(n, 'g', flags.precision),
        'g' | 'G' => float(n, 'g', flags.precision),
        'e' | 'E' => float(n, 'e', Some(flags.precision.unwrap_or(6))),
        'f' | 'F' => float(n, 'f', Some(flags.precision.unwrap_or(6))),
        _ => return None,
    };
    let text = if matches!(verb, 'G' | 'E') { text.to_uppercase() } else { text };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None if flags.plus => ("+", text.as_str()),
        None if flags.space => (" ", text.as_str()),
        None => ("", text.as_str()),
    };
    let width = if flags.zero { flags.width.unwrap_or(0) } else { 0 };
    let zeros = "0".repeat(width.saturating_sub(sign.len() + digits.len()));
    Some(format!("{sign}{zeros}{digits}"))
}

/// From this power of ten on, a number with no precision given has an exponent.
const FEW_DIGITS: i32 = 6;

/// No number of 64 bits has more digits behind its point.
const MOST_DIGITS: usize = 1074;

/// A number as `strconv.FormatFloat` writes it; the fewest digits that say it where no precision is given.
pub(super) fn float(n: f64, form: char, precision: Option<usize>) -> String {
    let exponent = |text: String| match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = match power.strip_prefix('-') {
                Some(power) => ('-', power),
                None => ('+', power),
            };
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    };
    // Digits beyond the last one that such a number can have are zeros.
    let exact = |digits: usize| (digits.min(MOST_DIGITS), "0".repeat(digits.saturating_sub(MOST_DIGITS)));
    match (form, precision) {
        ('f', Some(digits)) => {
            let (digits, zeros) = exact(digits);
            format!("{n:.digits$}{zeros}")
        }
        ('e', Some(digits)) => {
            let (digits, zeros) = exact(digits);
            exponent(format!("{n:.digits$e}").replacen('e', &format!("{zeros}e"), 1))
        }
        (_, None) => {
            let scientific = format!("{n:e}");
            let power: i32 =
                scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
            if (-4..FEW_DIGITS).contains(&power) { n.to_string() } else { exponent(scientific) }
        }
        (_, Some(digits)) => {
            let digits = digits.clamp(1, MOST_DIGITS);
            let scientific = format!("{n:.*e}", digits - 1);
            let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
            let power: i32 = power.parse().unwrap_or(0);
            let trimmed = |text: &str| match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text.to_string(),
            };
            let most = i32::try_from(digits).unwrap_or(i32::MAX);
            if (-4..most).contains(&power) {
                let after = usize::try_from(most - 1 - power).unwrap_or(0);
                trimmed(&format!("{n:.after$}"))
            } else {
                exponent(format!("{}e{power}", trimmed(mantissa)))
            }
        }
    }
}

/// For HTML.
pub(super) fn escape_html(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '\0' => out.push(char::REPLACEMENT_CHARACTER),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
        out
    })
}

/// For texts of JavaScript.
pub(super) fn escape_js(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        let _ = match c {
            '\\' | '\'' | '"' => write!(out, "\\{c}"),
            '<' | '>' | '&' | '=' => write!(out, "\\u{:04X}", u32::from(c)),
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)),
            c => write!(out, "{c}"),
        };
        out
    })
}

/// For the query of a URL.
pub(super) fn escape_query(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            b' ' => out.push('+'),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}
