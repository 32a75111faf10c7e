//! Events: what the log shows, the counters count and tests assert, as values.

use alloc::string::{String, ToString};

/// How loud an event is. Names and order are Consul's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// The level of a name as Consul takes it: `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERR` or `ERROR`, in any case.
    pub fn parse(name: &str) -> Option<Level> {
        Some(match name.to_ascii_uppercase().as_str() {
            "TRACE" => Level::Trace,
            "DEBUG" => Level::Debug,
            "INFO" => Level::Info,
            "WARN" => Level::Warn,
            "ERR" | "ERROR" => Level::Error,
            _ => return None,
        })
    }
}

/// One line of the log: level, Consul's subsystem name (`agent`, `agent.server.raft`, ...), message
/// and fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How loud.
    pub level: Level,
    /// Consul's subsystem name.
    pub module: &'static str,
    /// What happened, in Consul's words where operators grep for them.
    pub message: String,
    /// `key=value` pairs, in order.
    pub fields: alloc::vec::Vec<(&'static str, Field)>,
}

/// What a field says. It reads as a text, whichever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number, in decimal digits: in JSON it stands without quotes.
    Number(String),
}

impl core::ops::Deref for Field {
    type Target = str;

    fn deref(&self) -> &str {
        let (Field::Text(text) | Field::Number(text)) = self;
        text
    }
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self)
    }
}

impl Event {
    /// An event without fields.
    pub fn new(level: Level, module: &'static str, message: impl Into<String>) -> Event {
        Event { level, module, message: message.into(), fields: alloc::vec::Vec::new() }
    }

    /// Adds a field.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Event {
        self.fields.push((key, Field::Text(value.into())));
        self
    }

    /// Adds a field that is a number.
    pub fn with_number(mut self, key: &'static str, value: u64) -> Event {
        self.fields.push((key, Field::Number(value.to_string())));
        self
    }
}
