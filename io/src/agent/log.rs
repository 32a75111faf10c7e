//! The log: Consul's line format, or JSON, to standard output.

use lictor_core::event::{Event, Level};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `2025-01-01T00:00:00.000Z [INFO]  agent: message: key=value`
    Text,
    /// One JSON object a line, with `@level`, `@message`, `@module`, `@timestamp`.
    Json,
}

/// Writes events at or above a level.
#[derive(Debug)]
pub struct Log {
    format: LogFormat,
    least: AtomicU8,
    out: Mutex<std::io::Stdout>,
}

impl Log {
    /// A log that shows `level` (Consul's names, in any case; an unknown one shows INFO) and above.
    pub fn new(format: LogFormat, level: &str) -> Log {
        Log { format, least: AtomicU8::new(rank(level)), out: Mutex::new(std::io::stdout()) }
    }

    /// A reload changed the level.
    pub fn set_level(&self, level: &str) {
        self.least.store(rank(level), Ordering::Relaxed);
    }

    /// Writes one event, if its level is shown. A log that cannot be written is not worth dying for.
    pub fn write(&self, event: &Event) {
        if event.level as u8 >= self.least.load(Ordering::Relaxed) {
            let line = line(event, self.format, SystemTime::now());
            let mut out = self.out.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let _ = out.write_all(line.as_bytes());
        }
    }
}

fn rank(level: &str) -> u8 {
    match level.to_ascii_uppercase().as_str() {
        "TRACE" => Level::Trace as u8,
        "DEBUG" => Level::Debug as u8,
        "WARN" | "WARNING" => Level::Warn as u8,
        "ERR" | "ERROR" => Level::Error as u8,
        _ => Level::Info as u8,
    }
}

fn line(event: &Event, format: LogFormat, at: SystemTime) -> String {
    let at = timestamp(at);
    match format {
        LogFormat::Text => {
            let level = match event.level {
                Level::Trace => "[TRACE]",
                Level::Debug => "[DEBUG]",
                Level::Info => "[INFO] ",
                Level::Warn => "[WARN] ",
                Level::Error => "[ERROR]",
            };
            let mut text = format!("{at} {level} {}: {}", event.module, one_line(&event.message));
            for (i, (key, value)) in event.fields.iter().enumerate() {
                let quoted = value.contains([' ', '"', '=', '\n', '\t']);
                let value = if quoted { format!("{value:?}") } else { value.clone() };
                text.push_str(if i == 0 { ": " } else { " " });
                text.push_str(&format!("{key}={value}"));
            }
            text.push('\n');
            text
        }
        LogFormat::Json => {
            let level = format!("{:?}", event.level).to_ascii_lowercase();
            let mut text = format!(
                "{{\"@level\":\"{level}\",\"@message\":{},\"@module\":\"{}\",\"@timestamp\":\"{at}\"",
                json(&event.message),
                event.module
            );
            for (key, value) in &event.fields {
                text.push_str(&format!(",\"{key}\":{}", json(value)));
            }
            text.push_str("}\n");
            text
        }
    }
}

/// A user's text cannot start a line of its own.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `2025-01-01T00:00:00.000Z`, from days since the epoch by the civil-calendar rule.
fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, rest) = ((since.as_secs() / 86_400) as i64, since.as_secs() % 86_400);
    // Years are counted from March, so that a leap day ends one; 146097 days are 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn dates_are_right_on_leap_days_and_at_the_turn_of_years() {
        assert_eq!(timestamp(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(at(951_782_400)), "2000-02-29T00:00:00.000Z");
        assert_eq!(timestamp(at(1_735_689_599)), "2024-12-31T23:59:59.000Z");
        assert_eq!(timestamp(at(4_107_542_400)), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_line_is_what_operators_grep_for_and_stays_one_line() {
        let event = Event::new(Level::Info, "agent", "Synced service").with("service", "web 1\nx");
        assert_eq!(
            line(&event, LogFormat::Text, at(0)),
            "1970-01-01T00:00:00.000Z [INFO]  agent: Synced service: service=\"web 1\\nx\"\n"
        );
        let json = line(&event, LogFormat::Json, at(0));
        assert_eq!(json.matches('\n').count(), 1);
        assert!(json.contains("\"service\":\"web 1\\u000ax\""), "{json}");
    }
}
