//! Configuration: texts in, one validated [`RuntimeConfig`] out.
//!
//! Reading files and flags is the driver's work; merging, defaults, validation and what a reload
//! may change are decided here. The steps: [`source`] reads one text against the table of known
//! [`keys`], [`survey`] moves deprecated keys, [`merge`] lays the sources over each other, [`build`]
//! derives and [`validate`] refuses.

mod addr;
mod build;
mod check_tls;
mod definition;
mod flags;
pub mod gossip;
mod hcl;
mod keys;
mod merge;
mod network;
mod order;
mod reload;
mod runtime;
mod source;
mod survey;
mod template;
mod tree;
mod unprotected;
mod validate;

pub use addr::Interface;
pub use build::{DataDirectory, HostFacts};
pub use flags::Flags;
pub use network::Network;
pub use reload::reload;
pub use runtime::{
    AgentTls, Coordinates, DnsConfig, FetchRate, HttpLimits, Performance, Ports, RuntimeConfig, UnixSockets,
    Written,
};
pub use source::{Format, Source, parse};

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;

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

/// Loads the configuration: defaults, then `-dev`, the lists among the flags, `sources` in order, the other flags, and
/// `-hcl` fragments. So what flags add to a list stands before what files add, and a fragment wins over a flag.
///
/// `sources` are the files that the command line leads to: a directory gives its `.json` and `.hcl`
/// files sorted by name, not those below it. The result's warnings are to be printed.
pub fn load(sources: &[Source], flags: &Flags, host: &HostFacts) -> Result<RuntimeConfig, ConfigError> {
    let fail = |text: String| ConfigError::new(&text);
    let (tree, warnings) = merged(sources, flags).map_err(fail)?;
    build::build(&tree, flags.dev, host, warnings).map_err(fail)
}

/// The data directory that [`load`] would find for the same sources, for the driver to look at before.
pub fn data_dir(sources: &[Source], flags: &Flags) -> Option<String> {
    let (tree, _) = merged(sources, flags).ok()?;
    Some(tree::owned(&tree, "data_dir")).filter(|path| !path.is_empty())
}

/// Every source over the one before it, and what there is to warn of.
fn merged(sources: &[Source], flags: &Flags) -> Result<(tree::Tree, Vec<String>), String> {
    let mut layers = Vec::new();
    if flags.dev {
        layers.push(source::read_text("-dev", DEV)?);
    }
    let (lists, values) = match flags.overrides.clone() {
        Value::Object(given) => given.into_iter().partition::<tree::Tree, _>(|(_, value)| value.is_array()),
        _ => Default::default(),
    };
    layers.push(source::read_value("command line", lists.into())?);
    for source in sources {
        layers.push(source::read(source)?);
    }
    layers.push(source::read_value("command line", values.into())?);
    for (i, text) in flags.hcl.iter().enumerate() {
        let fragment = Source { name: format!("flags-{i}.hcl"), format: Format::Hcl, text: text.clone() };
        layers.push(source::read(&fragment)?);
    }

    let mut tree = tree::Tree::new();
    let mut warnings = Vec::new();
    for mut layer in layers {
        warnings.extend(survey::replace_deprecated(&mut layer));
        merge::merge(&mut tree, layer);
    }
    Ok((tree, warnings))
}

#[cfg(test)]
mod tests;
