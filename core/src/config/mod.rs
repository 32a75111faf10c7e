//! Configuration: texts in, one validated [`RuntimeConfig`] out.
//!
//! Reading files and flags is the driver's work; merging, defaults, validation and what a reload
//! may change are decided here. The steps: [`source`] reads one text against the table of known
//! [`keys`], [`survey`] moves deprecated keys, [`merge`] lays the sources over each other, [`build`]
//! derives and [`validate`] refuses.

mod addr;
mod build;
mod definition;
mod flags;
mod json_error;
mod keys;
mod merge;
mod reload;
mod runtime;
mod source;
mod survey;
mod tree;
mod validate;

pub use addr::Interface;
pub use build::HostFacts;
pub use flags::{FLAGS, Flag, FlagError, FlagKind, Flags};
pub use reload::reload;
pub use runtime::{DnsConfig, HttpLimits, Performance, Ports, RuntimeConfig};
pub use source::{Format, Source};

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why there is no configuration: the message as Consul prints it, possibly of several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One entry per line, without line ends.
    pub lines: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.join("\n").fmt(f)
    }
}

impl core::error::Error for ConfigError {}

impl ConfigError {
    fn new(text: &str) -> ConfigError {
        ConfigError { lines: text.split('\n').map(String::from).collect() }
    }
}

/// What `-dev` sets beneath the files.
const DEV: &str = r#"{
    "bind_addr": "127.0.0.1",
    "enable_debug": true,
    "log_level": "DEBUG",
    "performance": { "raft_multiplier": 1 },
    "server": true,
    "ui_config": { "enabled": true }
}"#;

/// Loads the configuration: defaults, then `-dev`, then `sources` in order, then the flags.
///
/// `sources` are the files that [`Flags::config_paths`] lead to: a directory gives its `.json` and
/// `.hcl` files sorted by name, not those below it. The result's warnings are to be printed.
pub fn load(sources: &[Source], flags: &Flags, host: &HostFacts) -> Result<RuntimeConfig, ConfigError> {
    let mut tree = tree::Tree::new();
    let mut warnings = Vec::new();
    let dev = Source { name: "dev".into(), format: Format::Json, text: DEV.into() };
    let fragments = flags.hcl.iter().enumerate().map(|(i, text)| Source {
        name: format!("flags-{i}.hcl"),
        format: Format::Hcl,
        text: text.clone(),
    });
    let fragments: Vec<Source> = fragments.collect();
    for source in flags.dev.then_some(&dev).into_iter().chain(sources).chain(&fragments) {
        let mut layer = source::read(source).map_err(|text| ConfigError::new(&text))?;
        warnings.extend(survey::replace_deprecated(&mut layer));
        merge::merge(&mut tree, layer);
    }
    let mut layer = flags.tree.clone();
    warnings.extend(survey::replace_deprecated(&mut layer));
    merge::merge(&mut tree, layer);
    build::build(&tree, flags.dev, host, warnings).map_err(|text| ConfigError::new(&text))
}

#[cfg(test)]
mod tests;
