//! Rules on records that files and HTTP share, with Consul's texts.

use super::{CheckDefinition, Locality, Weights};
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// Most pairs of metadata that one record may have.
pub const META_PAIRS_MAX: usize = 64;
/// Longest metadata key, in bytes.
pub const META_KEY_MAX: usize = 128;
/// Longest metadata value, in bytes.
pub const META_VALUE_MAX: usize = 512;

/// The rules between the fields of one check, in Consul's order.
pub fn check(c: &CheckDefinition) -> Result<(), &'static str> {
    let alias = !c.alias_node.is_empty() || !c.alias_service.is_empty();
    let targets = [&c.http, &c.tcp, &c.udp, &c.grpc, &c.h2ping, &c.os_service];
    let by_interval = !c.script_args.is_empty() || targets.iter().any(|target| !target.is_empty());
    if c.interval > 0 && c.ttl > 0 {
        Err("Interval and TTL cannot both be specified")
    } else if by_interval && c.interval <= 0 {
        Err("Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")
    } else if by_interval && alias {
        Err("Interval cannot be set for Alias checks")
    } else if alias && c.ttl > 0 {
        Err("TTL must be not be set for Alias checks")
    } else if !by_interval && !alias && c.ttl <= 0 {
        Err("TTL must be > 0 for TTL checks")
    } else if c.output_max_size < 0 {
        Err("MaxOutputMaxSize must be positive")
    } else if c.failures_before_warning > c.failures_before_critical {
        Err("FailuresBeforeWarning can't be higher than FailuresBeforeCritical")
    } else {
        Ok(())
    }
}

/// A zone lies in a region.
pub fn locality(locality: &Locality) -> Result<(), &'static str> {
    match locality.region.is_empty() && !locality.zone.is_empty() {
        true => Err("1 error occurred:\n\t* zone cannot be set without region\n\n"),
        false => Ok(()),
    }
}

/// The range of a service's weights.
pub fn weights(w: &Weights) -> Result<(), &'static str> {
    if w.passing < 1 {
        Err("Passing must be greater than 0")
    } else if w.warning < 0 {
        Err("Warning must be greater or equal than 0")
    } else if w.passing > 65535 || w.warning > 65535 {
        Err("DNS Weight must be between 0 and 65535")
    } else {
        Ok(())
    }
}

/// Metadata as [`metadata`] takes it.
pub fn pairs(map: &BTreeMap<Str, Str>) -> impl ExactSizeIterator<Item = (&str, &str)> {
    map.iter().map(|(key, value)| (&**key, &**value))
}

/// The metadata of a node or a service: how many pairs, and the form of each.
pub fn metadata<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Result<(), String> {
    metadata_with(pairs, true)
}

/// The same for metadata that nodes are searched by: what is reserved may be asked for.
pub fn metadata_of_nodes<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Result<(), String> {
    metadata_with(pairs, false)
}

fn metadata_with<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    reserves: bool,
) -> Result<(), String> {
    if pairs.len() > META_PAIRS_MAX {
        return Err(format!("Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"));
    }
    for (key, value) in pairs {
        let why = if key.is_empty() {
            "Key cannot be blank".to_string()
        } else if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            "Key contains invalid characters".to_string()
        } else if key.len() > META_KEY_MAX {
            format!("Key is too long (limit: {META_KEY_MAX} characters)")
        } else if reserves && key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use".to_string()
        } else if value.len() > META_VALUE_MAX {
            format!("Value is too long (limit: {META_VALUE_MAX} characters)")
        } else {
            continue;
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {why}"));
    }
    Ok(())
}
