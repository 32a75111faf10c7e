//! Settings that are valid by themselves, and that an agent does not start with: what Consul looks at when it starts.

use super::data_dir::uuid;
use lictor_core::config::RuntimeConfig;

/// Gossip protocol versions that Consul knows.
const PROTOCOLS: std::ops::RangeInclusive<i64> = 2..=3;

/// The first of them, in Consul's words.
pub(super) fn check(config: &RuntimeConfig) -> Result<(), String> {
    if !config.node_id.is_empty() {
        uuid(&config.node_id)
            .map_err(|why| format!("failed to setup node ID: specified NodeID is invalid: {why}"))?;
    }
    let version = config.protocol;
    if !PROTOCOLS.contains(&version) {
        let role = if config.server { "server" } else { "client" };
        let which = if version < *PROTOCOLS.start() { "low" } else { "high" };
        let (least, most) = (PROTOCOLS.start(), PROTOCOLS.end());
        return Err(format!(
            "Failed to start Consul {role}: Protocol version '{version}' too {which}. Must be in range: [{least}, {most}]"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(node_id: &str, protocol: i64) -> Result<(), String> {
        check(&RuntimeConfig { node_id: node_id.into(), protocol, ..RuntimeConfig::default() })
    }

    #[test]
    fn node_ids_that_are_none_and_unknown_protocols_are_refused_in_consuls_words() {
        let good = "adf4238a-882b-9ddc-4a9d-5b6758e4159e";
        assert_eq!([of("", 2), of(good, 3)], [Ok(()), Ok(())]);
        for (id, why) in [
            ("zz", "uuid string is wrong length"),
            ("adf4238ax882b-9ddc-4a9d-5b6758e4159e", "uuid is improperly formatted"),
            ("zdf4238a-882b-9ddc-4a9d-5b6758e4159e", "encoding/hex: invalid byte: U+007A 'z'"),
        ] {
            let text = format!("failed to setup node ID: specified NodeID is invalid: {why}");
            assert_eq!(of(id, 2), Err(text));
        }
        let text = of("", 9).expect_err("too high");
        assert!(text.ends_with("Protocol version '9' too high. Must be in range: [2, 3]"), "{text}");
        let text = of("", 1).expect_err("too low");
        assert!(text.ends_with("Protocol version '1' too low. Must be in range: [2, 3]"), "{text}");
    }
}
