//! Durations as users write and read them: Go's `time.ParseDuration` and `Duration.String`.
//!
//! Same values to the nanosecond and the same error texts, because configs, session TTLs, check
//! intervals and `wait=` all pass through here.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: i64 = 1_000_000;

/// Why a text is not a duration. Displays as Go's `time.ParseDuration` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not of the form `[-+]?([0-9]*(\.[0-9]*)?[a-z]+)+`, or beyond an `i64` of nanoseconds.
    Invalid {
        /// The whole text.
        text: String,
    },
    /// A number without a unit.
    MissingUnit {
        /// The whole text.
        text: String,
    },
    /// A unit other than ns, us, µs, ms, s, m, h.
    UnknownUnit {
        /// The whole text.
        text: String,
        /// The unit.
        unit: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid { text } => write!(f, "time: invalid duration {}", quote(text)),
            Error::MissingUnit { text } => write!(f, "time: missing unit in duration {}", quote(text)),
            Error::UnknownUnit { text, unit } => {
                write!(f, "time: unknown unit {} in duration {}", quote(unit), quote(text))
            }
        }
    }
}

impl core::error::Error for Error {}

/// Quotes as Go's time package does: control and non-ASCII bytes in hex.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(byte as char);
            }
            b' '..=0x7f => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// Reads a duration such as `1h30m`, `1.5s`, `-10ms`, `0`: nanoseconds.
pub fn parse(text: &str) -> Result<i64, Error> {
    let invalid = || Error::Invalid { text: text.into() };
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    const LIMIT: u64 = 1 << 63;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let whole_value = leading_int(whole).ok_or_else(invalid)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end = after.bytes().position(|b| b == b'.' || b.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(Error::MissingUnit { text: text.into() });
        }
        let Some(scale) = unit_nanos(unit) else {
            return Err(Error::UnknownUnit { text: text.into(), unit: unit.into() });
        };
        if whole_value > LIMIT / scale {
            return Err(invalid());
        }
        let mut value = whole_value * scale;
        let (numerator, denominator) = leading_fraction(fraction);
        if numerator > 0 {
            value += (numerator as f64 * (scale as f64 / denominator)) as u64;
        }
        if value > LIMIT {
            return Err(invalid());
        }
        total = total.wrapping_add(value);
        if total > LIMIT {
            return Err(invalid());
        }
        rest = after;
    }
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `None` beyond 2^63, as in Go: one more than `i64::MAX`, so that the least duration can be read.
fn leading_int(digits: &str) -> Option<u64> {
    let mut value: u64 = 0;
    for byte in digits.bytes() {
        if value > (1 << 63) / 10 {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
        if value > 1 << 63 {
            return None;
        }
    }
    Some(value)
}

/// Digits after the point as numerator and denominator; digits beyond 63 bits are dropped.
fn leading_fraction(digits: &str) -> (u64, f64) {
    let (mut value, mut scale): (u64, f64) = (0, 1.0);
    for byte in digits.bytes() {
        if value > ((1 << 63) - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(byte - b'0');
        if next > 1 << 63 {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value, scale)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // Both the micro sign (U+00B5) and the Greek letter mu (U+03BC).
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    })
}

/// Writes nanoseconds as Go prints a duration: `1m0s`, `1.5s`, `300ms`, `0s`.
pub fn format(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let u = nanos.unsigned_abs();
    match u {
        0 => String::from("0s"),
        1..1_000 => format!("{sign}{u}ns"),
        1_000..1_000_000 => format!("{sign}{}\u{b5}s", decimal(u, 3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(u, 6)),
        _ => {
            let (minutes, nanos) = (u / (60 * SECOND as u64), u % (60 * SECOND as u64));
            let seconds = decimal(nanos, 9);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}

/// `value / 10^places` without trailing zeros.
fn decimal(value: u64, places: usize) -> String {
    let unit = 10u64.pow(places as u32);
    if value.is_multiple_of(unit) {
        return format!("{}", value / unit);
    }
    let text = format!("{}.{:0places$}", value / unit, value % unit);
    text.trim_end_matches('0').into()
}

#[cfg(test)]
mod tests;
