//! Taking typed fields out of parsed JSON by the rules of Go's decoder.
//!
//! A handler reads its fields one after the other with plain accessors that give a default on anything
//! odd; problems are collected on the side, and [`decode`] returns the one that stands first in the text,
//! which is the one that Consul answers with. Absent and `null` are the same.
//!
//! Go reads what is sent more than once under a key into the same place, one after the other: of plain values the last
//! counts, of objects and maps that of each key, of lists that of each position, and `null` empties only what can be
//! empty. All of it must have the right kind.

use super::value::{Error, Kind, Value};
use crate::Str;
use crate::{b64, duration};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

/// How Go names a struct in error texts.
#[derive(Clone, Copy, Debug)]
pub struct Struct {
    /// Type name; empty for Consul's anonymous wrapper structs.
    name: &'static str,
    /// The embedded type that error paths run through; empty for plain structs.
    embedded: &'static str,
    /// The package it is printed with where the whole value has the wrong kind.
    package: &'static str,
}

impl Struct {
    /// A plain struct of Consul's `structs` package: `RegisterRequest` gives `RegisterRequest.Node`.
    pub const fn new(name: &'static str) -> Self {
        Struct { name, embedded: "", package: "structs" }
    }

    /// A plain struct of another package, such as `api`.
    pub const fn of(package: &'static str, name: &'static str) -> Self {
        Struct { name, embedded: "", package }
    }

    /// A field of `holder` whose type decodes itself through an alias: errors in it name the holder.
    pub const fn aliased_in(package: &'static str, holder: &'static str) -> Self {
        Struct { name: holder, embedded: "Alias", package }
    }

    /// A type that Consul decodes through an anonymous struct around an alias of it: fields are called
    /// `.Alias.Name`. True of service and check definitions, sessions and deregistrations.
    pub const ALIAS: Struct = Struct { name: "", embedded: "Alias", package: "structs" };

    fn go_type(self) -> String {
        let name = if self.name.is_empty() { self.embedded } else { self.name };
        alloc::format!("{}.{name}", self.package)
    }
}

/// What happens to keys that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// `json: unknown field "X"`.
    Refuse,
    /// They are skipped.
    Ignore,
}

