//! User events as Consul's agents shout them: what serf carries, in an envelope of their own.

use crate::Str;
use crate::pattern::{self, Limits};
use crate::wire::{msgpack, raw};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What stands before the name of an event of Consul's in serf.
pub const PREFIX: &str = "consul:event:";
/// The version of the envelope.
pub const VERSION: u64 = 1;
/// What a filter may cost to compile.
const COMPILED: usize = 1 << 20;
/// The longest filter.
const MAX_FILTER: usize = 512;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserEvent {
    /// A UUID, drawn by whoever shouts.
    #[serde(rename = "ID")]
    pub id: Str,
    /// Its name.
    #[serde(rename = "n")]
    pub name: Str,
    /// Its content.
    #[serde(rename = "p", with = "raw", skip_serializing_if = "Bytes::is_empty")]
    pub payload: Bytes,
    /// Only nodes whose name matches.
    #[serde(rename = "nf", skip_serializing_if = "Str::is_empty")]
    pub node_filter: Str,
    /// Only nodes with a service whose name matches.
    #[serde(rename = "sf", skip_serializing_if = "Str::is_empty")]
    pub service_filter: Str,
    /// Of that service, only if a tag matches.
    #[serde(rename = "tf", skip_serializing_if = "Str::is_empty")]
    pub tag_filter: Str,
    /// Of the envelope.
    #[serde(rename = "v")]
    pub version: u64,
    /// Its Lamport time; 0 until it was heard.
    #[serde(skip)]
    pub ltime: u64,
}

impl UserEvent {
    /// Checks the filters. The texts are Consul's.
    pub fn validate(&self) -> Result<(), String> {
        if !self.tag_filter.is_empty() && self.service_filter.is_empty() {
            return Err("Cannot provide tag filter without service filter".into());
        }
        for (what, filter) in
            [("node", &self.node_filter), ("service", &self.service_filter), ("tag", &self.tag_filter)]
        {
            compile(filter).map_err(|why| format!("Invalid {what} filter: {why}"))?;
        }
        Ok(())
    }

    /// The envelope.
    pub fn encode(&self) -> Bytes {
        msgpack::to_vec(self).into()
    }

    /// The event in an envelope; `None` if it is none, or of a version that is not known here.
    pub fn decode(ltime: u64, envelope: &[u8]) -> Option<UserEvent> {
        let event: UserEvent = msgpack::from_slice(envelope).ok()?;
        let known = event.version <= VERSION && event.index().is_some();
        known.then_some(UserEvent { ltime, ..event })
    }

    /// Whether it is meant for a node of this name with these services: names, each with its tags.
    pub fn concerns<'a>(&self, node: &str, services: impl IntoIterator<Item = (&'a str, &'a [Str])>) -> bool {
        let (Ok(nodes), Ok(names), Ok(tags)) =
            (compile(&self.node_filter), compile(&self.service_filter), compile(&self.tag_filter))
        else {
            return false;
        };
        if nodes.is_some_and(|nodes| !nodes.is_match(node.as_bytes())) {
            return false;
        }
        let Some(names) = names else { return true };
        services.into_iter().any(|(name, own)| {
            let tagged = |tags: &pattern::Pattern| own.iter().any(|tag| tags.is_match(tag.as_bytes()));
            names.is_match(name.as_bytes()) && tags.as_ref().is_none_or(tagged)
        })
    }

    /// What `X-Consul-Index` shows for it. `None` when the ID is no UUID.
    pub fn index(&self) -> Option<u64> {
        index_of(&self.id)
    }
}

/// The index of the event with this ID: both halves, folded, as Consul. `None` when it is no UUID.
pub fn index_of(id: &str) -> Option<u64> {
    let digits: Vec<u8> = id.bytes().filter(|b| *b != b'-').collect();
    let digits = core::str::from_utf8(&digits).ok().filter(|d| d.len() == 32 && id.len() == 36)?;
    let half = |text: &str| u64::from_str_radix(text, 16).ok();
    Some(half(digits.get(..16)?)? ^ half(digits.get(16..)?)?)
}

fn compile(filter: &str) -> Result<Option<pattern::Pattern>, String> {
    if filter.is_empty() {
        return Ok(None);
    }
    if filter.len() > MAX_FILTER {
        return Err(format!("longer than {MAX_FILTER} bytes"));
    }
    let mut limits = Limits { compiled: COMPILED, folds: pattern::ALL_CHARACTERS };
    pattern::compile(filter.as_bytes(), &mut limits).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn event() -> UserEvent {
        UserEvent {
            id: "adf4238a-882b-9ddc-4a9d-5b6758e4159e".into(),
            name: "deploy".into(),
            payload: Bytes::from_static(b"v2"),
            version: VERSION,
            ..UserEvent::default()
        }
    }

    #[test]
    fn an_event_comes_back_from_its_envelope() {
        let sent = UserEvent { node_filter: "^web".into(), ..event() };
        let heard = UserEvent::decode(7, &sent.encode()).expect("an event");
        assert_eq!(heard, UserEvent { ltime: 7, ..sent });
        assert!(UserEvent::decode(7, b"\xc1").is_none());
        assert!(UserEvent::decode(7, &UserEvent { id: "x".into(), ..event() }.encode()).is_none());
    }

    #[test]
    fn an_event_concerns_nodes_and_services_that_its_filters_match() {
        let tags: Vec<Str> = vec!["v1".into()];
        let services = || [("web", tags.as_slice())];
        let with = |node: &str, service: &str, tag: &str| UserEvent {
            node_filter: node.into(),
            service_filter: service.into(),
            tag_filter: tag.into(),
            ..event()
        };
        for (event, wanted) in [
            (with("", "", ""), true),
            (with("^n1$", "", ""), true),
            (with("^n2$", "", ""), false),
            (with("", "w.b", ""), true),
            (with("", "db", ""), false),
            (with("", "web", "v1"), true),
            (with("", "web", "v2"), false),
        ] {
            assert_eq!(event.concerns("n1", services()), wanted, "{event:?}");
        }
    }

    #[test]
    fn filters_are_checked_in_consuls_words() {
        let bad = |e: UserEvent| e.validate().unwrap_err();
        assert_eq!(
            bad(UserEvent { tag_filter: "x".into(), ..event() }),
            "Cannot provide tag filter without service filter"
        );
        assert_eq!(
            bad(UserEvent { node_filter: "(".into(), ..event() }),
            "Invalid node filter: error parsing regexp: missing closing ): `(`"
        );
    }
}
