//! What a command sees of the process around it: its name, environment variables and the three
//! standard streams. Commands never touch `std::env` or `println!`, so a test can run any of them
//! with an environment of its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};

/// The surroundings of one command.
pub struct Shell<'a> {
    /// The name the binary was started by, without directories: `lictor`, or `consul` through a link.
    pub program: String,
    /// Environment variables.
    pub vars: BTreeMap<String, String>,
    /// Standard input, read only by commands given `-` as a value.
    pub stdin: &'a mut dyn Read,
    /// Standard output: answers.
    pub out: &'a mut dyn Write,
    /// Standard error: refusals and warnings.
    pub err: &'a mut dyn Write,
}

impl Shell<'_> {
    /// Writes `text` and a newline to standard output. A closed pipe ends the output silently.
    pub fn say(&mut self, text: impl AsRef<[u8]>) {
        line(self.out, text.as_ref());
    }

    /// Writes `text` and a newline to standard error.
    pub fn warn(&mut self, text: impl AsRef<[u8]>) {
        line(self.err, text.as_ref());
    }

    /// The value of environment variable `name`; an empty one counts as not set, as in Consul.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

/// A reader that went away (`| head`) is no error of ours: the rest of the output has no use.
fn line(to: &mut dyn Write, text: &[u8]) {
    let _ = to.write_all(text).and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush());
}
