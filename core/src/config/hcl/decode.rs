//! Items to plain values, as HashiCorp's decoder fills a map of anything.

use super::parse::{Item, Name, Node};
use super::scan::{Kind, Place, Token, heredoc_value};
use super::{Error, string_value};
use crate::strconv;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Number, Value};

/// The document as one object of at most `most` values.
pub(super) fn document(items: &[Item<'_>], most: usize) -> Result<Value, Error> {
    let items: Vec<View<'_, '_>> = items.iter().map(View::whole).collect();
    let mut decoder = Decoder { left: most.saturating_add(1) };
    decoder.object("root", Place::default(), &items).map(Value::Object)
}

/// An item without the first of its keys, as a label leads to it.
#[derive(Clone, Copy)]
struct View<'a, 't> {
    keys: &'a [Name],
    value: &'a Node<'t>,
}

impl<'a, 't> View<'a, 't> {
    fn whole(item: &'a Item<'t>) -> View<'a, 't> {
        View { keys: &item.keys, value: &item.value }
    }

    fn place(&self) -> Place {
        self.keys.first().map_or(Place::default(), |key| key.place)
    }
}

/// What is decoded under a key: a value, or the items that share it as their first key.
enum Source<'a, 't> {
    Node(&'a Node<'t>),
    Labelled(Vec<View<'a, 't>>),
}

impl Source<'_, '_> {
    fn place(&self) -> Place {
        match self {
            Source::Node(node) => node.place(),
            Source::Labelled(views) => views.first().map_or(Place::default(), View::place),
        }
    }

    /// The type in the decoder's errors.
    fn shown(&self) -> &'static str {
        match self {
            Source::Node(Node::Literal(_)) => "*ast.LiteralType",
            Source::Node(Node::List(..)) => "*ast.ListType",
            Source::Node(Node::Object(..)) => "*ast.ObjectType",
            Source::Labelled(_) => "*ast.ObjectList",
        }
    }
}

fn at(place: Place, what: String) -> Error {
    Error(format!("At {place}: {what}"))
}

struct Decoder {
    /// How many values may still come.
    left: usize,
}