/// Decodes one object: `read` takes the fields. The first error in the text is returned.
///
/// A top-level `null` reads as an empty object, as in Go.
pub fn decode<T>(
    value: &Value<'_>,
    shape: Struct,
    unknown: Unknown,
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> Result<T, Error> {
    let problems = Problems::default();
    let path = Path { parent: None, field: "", shape };
    let entries = match &value.kind {
        Kind::Object(entries) => entries.as_slice(),
        Kind::Null => &[],
        _ => return Err(mismatch(value, String::new(), shape.go_type())),
    };
    let out = read_object(entries, &path, unknown, &problems, read);
    problems.into_result(out)
}

/// Decodes an array of objects, such as a transaction. `go_type` is the list's type: `api.TxnOps`.
pub fn decode_list<T>(
    value: &Value<'_>,
    go_type: &str,
    shape: Struct,
    unknown: Unknown,
    mut read: impl FnMut(&mut Fields<'_>) -> T,
) -> Result<Vec<T>, Error> {
    let problems = Problems::default();
    let path = Path { parent: None, field: "", shape };
    let items = match &value.kind {
        Kind::Array(items) => items.as_slice(),
        Kind::Null => &[],
        _ => return Err(mismatch(value, String::new(), go_type.to_string())),
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        match &item.kind {
            Kind::Object(entries) => out.push(read_object(entries, &path, unknown, &problems, &mut read)),
            Kind::Null => out.push(read_object(&[], &path, unknown, &problems, &mut read)),
            _ => problems.note(item.at, || mismatch(item, String::new(), shape.go_type())),
        }
    }
    problems.into_result(out)
}

type Entry<'a> = (Cow<'a, str>, Value<'a>);
/// The entries of all objects that were sent under one key.
type Object<'a> = Cow<'a, [Entry<'a>]>;

fn read_object<T>(
    entries: &[Entry<'_>],
    path: &Path<'_>,
    unknown: Unknown,
    problems: &Problems,
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> T {
    let mut fields = Fields { entries, taken: vec![false; entries.len()], path, unknown, problems };
    let out = read(&mut fields);
    if fields.unknown == Unknown::Refuse {
        let left = entries.iter().zip(&fields.taken).find(|(_, taken)| !**taken);
        if let Some(((key, value), _)) = left {
            problems.note(value.at, || Error::UnknownField(key.as_ref().into()));
        }
    }
    out
}

fn mismatch(value: &Value<'_>, field: String, wanted: String) -> Error {
    // Go gives a number's text only where a number was wanted.
    let value = match (&value.kind, wanted.as_str()) {
        (_, "int" | "uint64" | "uint32" | "float64") => value.go_kind(),
        (Kind::Number(_), _) => "number".into(),
        _ => value.go_kind(),
    };
    Error::Type { value, field, wanted }
}

/// The error found so far that stands furthest up in the text.
#[derive(Default)]
struct Problems {
    first: RefCell<Option<(u32, Error)>>,
}

impl Problems {
    fn note(&self, at: u32, error: impl FnOnce() -> Error) {
        let mut first = self.first.borrow_mut();
        if first.as_ref().is_none_or(|(before, _)| at < *before) {
            *first = Some((at, error()));
        }
    }

    fn into_result<T>(self, out: T) -> Result<T, Error> {
        match self.first.into_inner() {
            None => Ok(out),
            Some((_, error)) => Err(error),
        }
    }
}

/// The way down to an object, for error texts.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    field: &'a str,
    shape: Struct,
}

impl Path<'_> {
    /// `Struct.Alias.Outer.Alias.Field`.
    fn name_of(&self, field: &str) -> String {
        let mut out = String::from(self.shape.name);
        self.push_fields(&mut out);
        for part in [self.shape.embedded, field] {
            push_part(&mut out, part);
        }
        out
    }

    fn push_fields(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.push_fields(out);
            push_part(out, parent.shape.embedded);
            push_part(out, self.field);
        }
    }
}

fn push_part(out: &mut String, part: &str) {
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
}

/// One object being read.
///
/// A field is asked for by its Go name; keys match it in any letter case. Where Consul takes several
/// spellings, give them all: `"EnableTagOverride|enable_tag_override"`, the first one that says something counts.
/// Every key asked for is known, whether it was there or not.
pub struct Fields<'a> {
    entries: &'a [Entry<'a>],
    taken: Vec<bool>,
    path: &'a Path<'a>,
    unknown: Unknown,
    problems: &'a Problems,
}

impl<'a> Fields<'a> {
    /// From here on unknown keys of this object, and of objects in it, are skipped.
    pub fn ignore_unknown(&mut self) {
        self.unknown = Unknown::Ignore;
    }

    /// The value of a field, uninterpreted; `None` if absent or `null`.
    pub fn value(&mut self, names: &str) -> Option<&'a Value<'a>> {
        self.take(names).map(|(_, value)| value)
    }

    /// Whether the field is there, be it `null`. Marks it known.
    pub fn has(&mut self, names: &str) -> bool {
        let entries = self.entries;
        let _ = self.take(names);
        names.split('|').any(|name| entries.iter().any(|(key, _)| key.eq_ignore_ascii_case(name)))
    }

