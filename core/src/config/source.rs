//! One source: its text to a tree of known keys and right types.
//!
//! The tree is a JSON object whose keys are the canonical names of [`super::keys`] and whose values
//! have the types given there; nulls are gone. What is wrong comes out in Consul's words.

use super::hcl;
use super::keys::{Key, Kind, ROOT};
use super::tree::Tree;
use crate::json;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Number, Value};

/// One configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path, for messages.
    pub name: String,
    /// How the text is written.
    pub format: Format,
    /// All of it.
    pub text: String,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Strict JSON; a file of nothing but white space is an empty configuration.
    Json,
    /// HashiCorp's configuration language.
    Hcl,
}

/// Reads one source, or says why not, naming the file.
pub(super) fn read(source: &Source) -> Result<Tree, String> {
    read_as(source.format, &source.name, parse(source)?)
}

/// The document that a source holds, with nothing known of its keys; null if it holds none. HCL writes an object as
/// a list of one.
///
/// # Errors
/// What is wrong with the text, naming the file.
pub fn parse(source: &Source) -> Result<Value, String> {
    if source.text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let parsed = match source.format {
        Format::Json => json::parse(source.text.as_bytes()).map_err(|why| why.to_string()).and_then(to_value),
        Format::Hcl => hcl::read(&source.text),
    };
    parsed.map_err(|why| failed(&source.name, &why))
}

/// Reads JSON text.
pub(super) fn read_text(name: &str, text: &str) -> Result<Tree, String> {
    read(&Source { name: name.into(), format: Format::Json, text: text.into() })
}

/// Reads a parsed document.
pub(super) fn read_value(name: &str, value: Value) -> Result<Tree, String> {
    read_as(Format::Json, name, value)
}

fn read_as(format: Format, name: &str, value: Value) -> Result<Tree, String> {
    let raw = match value {
        Value::Null => return Ok(Tree::new()),
        Value::Object(raw) => raw,
        other => {
            let why = format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_kind(&other)
            );
            return Err(failed(name, &why));
        }
    };
    let mut decoder = Decoder { format, unknown: Vec::new(), wrong: Vec::new() };
    let tree = decoder.object(ROOT, raw, "");
    if !decoder.wrong.is_empty() {
        let lines = decoder.wrong.join("\n");
        return Err(failed(name, &format!("decoding failed due to the following error(s):\n\n{lines}")));
    }
    if !decoder.unknown.is_empty() {
        let errors = decoder.unknown.iter().map(|key| format!("invalid config key {key}"));
        return Err(failed(name, &several(&errors.collect::<Vec<_>>())));
    }
    Ok(tree)
}

fn failed(name: &str, why: &str) -> String {
    format!("failed to parse {name}: {why}")
}

/// Of a key given twice the last counts, as in a Go map.
pub(super) fn to_value(parsed: json::Value<'_>) -> Result<Value, String> {
    Ok(match parsed.kind {
        json::Kind::Null => Value::Null,
        json::Kind::Bool(on) => Value::Bool(on),
        json::Kind::String(text) => Value::String(text.into_owned()),
        json::Kind::Number(text) => Value::Number(number(text)?),
        json::Kind::Array(items) => items.into_iter().map(to_value).collect::<Result<Value, _>>()?,
        json::Kind::Object(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(key.into_owned(), to_value(value)?);
            }
            Value::Object(object)
        }
    })
}

fn number(text: &str) -> Result<Number, String> {
    let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    let float = || text.parse::<f64>().ok().and_then(Number::from_f64);
    whole
        .ok()
        .or_else(float)
        .ok_or_else(|| format!("json: cannot unmarshal number {text} into Go value of type float64"))
}

/// Errors as Consul lists them: a count, then one line each.
pub(super) fn several(errors: &[String]) -> String {
    let mut out = match errors.len() {
        1 => String::from("1 error occurred:\n"),
        n => format!("{n} errors occurred:\n"),
    };
    for error in errors {
        out.push_str("\t* ");
        out.push_str(error);
        out.push('\n');
    }
    out.push('\n');
    out
}

