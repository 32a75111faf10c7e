//! Taking typed fields out of parsed JSON by the rules of Go's decoder.
//!
//! A handler reads its fields one after the other with plain accessors that give a default on anything
//! odd; problems are collected on the side, and [`decode`] returns the one that stands first in the text,
//! which is the one that Consul answers with. Absent and `null` are the same.

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
/// spellings, give them all: `"EnableTagOverride|enable_tag_override"`, the first one present counts.
/// Every key asked for is known, whether it was there or not; of duplicate keys the last one counts.
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

    fn take<'n>(&mut self, names: &'n str) -> Option<(&'n str, &'a Value<'a>)> {
        let mut found = None;
        for name in names.split('|') {
            let mut last = None;
            for ((key, value), taken) in self.entries.iter().zip(&mut self.taken) {
                if key.eq_ignore_ascii_case(name) {
                    *taken = true;
                    last = Some(value);
                }
            }
            if found.is_none() {
                found = last.filter(|value| !value.is_null()).map(|value| (name, value));
            }
        }
        found
    }

    fn wrong_kind(&self, name: &str, value: &Value<'_>, wanted: &str) {
        self.problems.note(value.at, || mismatch(value, self.path.name_of(name), wanted.into()));
    }

    fn scalar<T>(
        &mut self,
        names: &str,
        go_type: &str,
        read: impl FnOnce(&Kind<'a>) -> Option<T>,
    ) -> Option<T> {
        let (name, value) = self.take(names)?;
        let out = read(&value.kind);
        if out.is_none() {
            self.wrong_kind(name, value, go_type);
        }
        out
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
        found.unwrap_or_else(|| Str::from(""))
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
        let name = names.split('|').next().unwrap_or(names);
        let number = |item: &Value<'_>| match &item.kind {
            Kind::Number(text) => text.parse().ok().filter(|f: &f64| f.is_finite()),
            Kind::Null => Some(0.0),
            _ => None,
        };
        let items = self.array(names, "[]float64").unwrap_or_default();
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            match number(item) {
                Some(number) => found.push(number),
                None => self.wrong_kind(name, item, "float64"),
            }
        }
        found
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
        let (name, value) = self.take(names)?;
        let Kind::String(text) = &value.kind else {
            self.wrong_kind(name, value, "[]uint8");
            return None;
        };
        match b64::decode(text.as_bytes()) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.problems.note(value.at, || Error::Base64(error));
                None
            }
        }
    }

    /// Base64 bytes; empty if absent.
    pub fn base64(&mut self, names: &str) -> Vec<u8> {
        self.opt_base64(names).unwrap_or_default()
    }

    fn array(&mut self, names: &str, go_type: &str) -> Option<&'a [Value<'a>]> {
        let (name, value) = self.take(names)?;
        match &value.kind {
            Kind::Array(items) => Some(items),
            _ => {
                self.wrong_kind(name, value, go_type);
                None
            }
        }
    }

    /// A list of strings, if there; an element that is `null` is the empty string.
    pub fn opt_strings<S: for<'s> From<&'s str>>(&mut self, names: &str) -> Option<Vec<S>> {
        self.opt_strings_of(names, "string")
    }

    /// A list of strings whose type has a name in Go, such as `types.CheckID`, if there.
    pub fn opt_strings_of<S: for<'s> From<&'s str>>(&mut self, names: &str, go_type: &str) -> Option<Vec<S>> {
        let items = self.array(names, &alloc::format!("[]{go_type}"))?;
        let name = names.split('|').next().unwrap_or(names);
        Some(items.iter().map(|item| self.text_of(name, item, go_type).into()).collect())
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

    fn entries_of(&mut self, names: &str, go_type: &str) -> Option<&'a [Entry<'a>]> {
        let (name, value) = self.take(names)?;
        match &value.kind {
            Kind::Object(entries) => Some(entries),
            _ => {
                self.wrong_kind(name, value, go_type);
                None
            }
        }
    }

    /// An object of strings, if there. Keys are kept as sent.
    pub fn opt_string_map<S>(&mut self, names: &str) -> Option<BTreeMap<S, S>>
    where
        S: for<'s> From<&'s str> + Ord,
    {
        let entries = self.entries_of(names, "map[string]string")?;
        let name = names.split('|').next().unwrap_or(names);
        Some(
            entries
                .iter()
                .map(|(key, value)| (S::from(key), S::from(self.text_of(name, value, "string"))))
                .collect(),
        )
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
        let name = names.split('|').next().unwrap_or(names);
        let mut out = BTreeMap::new();
        for (key, value) in self.entries_of(names, "map[string][]string").unwrap_or_default() {
            let list = match &value.kind {
                Kind::Array(items) => {
                    items.iter().map(|item| self.text_of(name, item, "string").into()).collect()
                }
                Kind::Null => Vec::new(),
                _ => {
                    self.wrong_kind(name, value, "[]string");
                    Vec::new()
                }
            };
            out.insert(S::from(key), list);
        }
        out
    }

    fn read_nested<T>(
        &self,
        name: &str,
        value: &Value<'_>,
        shape: Struct,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let path = Path { parent: Some(self.path), field: name, shape };
        let entries = match &value.kind {
            Kind::Object(entries) => entries.as_slice(),
            Kind::Null => &[],
            _ => {
                self.wrong_kind(name, value, &shape.go_type());
                return None;
            }
        };
        Some(read_object(entries, &path, self.unknown, self.problems, read))
    }

    /// An object, if there; `read` takes its fields.
    pub fn object<T>(
        &mut self,
        names: &str,
        shape: Struct,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let (name, value) = self.take(names)?;
        self.read_nested(name, value, shape, read)
    }

    /// A list of objects; empty if absent. An element that is `null` reads as an empty object.
    pub fn objects<T>(
        &mut self,
        names: &str,
        shape: Struct,
        mut read: impl FnMut(&mut Fields<'_>) -> T,
    ) -> Vec<T> {
        let name = names.split('|').next().unwrap_or(names);
        let items = self.array(names, &alloc::format!("[]{}", shape.go_type())).unwrap_or_default();
        items.iter().filter_map(|item| self.read_nested(name, item, shape, &mut read)).collect()
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
        let name = names.split('|').next().unwrap_or(names);
        let go_type = alloc::format!("map[string]{}", shape.go_type());
        let mut out = BTreeMap::new();
        for (key, value) in self.entries_of(names, &go_type).unwrap_or_default() {
            if let Some(item) = self.read_nested(name, value, shape, &mut read) {
                out.insert(S::from(key), item);
            }
        }
        out
    }
}
