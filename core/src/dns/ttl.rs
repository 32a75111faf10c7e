//! How long an answer may be kept.

use crate::config::DnsConfig;
use core::time::Duration;

/// The TTL for answers about `service`, whose name is in lower case: its own entry, else the longest
/// `prefix*` that fits, else 0. In seconds.
pub(super) fn of_service(config: &DnsConfig, service: &str) -> u32 {
    if let Some(ttl) = config.service_ttl.get(service) {
        return seconds(*ttl);
    }
    let prefixes = config.service_ttl.iter().filter_map(|(name, ttl)| Some((name.strip_suffix('*')?, *ttl)));
    let longest = prefixes.filter(|(p, _)| service.starts_with(p)).max_by_key(|(p, _)| p.len());
    longest.map_or(0, |(_, ttl)| seconds(ttl))
}

/// The TTL for answers about nodes, in seconds.
pub(super) fn of_node(config: &DnsConfig) -> u32 {
    seconds(config.node_ttl)
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RuntimeConfig;
    use alloc::string::String;

    #[test]
    fn an_exact_name_wins_over_the_longest_prefix_and_that_over_the_star() {
        let mut config = RuntimeConfig::default().dns;
        assert_eq!(of_service(&config, "web"), 0);
        for (name, ttl) in [("*", 1), ("we*", 2), ("web*", 3), ("web", 4), ("db", 5)] {
            config.service_ttl.insert(String::from(name), Duration::from_secs(ttl));
        }
        for (name, ttl) in [("web", 4), ("webs", 3), ("well", 2), ("db", 5), ("dbx", 1)] {
            assert_eq!(of_service(&config, name), ttl, "{name}");
        }
    }
}