struct Decoder {
    /// How the source is written: errors name the types of what was read.
    format: Format,
    /// Paths of keys that are in no table.
    unknown: Vec<String>,
    /// One line per value of the wrong type.
    wrong: Vec<String>,
}

impl Decoder {
    fn object(
        &mut self,
        keys: &'static [Key],
        mut raw: Map<String, Value>,
        path: &str,
    ) -> Map<String, Value> {
        let mut tree = Map::new();
        for key in keys {
            let Some(mut value) = take(&mut raw, key) else { continue };
            // In Go a single value of a struct is behind a pointer, and what is behind it is unpacked once more.
            if matches!(key.kind, Kind::Bool | Kind::Number(_) | Kind::Text | Kind::Duration) {
                value = only_element(value);
            }
            if let Some(value) = self.value(key.kind, value, &join(path, key.name)) {
                tree.insert(key.name.into(), value);
            }
        }
        self.unknown.extend(raw.keys().map(|name| join(path, name)));
        tree
    }

    /// `None`: null, or wrong and noted.
    fn value(&mut self, kind: Kind, value: Value, path: &str) -> Option<Value> {
        let list = matches!(kind, Kind::TextList | Kind::AnyList | Kind::ObjectList(_));
        let value = if list { value } else { only_element(value) };
        match (kind, value) {
            (_, Value::Null) => None,
            (Kind::Bool, value @ Value::Bool(_))
            | (Kind::Text | Kind::Duration, value @ Value::String(_)) => Some(value),
            (Kind::Number(go), Value::Number(number)) => match to_number(go, &number, self.format) {
                Ok(number) => Some(Value::Number(number)),
                Err(why) => {
                    self.wrong.push(format!("'{path}' {why}"));
                    None
                }
            },
            (Kind::Any, Value::Object(raw)) => Some(Value::Object(unpack(raw))),
            (Kind::Object(keys), Value::Object(raw)) => Some(Value::Object(self.object(keys, raw, path))),
            (Kind::TextMap, Value::Object(raw)) => {
                Some(self.map(raw, path, Kind::Text, Value::String(String::new())))
            }
            (Kind::TextListMap, Value::Object(raw)) => {
                Some(self.map(raw, path, Kind::TextList, Value::Array(Vec::new())))
            }
            (Kind::ObjectMap(keys), Value::Object(raw)) => {
                Some(self.map(raw, path, Kind::Object(keys), Value::Object(Map::new())))
            }
            (Kind::TextList, Value::Array(items)) => {
                Some(self.list(items, path, Kind::Text, Value::String(String::new())))
            }
            (Kind::AnyList, Value::Array(items)) => {
                Some(self.list(items, path, Kind::Any, Value::Object(Map::new())))
            }
            (Kind::ObjectList(keys), Value::Array(items)) => {
                Some(self.list(items, path, Kind::Object(keys), Value::Object(Map::new())))
            }
            (kind, value) => {
                self.wrong.push(format!("'{path}' {}", wrong_type(kind, &value, self.format)));
                None
            }
        }
    }

    /// A null element becomes `empty`.
    fn list(&mut self, items: Vec<Value>, path: &str, kind: Kind, empty: Value) -> Value {
        let items = items.into_iter().enumerate();
        items
            .map(|(i, v)| self.value(kind, v, &format!("{path}[{i}]")).unwrap_or_else(|| empty.clone()))
            .collect()
    }

    fn map(&mut self, raw: Map<String, Value>, path: &str, kind: Kind, empty: Value) -> Value {
        let entries = raw.into_iter().map(|(name, value)| {
            let value = self.value(kind, value, &format!("{path}[{name}]")).unwrap_or_else(|| empty.clone());
            (name, value)
        });
        Value::Object(entries.collect())
    }
}

