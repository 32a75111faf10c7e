//! Goal: the guide's configurations load. Method: their text as it stands, without comments.

use super::*;
use alloc::string::ToString;
use alloc::vec;

const SERVER: &str = r#"{
  "datacenter": "staging", "data_dir": "/consul/data", "client_addr": "0.0.0.0", "bind_addr": "0.0.0.0",
  "ui_config": { "enabled": true }, "server": true, "bootstrap_expect": 1,
  "dns_config": { "enable_truncate": true, "only_passing": true, "allow_stale": true, "max_stale": "87600h" },
  "log_level": "INFO", "disable_anonymous_signature": true, "disable_update_check": true
}"#;

fn host() -> HostFacts {
    HostFacts {
        hostname: "web-1".into(),
        interfaces: vec![Interface {
            name: "eth0".into(),
            address: [10, 244, 2, 7].into(),
            loopback: false,
            default_route: true,
        }],
    }
}

#[test]
fn server_config_of_the_guide_loads_without_a_not_built_warning() {
    let file = Source { name: "consul.json".into(), format: Format::Json, text: SERVER.into() };
    let config = load(&[file], &Flags::default(), &host()).expect("valid");
    assert_eq!(&*config.datacenter, "staging");
    assert!(config.server && config.bootstrap && config.ui_enabled && config.dns.only_passing);
    assert_eq!(config.advertise_addr.to_string(), "10.244.2.7");
    assert_eq!(config.not_built_yet, Vec::<String>::new());
}
