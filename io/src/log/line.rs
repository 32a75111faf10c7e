//! How a line looks.

use lictor_core::event::{Event, Field, Level};
use lictor_core::time::WallTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `2025-01-01T00:00:00.000Z [INFO]  agent: message: key=value`
    Text,
    /// One JSON object a line, with `@level`, `@message`, `@module`, `@timestamp`.
    Json,
}

pub(super) fn line(event: &Event, format: LogFormat, at: SystemTime) -> String {
    match format {
        LogFormat::Text => text(event, at),
        LogFormat::Json => json(event, at),
    }
}

fn text(event: &Event, at: SystemTime) -> String {
    let level = match event.level {
        Level::Trace => "[TRACE]",
        Level::Debug => "[DEBUG]",
        Level::Info => "[INFO] ",
        Level::Warn => "[WARN] ",
        Level::Error => "[ERROR]",
    };
    let at = timestamp(at, 3);
    let mut text = format!("{at} {level} {}: {}", event.module, one_line(&event.message));
    for (i, (key, value)) in event.fields.iter().enumerate() {
        text.push_str(if i == 0 { ": " } else { " " });
        text.push_str(key);
        text.push('=');
        if value.bytes().all(is_plain) {
            text.push_str(value);
        } else {
            quote(&mut text, value);
        }
    }
    text.push('\n');
    text
}

fn json(event: &Event, at: SystemTime) -> String {
    let level = match event.level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut fields: Vec<&(&'static str, Field)> = event.fields.iter().collect();
    fields.sort_by_key(|(key, _)| *key);
    let mut out = lictor_core::json::to_vec(|w| {
        w.object(|w| {
            w.field_str("@level", level);
            w.field_str("@message", &event.message);
            w.field_str("@module", event.module);
            w.field_str("@timestamp", &timestamp(at, 6));
            fields.iter().for_each(|(key, value)| match value {
                Field::Text(text) => w.field_str(key, text),
                Field::Number(digits) => w.field_raw(key, digits.as_bytes()),
            });
        });
    });
    out.push(b'\n');
    String::from_utf8(out).unwrap_or_default()
}

/// What a value may hold without being quoted: printable ASCII, but nothing that ends or divides values.
fn is_plain(b: u8) -> bool {
    b.is_ascii_graphic() && b != b'"' && b != b'='
}

/// As Go's `%q` would: letters of all scripts stay as they are.
fn quote(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A user's text cannot start a line of its own.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// `2025-01-01T00:00:00.000Z`, with so many digits of the second's fraction.
fn timestamp(at: SystemTime, digits: usize) -> String {
    let nanos = at.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    let c = WallTime(nanos).civil();
    let fraction = format!("{:09}", c.nanosecond);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{}Z",
        c.year,
        c.month,
        c.day,
        c.hour,
        c.minute,
        c.second,
        &fraction[..digits]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(micros)
    }

    #[test]
    fn a_line_is_what_operators_grep_for_and_stays_one_line() {
        let event =
            Event::new(Level::Info, "agent", "Synced service").with("service", "web 1\nx").with("n", "a-1");
        assert_eq!(
            line(&event, LogFormat::Text, at(1_500)),
            "1970-01-01T00:00:00.001Z [INFO]  agent: Synced service: service=\"web 1\\nx\" n=a-1\n"
        );
        let url = Event::new(Level::Debug, "agent.http", "Request finished")
            .with("latency", "2.5µs")
            .with("url", "/v1/kv/a?b=c");
        let text = line(&url, LogFormat::Text, at(0));
        assert!(
            text.ends_with("[DEBUG] agent.http: Request finished: latency=\"2.5µs\" url=\"/v1/kv/a?b=c\"\n"),
            "{text}"
        );
    }

    #[test]
    fn json_has_consuls_names_its_fields_sorted_and_microseconds() {
        let event = Event::new(Level::Warn, "agent", "a\nb")
            .with("z", "1")
            .with("check", "x\"y")
            .with_number("term", 7);
        assert_eq!(
            line(&event, LogFormat::Json, at(1_000_002)),
            "{\"@level\":\"warn\",\"@message\":\"a\\nb\",\"@module\":\"agent\",\
             \"@timestamp\":\"1970-01-01T00:00:01.000002Z\",\"check\":\"x\\\"y\",\"term\":7,\"z\":\"1\"}\n"
        );
    }
}