/// Takes out the value of `key`: by its exact name, else in other letter case, else by its alias.
///
/// The alias is dropped when the key itself is there; the same key twice in different letter case
/// leaves one behind, which is then unknown.
fn take(raw: &mut Map<String, Value>, key: &Key) -> Option<Value> {
    let mut by_alias = None;
    if !key.alias.is_empty() {
        let names: Vec<String> = raw.keys().filter(|n| n.eq_ignore_ascii_case(key.alias)).cloned().collect();
        for name in names {
            by_alias = raw.remove(&name);
        }
    }
    if let Some(value) = raw.remove(key.name) {
        return Some(value);
    }
    let other_case = raw.keys().find(|name| name.eq_ignore_ascii_case(key.name)).cloned();
    by_alias.or_else(|| other_case.and_then(|name| raw.remove(&name)))
}

/// HCL writes an object as a list of one; Consul undoes that in JSON too.
fn only_element(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() == 1 => items.pop().unwrap_or(Value::Null),
        other => other,
    }
}

/// In settings that nothing interprets, what stands in a list of one is taken out of it, at every depth.
fn unpack(raw: Map<String, Value>) -> Map<String, Value> {
    fn deep(value: Value) -> Value {
        match value {
            Value::Object(raw) => {
                Value::Object(raw.into_iter().map(|(k, v)| (k, only_element(deep(v)))).collect())
            }
            Value::Array(items) => items.into_iter().map(deep).collect(),
            other => other,
        }
    }
    let entries = raw.into_iter().map(|(name, value)| match value {
        Value::Array(mut items) if items.len() == 1 => (name, deep(items.pop().unwrap_or(Value::Null))),
        other => (name, other),
    });
    entries.collect()
}

/// A number as the Go type named: fractions are cut off, what is out of range saturates.
fn to_number(go: &'static str, number: &Number, format: Format) -> Result<Number, String> {
    let float = number.as_f64().unwrap_or(0.0);
    Ok(match go {
        "float64" => number.clone(),
        "int" => number.as_i64().unwrap_or(float as i64).into(),
        _ if float < 0.0 && format == Format::Hcl && !number.is_f64() => {
            return Err(format!("cannot parse value as '{go}': {number} overflows uint"));
        }
        _ if float < 0.0 => return Err(format!("cannot parse value as '{go}': {float:.6} overflows uint")),
        "uint32" => number.as_u64().unwrap_or(float as u64).min(u64::from(u32::MAX)).into(),
        _ => number.as_u64().unwrap_or(float as u64).into(),
    })
}

fn wrong_type(kind: Kind, value: &Value, format: Format) -> String {
    let expected = match kind {
        Kind::TextList | Kind::AnyList | Kind::ObjectList(_) => {
            return format!("source data must be an array or slice, got {}", go_kind(value, format));
        }
        Kind::Object(_) => return format!("expected a map or struct, got \"{}\"", go_kind(value, format)),
        Kind::Bool => "bool",
        Kind::Number(go) => go,
        Kind::Text | Kind::Duration => "string",
        Kind::TextMap => "map[string]string",
        Kind::TextListMap => "map[string][]string",
        Kind::Any => "map[string]interface {}",
        Kind::ObjectMap(_) => "map[string]config.ServiceAddress",
    };
    format!("expected type '{expected}', got unconvertible type '{}'", go_type(value, format))
}

fn go_kind(value: &Value, format: Format) -> &'static str {
    match value {
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        other => go_type(other, format),
    }
}

fn go_type(value: &Value, format: Format) -> &'static str {
    match value {
        Value::Number(number) if format == Format::Hcl && !number.is_f64() => "int",
        // Blocks; a list of objects in brackets is told apart from them no more.
        Value::Array(items) if format == Format::Hcl && items.iter().all(Value::is_object) => {
            "[]map[string]interface {}"
        }
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}