impl Decoder {
    fn count(&mut self) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error("the same labels in different spelling hold more values than the text has bytes".into())
        })?;
        Ok(())
    }

    fn object(
        &mut self,
        name: &str,
        place: Place,
        items: &[View<'_, '_>],
    ) -> Result<Map<String, Value>, Error> {
        self.count()?;
        let mut map = Map::new();
        // Labels of a key stand together, however its letters are written; made when first needed.
        let mut groups: Option<BTreeMap<String, Vec<usize>>> = None;
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for item in items {
            let Some((key, labels)) = item.keys.split_first() else {
                return Err(at(place, format!("{name}: map must have string keys")));
            };
            if done.contains(key.text.as_str()) {
                continue;
            }
            let source = if labels.is_empty() {
                Source::Node(item.value)
            } else {
                let groups = groups.get_or_insert_with(|| group(items));
                let same = groups.get(&key.text.to_lowercase()).map_or(&[][..], Vec::as_slice);
                let same = same.iter().filter_map(|i| items.get(*i));
                let views = same.map(|view| View { keys: &view.keys[1..], value: view.value });
                done.insert(&key.text);
                Source::Labelled(views.collect())
            };
            let old = map.remove(&key.text);
            let value = self.value(&format!("{name}.{}", key.text), &source, old)?;
            map.insert(key.text.clone(), value);
        }
        Ok(map)
    }

    /// A value directly in an object. `old` is what the key held already.
    fn value(&mut self, name: &str, source: &Source<'_, '_>, old: Option<Value>) -> Result<Value, Error> {
        self.count()?;
        let literal = match source {
            Source::Node(Node::Literal(token)) => Some(token),
            _ => None,
        };
        match (old, source) {
            (None, Source::Node(Node::Literal(token))) => literal_value(token),
            (None, Source::Node(Node::List(_, nodes))) => self.list(name, nodes, Vec::new()),
            (None, _) => self.blocks(name, source, Vec::new()),
            (Some(Value::Array(items)), Source::Node(Node::List(_, nodes))) => {
                // A list under a name that held blocks: its elements must be blocks too.
                let blocks = !items.is_empty() && items.iter().all(Value::is_object);
                let stranger = nodes.iter().position(|node| !matches!(node, Node::Object(..)));
                match (blocks, stranger) {
                    (true, Some(i)) => {
                        let shown = Source::Node(&nodes[i]).shown();
                        let what = format!("{name}[{i}]: not an object type for map ({shown})");
                        Err(at(nodes[i].place(), what))
                    }
                    _ => self.list(name, nodes, items),
                }
            }
            (Some(Value::Array(_)), Source::Node(Node::Literal(token))) => {
                Err(at(token.place, format!("unknown slice type: {}", source.shown())))
            }
            (Some(Value::Array(items)), _) => self.blocks(name, source, items),
            (Some(Value::String(_)), _) => match literal {
                Some(token) if token.kind == Kind::Number => Ok(Value::String(token.text.into())),
                Some(token) if matches!(token.kind, Kind::String | Kind::Heredoc) => literal_value(token),
                _ => Err(at(source.place(), format!("{name}: unknown type for string {}", source.shown()))),
            },
            (Some(old), _) => {
                let unknown = || at(source.place(), format!("{name}: unknown type {}", source.shown()));
                let token = literal.ok_or_else(unknown)?;
                again(&old, token).unwrap_or_else(|| Err(unknown()))
            }
        }
    }

    /// Blocks, each a map, behind `out`.
    fn blocks(&mut self, name: &str, source: &Source<'_, '_>, mut out: Vec<Value>) -> Result<Value, Error> {
        match source {
            Source::Node(Node::Object(place, items)) => {
                let views: Vec<View<'_, '_>> = items.iter().map(View::whole).collect();
                out.push(Value::Object(self.object(&format!("{name}[0]"), *place, &views)?));
            }
            Source::Labelled(views) => {
                for (i, view) in views.iter().enumerate() {
                    let one = core::slice::from_ref(view);
                    out.push(Value::Object(self.object(&format!("{name}[{i}]"), view.place(), one)?));
                }
            }
            Source::Node(Node::Literal(_) | Node::List(..)) => {}
        }
        Ok(Value::Array(out))
    }

    /// The elements of a list, behind `out`. An object here is itself, not a list of one.
    fn list(&mut self, name: &str, nodes: &[Node<'_>], mut out: Vec<Value>) -> Result<Value, Error> {
        for (i, node) in nodes.iter().enumerate() {
            self.count()?;
            let name = format!("{name}[{i}]");
            out.push(match node {
                Node::Literal(token) => literal_value(token)?,
                Node::List(_, inner) => self.list(&name, inner, Vec::new())?,
                Node::Object(place, items) => {
                    let views: Vec<View<'_, '_>> = items.iter().map(View::whole).collect();
                    Value::Object(self.object(&name, *place, &views)?)
                }
            });
        }
        Ok(Value::Array(out))
    }
}

fn group(items: &[View<'_, '_>]) -> BTreeMap<String, Vec<usize>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        if let Some(key) = item.keys.first() {
            groups.entry(key.text.to_lowercase()).or_default().push(i);
        }
    }
    groups
}

/// A literal for a key that held a boolean or a number: it must be one again. `None`: it is none.
fn again(old: &Value, token: &Token<'_>) -> Option<Result<Value, Error>> {
    match (old, token.kind) {
        (Value::Bool(_), Kind::Bool) => Some(literal_value(token)),
        (Value::Number(number), Kind::Float | Kind::Number) if number.is_f64() => Some(float(token.text)),
        (Value::Number(number), Kind::Number) if !number.is_f64() => Some(literal_value(token)),
        (Value::Number(number), Kind::String) if !number.is_f64() => {
            Some(string_value(token).and_then(|text| int(&text)))
        }
        _ => None,
    }
}

fn literal_value(token: &Token<'_>) -> Result<Value, Error> {
    match token.kind {
        Kind::Bool => Ok(Value::Bool(token.text == "true")),
        Kind::Number => int(token.text),
        Kind::Float => float(token.text),
        Kind::Heredoc => Ok(Value::String(heredoc_value(token.text))),
        _ => string_value(token).map(Value::String),
    }
}

fn int(text: &str) -> Result<Value, Error> {
    strconv::int(text.as_bytes(), 64, true).map(Value::from).map_err(Error)
}

fn float(text: &str) -> Result<Value, Error> {
    let error =
        |why| Error(format!("strconv.ParseFloat: parsing {}: {why}", strconv::quote(text.as_bytes())));
    // The decoder reads a whole number as a float too where the key held a float.
    let value: f64 = text.parse().map_err(|_| error("invalid syntax"))?;
    Number::from_f64(value).map(Value::Number).ok_or_else(|| error("value out of range"))
}
