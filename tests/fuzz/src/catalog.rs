//! A small catalog that targets read from.

use lictor_core::command::{Command, Register};
use lictor_core::store::{Applied, Store};
use lictor_core::types::CheckServiceNode;
use lictor_core::watch::ChangeSet;
use std::sync::LazyLock;

/// Registrations of every shape that DNS answers from; others use them too.
const REGISTRATIONS: &str = include_str!("../../../core/testdata/dns/main.json");

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let script: serde_json::Value = serde_json::from_str(REGISTRATIONS).expect("JSON");
    let mut store = Store::default();
    for body in script["catalog"].as_array().expect("registrations") {
        let body =
            body.get("Register").unwrap_or(body).to_string().replace("{i}", "1").replace("{pad}", "0001");
        let body = body.replace("{hi}", "0").replace("{lo}", "1").replace("\"PORT\"", "1001");
        let register: Register = serde_json::from_str(&body).expect("a registration");
        let command = Command::Register(Box::new(register));
        let applied = store.apply(store.applied() + 1, &command, &mut ChangeSet::default());
        assert_eq!(applied, Applied::Ok, "{body}");
    }
    store
});

static ENTRY: LazyLock<CheckServiceNode> = LazyLock::new(|| {
    let names = STORE.services();
    let entries = names.keys().flat_map(|name| STORE.check_service_nodes(name));
    entries.max_by_key(|entry| entry.checks.len() + entry.service.tags.len()).expect("an instance")
});

/// The catalog as a store.
pub(crate) fn store() -> &'static Store {
    &STORE
}

/// The instance that there is most to say of.
pub(crate) fn entry() -> &'static CheckServiceNode {
    &ENTRY
}