    /// The last value of the first name that has one other than `null`.
    fn take<'n>(&mut self, names: &'n str) -> Option<(&'n str, &'a Value<'a>)> {
        let mut found = None;
        for name in names.split('|') {
            let last = self.sent(name).last();
            if found.is_none() {
                found = last.filter(|value| !value.is_null()).map(|value| (name, value));
            }
        }
        found
    }

    /// All that was sent under a name, in order. Marks it known.
    fn sent<'n>(&mut self, name: &'n str) -> impl Iterator<Item = &'a Value<'a>> + use<'a, 'n> {
        let mut first = self.entries.len();
        for (at, (key, _)) in self.entries.iter().enumerate() {
            if key.eq_ignore_ascii_case(name) {
                self.taken[at] = true;
                first = first.min(at);
            }
        }
        let rest = self.entries[first..].iter();
        rest.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What `read` makes of all that was sent under the first name under which something was sent that is not empty.
    fn first_of<T>(
        &mut self,
        names: &str,
        empty: impl Fn(&T) -> bool,
        mut read: impl FnMut(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        for name in names.split('|') {
            let own = read(self, name);
            if own.is_some() && found.as_ref().is_none_or(&empty) {
                found = own;
            }
        }
        found
    }

    fn wrong_kind(&self, name: &str, value: &Value<'_>, wanted: &str) {
        self.problems.note(value.at, || mismatch(value, self.path.name_of(name), wanted.into()));
    }

    fn scalar<T: Default + PartialEq>(
        &mut self,
        names: &str,
        go_type: &str,
        read: impl Fn(&Kind<'a>) -> Option<T>,
    ) -> Option<T> {
        self.first_of(
            names,
            |value| *value == T::default(),
            |f, name| {
                let mut last = None;
                for value in f.sent(name).filter(|value| !value.is_null()) {
                    last = read(&value.kind);
                    if last.is_none() {
                        f.wrong_kind(name, value, go_type);
                    }
                }
                last
            },
        )
    }

    /// A string, if there.
    pub fn opt_string(&mut self, names: &str) -> Option<String> {
        self.scalar(names, "string", |kind| match kind {
            Kind::String(text) => Some(text.as_ref().into()),
            _ => None,
        })
    }

    /// A string; empty if absent.
    pub fn string(&mut self, names: &str) -> String {
        self.opt_string(names).unwrap_or_default()
    }

    /// A string whose type has a name in Go, such as `api.KVOp`; empty if absent.
    pub fn string_of(&mut self, names: &str, go_type: &str) -> String {
        let found = self.scalar(names, go_type, |kind| match kind {
            Kind::String(text) => Some(text.to_string()),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// A shared string; empty if absent.
    pub fn str(&mut self, names: &str) -> Str {
        let found = self.scalar(names, "string", |kind| match kind {
            Kind::String(text) => Some(Str::from(text.as_ref())),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// A boolean, if there.
    pub fn opt_bool(&mut self, names: &str) -> Option<bool> {
        self.scalar(names, "bool", |kind| match kind {
            Kind::Bool(value) => Some(*value),
            _ => None,
        })
    }

    /// A boolean; false if absent.
    pub fn bool(&mut self, names: &str) -> bool {
        self.opt_bool(names).unwrap_or_default()
    }

    /// A Go `int` (64 bits), if there. A fraction or an exponent is refused, as in Go.
    pub fn opt_int(&mut self, names: &str) -> Option<i64> {
        self.scalar(names, "int", |kind| match kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// A Go `int` (64 bits); 0 if absent.
    pub fn int(&mut self, names: &str) -> i64 {
        self.opt_int(names).unwrap_or_default()
    }

    /// A Go `uint64`; 0 if absent.
    pub fn uint64(&mut self, names: &str) -> u64 {
        let found = self.scalar(names, "uint64", |kind| match kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// A Go `uint32`; 0 if absent.
    pub fn uint32(&mut self, names: &str) -> u32 {
        let found = self.scalar(names, "uint32", |kind| match kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// A Go `float64`; 0 if absent.
    pub fn float64(&mut self, names: &str) -> f64 {
        let found = self.scalar(names, "float64", |kind| match kind {
            Kind::Number(text) => text.parse().ok().filter(|f: &f64| f.is_finite()),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// A list of Go `float64`; empty if absent.
    pub fn float64s(&mut self, names: &str) -> Vec<f64> {
        let number = |kind: &Kind<'_>| match kind {
            Kind::Number(text) => text.parse().ok().filter(|f: &f64| f.is_finite()),
            _ => None,
        };
        let list = self.first_of(names, Vec::is_empty, |f, name| {
            f.list(name, "[]float64", |f, kept, item| {
                let sent = number(&item.kind);
                if sent.is_none() && !item.is_null() {
                    f.wrong_kind(name, item, "float64");
                }
                sent.or(kept)
            })
        });
        list.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect()
    }

    /// A duration in nanoseconds, if there: a text such as `10s`, or a number of nanoseconds.
    ///
    /// As in Consul, a fraction of a nanosecond is dropped and any other kind of value counts as absent.
    pub fn opt_duration(&mut self, names: &str) -> Option<i64> {
        let (_, value) = self.take(names)?;
        match &value.kind {
            Kind::String(text) => match duration::parse(text) {
                Ok(nanos) => Some(nanos),
                Err(error) => {
                    self.problems.note(value.at, || Error::Duration(error));
                    None
                }
            },
            // The cast saturates; Go goes through a float as well.
            Kind::Number(text) => text.parse::<f64>().ok().map(|nanos| nanos as i64),
            _ => None,
        }
    }

    /// A duration in nanoseconds; 0 if absent. See [`Fields::opt_duration`].
    pub fn duration(&mut self, names: &str) -> i64 {
        self.opt_duration(names).unwrap_or_default()
    }

    /// Base64 bytes (a Go `[]byte`), if there.
    pub fn opt_base64(&mut self, names: &str) -> Option<Vec<u8>> {
        self.first_of(names, Vec::is_empty, |f, name| {
            let mut last = None;
            for value in f.sent(name) {
                last = match &value.kind {
                    Kind::Null => None,
                    Kind::String(text) => b64::decode(text.as_bytes())
                        .map_err(|error| f.problems.note(value.at, || Error::Base64(error)))
                        .ok(),
                    _ => {
                        f.wrong_kind(name, value, "[]uint8");
                        None
                    }
                };
            }
            last
        })
    }

    /// Base64 bytes; empty if absent.
    pub fn base64(&mut self, names: &str) -> Vec<u8> {
        self.opt_base64(names).unwrap_or_default()
    }

    /// A list, if there: at each position what was sent there, with `null` where nothing else was.
    ///
    /// Go keeps the places of a list when a shorter one is read into it, and shows them again under a longer one.
    fn list<T>(
        &mut self,
        name: &str,
        go_type: &str,
        mut place: impl FnMut(&Self, Option<T>, &'a Value<'a>) -> Option<T>,
    ) -> Option<Vec<Option<T>>> {
        let mut places: Vec<Option<T>> = Vec::new();
        let mut len = None;
        for value in self.sent(name) {
            match &value.kind {
                Kind::Array(items) => {
                    if items.is_empty() {
                        places.clear();
                    }
                    len = Some(items.len());
                    places.resize_with(places.len().max(items.len()), || None);
                    for (kept, item) in places.iter_mut().zip(items) {
                        *kept = place(self, kept.take(), item);
                    }
                }
                Kind::Null => (places, len) = (Vec::new(), None),
                _ => self.wrong_kind(name, value, go_type),
            }
        }
        places.truncate(len?);
        Some(places)
    }

    /// A list of strings, if there; an element that is `null` is the empty string.
    pub fn opt_strings<S: for<'s> From<&'s str>>(&mut self, names: &str) -> Option<Vec<S>> {
        self.opt_strings_of(names, "string")
    }

    /// A list of strings whose type has a name in Go, such as `types.CheckID`, if there.
    pub fn opt_strings_of<S: for<'s> From<&'s str>>(&mut self, names: &str, go_type: &str) -> Option<Vec<S>> {
        let list_type = alloc::format!("[]{go_type}");
        let list = self.first_of(names, Vec::is_empty, |f, name| {
            f.list(name, &list_type, |f, kept, item| match item.kind {
                Kind::Null => kept,
                _ => Some(f.text_of(name, item, go_type)),
            })
        })?;
        Some(list.into_iter().map(|text| S::from(text.unwrap_or(""))).collect())
    }

    /// A list of strings; empty if absent.
    pub fn strings<S: for<'s> From<&'s str>>(&mut self, names: &str) -> Vec<S> {
        self.opt_strings(names).unwrap_or_default()
    }

    fn text_of(&self, name: &str, value: &'a Value<'a>, go_type: &str) -> &'a str {
        match &value.kind {
            Kind::String(text) => text,
            Kind::Null => "",
            _ => {
                self.wrong_kind(name, value, go_type);
                ""
            }
        }
    }

    /// A map, if there, with what `item` makes of each of its values.
    fn map<S, T>(
        &mut self,
        names: &str,
        go_type: &str,
        mut item: impl FnMut(&Self, &str, &'a Value<'a>) -> Option<T>,
    ) -> Option<BTreeMap<S, T>>
    where
        S: for<'s> From<&'s str> + Ord,
    {
        self.first_of(names, BTreeMap::is_empty, |f, name| {
            let mut map = None;
            for value in f.sent(name) {
                match &value.kind {
                    Kind::Object(entries) => {
                        let map = map.get_or_insert_with(BTreeMap::new);
                        for (key, value) in entries {
                            if let Some(item) = item(f, name, value) {
                                map.insert(S::from(key), item);
                            }
                        }
                    }
                    Kind::Null => map = None,
                    _ => f.wrong_kind(name, value, go_type),
                }
            }
            map
        })
    }

    /// An object of strings, if there. Keys are kept as sent.
    pub fn opt_string_map<S>(&mut self, names: &str) -> Option<BTreeMap<S, S>>
    where
        S: for<'s> From<&'s str> + Ord,
    {
        self.map(names, "map[string]string", |f, name, value| Some(S::from(f.text_of(name, value, "string"))))
    }

    /// An object of strings; empty if absent.
    pub fn string_map<S>(&mut self, names: &str) -> BTreeMap<S, S>
    where
        S: for<'s> From<&'s str> + Ord,
    {
        self.opt_string_map(names).unwrap_or_default()
    }

    /// An object of string lists, such as HTTP headers; empty if absent.
    pub fn string_lists<S>(&mut self, names: &str) -> BTreeMap<S, Vec<S>>
    where
        S: for<'s> From<&'s str> + Ord,
    {
        let map = self.map(names, "map[string][]string", |f, name, value| match &value.kind {
            Kind::Array(items) => {
                Some(items.iter().map(|item| f.text_of(name, item, "string").into()).collect())
            }
            Kind::Null => Some(Vec::new()),
            _ => {
                f.wrong_kind(name, value, "[]string");
                None
            }
        });
        map.unwrap_or_default()
    }

    fn read_nested<T>(
        &self,
        name: &str,
        entries: &[Entry<'_>],
        shape: Struct,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> T {
        let path = Path { parent: Some(self.path), field: name, shape };
        read_object(entries, &path, self.unknown, self.problems, read)
    }

    /// `value` read into an object that has been sent before; `None` if it is another kind.
    fn onto(
        &self,
        name: &str,
        shape: Struct,
        before: Option<Object<'a>>,
        value: &'a Value<'a>,
    ) -> Option<Object<'a>> {
        match (&value.kind, before) {
            (Kind::Object(entries), None) => Some(Cow::Borrowed(entries)),
            (Kind::Object(entries), Some(mut all)) => {
                all.to_mut().extend_from_slice(entries);
                Some(all)
            }
            (_, before) => {
                self.wrong_kind(name, value, &shape.go_type());
                before
            }
        }
    }

    fn read_sent<T>(
        &mut self,
        names: &str,
        shape: Struct,
        forgets: bool,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let all = self.first_of(
            names,
            |_| false,
            |f, name| {
                let mut all = None;
                for value in f.sent(name) {
                    match value.kind {
                        Kind::Null if forgets => all = None,
                        Kind::Null => {}
                        _ => all = f.onto(name, shape, all.take(), value),
                    }
                }
                all
            },
        )?;
        let name = names.split('|').next().unwrap_or(names);
        Some(self.read_nested(name, &all, shape, read))
    }

    /// An object, if there; `read` takes its fields. A pointer in Go: `null` forgets what was sent before.
    pub fn object<T>(
        &mut self,
        names: &str,
        shape: Struct,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        self.read_sent(names, shape, true, read)
    }

    /// An object that is part of the one around it: `null` says nothing.
    pub fn part<T>(
        &mut self,
        names: &str,
        shape: Struct,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        self.read_sent(names, shape, false, read)
    }

    /// A list of objects; empty if absent. An element that is `null` reads as an empty object.
    pub fn objects<T>(
        &mut self,
        names: &str,
        shape: Struct,
        mut read: impl FnMut(&mut Fields<'_>) -> T,
    ) -> Vec<T> {
        let list_type = alloc::format!("[]{}", shape.go_type());
        let list = self.first_of(names, Vec::is_empty, |f, name| {
            f.list(name, &list_type, |f, before, item| match item.kind {
                Kind::Null => None,
                _ => f.onto(name, shape, before, item),
            })
        });
        let name = names.split('|').next().unwrap_or(names);
        let list = list.unwrap_or_default().into_iter();
        list.map(|all| self.read_nested(name, all.as_deref().unwrap_or(&[]), shape, &mut read)).collect()
    }

    /// An object whose values are objects, such as tagged addresses; empty if absent.
    pub fn object_map<S, T>(
        &mut self,
        names: &str,
        shape: Struct,
        mut read: impl FnMut(&mut Fields<'_>) -> T,
    ) -> BTreeMap<S, T>
    where
        S: for<'s> From<&'s str> + Ord,
    {
        let go_type = alloc::format!("map[string]{}", shape.go_type());
        let map = self.map(names, &go_type, |f, name, value| {
            let all = match value.kind {
                Kind::Null => Cow::Borrowed(&[] as &[_]),
                _ => f.onto(name, shape, None, value)?,
            };
            Some(f.read_nested(name, &all, shape, &mut read))
        });
        map.unwrap_or_default()
    }
}
