//! The shapes of answers. Go's empty lists are nil here, as nearly all of Consul's are.

use super::super::blocking::{Answer, Body, Cx};
use super::super::respond::Meta;
use crate::wire::msgpack;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// One value's bytes.
pub(super) fn bytes<T: Serialize + ?Sized>(value: &T) -> Bytes {
    msgpack::to_vec(value).into()
}

/// An answer without content: the empty struct.
pub(super) fn nothing() -> Bytes {
    Bytes::from_static(&[0x80])
}

/// The list of what an iterator gives, nil if that is nothing.
pub(super) fn list<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}

/// Fields of an answer, with its meta beside them.
pub(super) struct Indexed<'a, F> {
    pub(super) index: u64,
    pub(super) cx: &'a Cx<'a>,
    pub(super) fields: F,
}

/// The fields that hold an answer's content.
pub(super) trait Content {
    /// How many there are.
    const COUNT: usize;
    /// Writes them.
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

impl<T: Serialize> Content for (&'static str, T) {
    const COUNT: usize = 1;
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(self.0, &self.1)
    }
}

/// The content of two.
pub(super) struct Both<A, B>(pub(super) A, pub(super) B);

impl<A: Content, B: Content> Content for Both<A, B> {
    const COUNT: usize = A::COUNT + B::COUNT;
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.0.put(map)?;
        self.1.put(map)
    }
}

impl<F: Content> Serialize for Indexed<'_, F> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let meta = Meta::of(self.cx.view, self.cx.now.mono, self.index);
        let mut map = s.serialize_map(Some(F::COUNT + 7))?;
        self.fields.put(&mut map)?;
        map.serialize_entry("Index", &meta.index)?;
        map.serialize_entry("LastContact", &meta.last_contact_ms.saturating_mul(1_000_000))?;
        map.serialize_entry("KnownLeader", &meta.known_leader)?;
        map.serialize_entry("ConsistencyLevel", "")?;
        map.serialize_entry("NotModified", &false)?;
        map.serialize_entry("Backend", &0)?;
        map.serialize_entry("ResultsFilteredByACLs", &false)?;
        map.end()
    }
}

/// An answer with one field, made only if it will be sent.
pub(super) fn indexed<T: Serialize>(
    cx: &Cx<'_>,
    index: u64,
    field: &'static str,
    value: impl FnOnce() -> T,
) -> Answer {
    let body = match cx.wants(index) {
        true => Body::Result(bytes(&Indexed { index, cx, fields: (field, value()) })),
        false => Body::Unwanted,
    };
    Answer { index, body }
}

/// The same for a key that is not there.
pub(super) fn no_entry(cx: &Cx<'_>, index: u64, field: &'static str) -> Answer {
    Answer { index, body: Body::NoEntry(bytes(&Indexed { index, cx, fields: (field, None::<()>) })) }
}
