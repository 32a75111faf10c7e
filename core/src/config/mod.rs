//! Configuration: texts in, one validated [`RuntimeConfig`] out.
//!
//! Reading files and flags is the driver's work; merging, defaults, validation and what a reload
//! may change are decided here.

mod runtime;

pub use runtime::{DnsConfig, HttpLimits, Performance, Ports, RuntimeConfig};

/// SHIM
pub fn reload(
    _old: &RuntimeConfig,
    new: RuntimeConfig,
) -> (RuntimeConfig, alloc::vec::Vec<alloc::string::String>) {
    (new, alloc::vec::Vec::new())
}
