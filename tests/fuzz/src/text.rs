//! Durations, and configuration in both its languages.

use crate::json::{ONCE, bounded};
use lictor_core::config::{self, Flags, Format, HostFacts, Interface, Source};
use lictor_core::duration;
use std::net::IpAddr;

pub(crate) fn duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match duration::parse(text) {
        Ok(nanos) => {
            assert_eq!(duration::parse(&duration::format(nanos)), Ok(nanos), "{text}");
            let (exact, parts) = exactly(text);
            // Fractions go through floating point, in Go as here.
            let off = (exact - i128::from(nanos)).unsigned_abs();
            assert!(off <= parts, "{text} is {exact} ns, read as {nanos}");
        }
        Err(why) => bounded(&why.to_string(), 2 * 4, data.len()), // no byte is replaced: this is text
    }
}

/// The value of a duration that is well formed, cut to nanoseconds part by part, and how many parts it has.
fn exactly(text: &str) -> (i128, u128) {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mut total, mut parts) = (0, 0);
    while !rest.is_empty() && rest != "0" {
        let number = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest[number..].find(|c: char| c == '.' || c.is_ascii_digit());
        let end = unit.map_or(rest.len(), |unit| number + unit);
        let scale: i128 = match &rest[number..end] {
            "ns" => 1,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => 1000,
        };
        let (whole, fraction) = rest[..number].split_once('.').unwrap_or((&rest[..number], ""));
        let mut digits = fraction.bytes().map(|b| i128::from(b - b'0'));
        let whole = whole.bytes().fold(0, |sum, b| sum * 10 + i128::from(b - b'0'));
        let mut weight = scale;
        total += whole * scale;
        // More digits than these cannot matter.
        let fraction = digits.by_ref().take(14).fold(0, |sum, digit| {
            weight *= 10;
            sum * 10 + digit
        });
        total += fraction * scale / (weight / scale);
        parts += 1;
        rest = &rest[end..];
    }
    (sign * total, parts)
}

pub(crate) fn config_json(data: &[u8]) {
    config(data, Format::Json);
}

pub(crate) fn config_hcl(data: &[u8]) {
    config(data, Format::Hcl);
}

/// A configuration is taken or refused in words, the same every time; laid over itself it stays itself.
fn config(data: &[u8], format: Format) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source { name: "a".into(), format, text: text.into() };
    let flags = Flags { dev: true, ..Flags::default() };
    let host = HostFacts {
        hostname: "host".into(),
        interfaces: vec![Interface {
            name: "lo".into(),
            address: IpAddr::from([127, 0, 0, 1]),
            length: 8,
            up: true,
            running: true,
            loopback: true,
            broadcast: false,
            point_to_point: false,
            multicast: false,
            default_route: false,
            index: 1,
            mtu: 65536,
            hardware: String::new(),
        }],
        ..HostFacts::default()
    };
    let first = config::load(std::slice::from_ref(&source), &flags, &host);
    match &first {
        Ok(config) => config.warnings.iter().for_each(|line| bounded(line, ONCE, data.len())),
        // A template makes texts that are longer than itself, to a limit of its own.
        Err(_) if text.contains("{{") => {}
        // Each unknown key and each wrong type is told with its path, which the text spells once.
        Err(why) => assert!(why.to_string().len() <= 4096 + data.len() * (256 + data.len())),
    }
    let again = config::load(std::slice::from_ref(&source), &flags, &host);
    assert_eq!(first.is_ok(), again.is_ok());
    assert_eq!(first.as_ref().err(), again.as_ref().err());
    // White space around it means nothing, but that a heredoc needs its last line whole.
    if text.contains("<<") {
        return;
    }
    let padded = Source { text: format!("\n{text}\n"), ..source };
    let padded = config::load(&[padded], &flags, &host);
    assert_eq!(padded.is_ok(), again.is_ok(), "white space around it matters");
}
