//! The command line's part of the configuration.

use alloc::string::String;
use alloc::vec::Vec;
use serde_json::Value;

/// The agent's flags, in the form the configuration is loaded with. Which files to read
/// (`-config-file`, `-config-dir`, `-config-format`) is the driver's business.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// `-dev`: an in-memory development server on loopback.
    pub dev: bool,
    /// `-hcl`: fragments laid over everything else.
    pub hcl: Vec<String>,
    /// All other flags, as one document with the keys of a configuration file; `Null` when there are
    /// none. Laid over the files, but for top-level lists, which the files' add to.
    pub overrides: Value,
}
