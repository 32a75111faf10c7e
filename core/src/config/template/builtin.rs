//! Go's own functions: comparison, logic, parts of lists, and texts put together.

use super::eval::Takes;
use super::format::{escape_html, escape_js, escape_query, sprint, sprintf, sprintln};
use super::functions::{Call, Function};
use super::value::{Basic, Value};
use alloc::format;
use alloc::string::{String, ToString};

const fn function(name: &'static str, takes: &'static [Takes], rest: Option<Takes>, call: Call) -> Function {
    Function { name, takes, rest, call }
}

const ONE: &[Takes] = &[Takes::Value];
const TWO: &[Takes] = &[Takes::Value, Takes::Value];

/// `and` and `or` are called by who carries the template out.
pub(super) static FUNCTIONS: &[Function] = &[
    function("and", ONE, Some(Takes::Value), |_, _| Ok(Value::Nothing)),
    function("call", ONE, Some(Takes::Value), |_, args| match &args[0] {
        Value::Nothing => Err("call of nil".into()),
        value => Err(format!("non-function of type {}", value.go_type())),
    }),
    function("eq", ONE, Some(Takes::Value), |_, args| {
        if args.len() == 1 {
            return Err("missing argument for comparison".into());
        }
        for other in &args[1..] {
            if equal(&args[0], other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    function("ge", TWO, None, |_, args| Ok(Value::Bool(!less(&args[0], &args[1])?))),
    function("gt", TWO, None, |_, args| Ok(Value::Bool(!less_or_equal(&args[0], &args[1])?))),
    function("html", &[], Some(Takes::Any), |_, args| Ok(Value::Text(escape_html(&sprint(args))))),
    function("index", ONE, Some(Takes::Value), |_, args| {
        let mut item = match &args[0] {
            Value::Nothing => return Err("index of untyped nil".into()),
            item => item.clone(),
        };
        for index in &args[1..] {
            item = element(&item, index)?;
        }
        Ok(item)
    }),
    function("js", &[], Some(Takes::Any), |_, args| Ok(Value::Text(escape_js(&sprint(args))))),
    function("le", TWO, None, |_, args| Ok(Value::Bool(less_or_equal(&args[0], &args[1])?))),
    function("len", ONE, None, |_, args| match length(&args[0]) {
        Some(n) => Ok(Value::Int(n as i64)),
        None => match &args[0] {
            Value::Nothing => Err("reflect: call of reflect.Value.Type on zero Value".into()),
            value => Err(format!("len of type {}", value.go_type())),
        },
    }),
    function("lt", TWO, None, |_, args| Ok(Value::Bool(less(&args[0], &args[1])?))),
    function("ne", TWO, None, |_, args| Ok(Value::Bool(!equal(&args[0], &args[1])?))),
    function("not", ONE, None, |_, args| Ok(Value::Bool(!args[0].is_true()))),
    function("or", ONE, Some(Takes::Value), |_, _| Ok(Value::Nothing)),
    function("print", &[], Some(Takes::Any), |_, args| Ok(Value::Text(sprint(args)))),
    function("printf", &[Takes::Text], Some(Takes::Any), |_, args| match &args[0] {
        Value::Text(format) => sprintf(format, &args[1..]).map(Value::Text),
        _ => Ok(Value::Text(String::new())),
    }),
    function("println", &[], Some(Takes::Any), |_, args| Ok(Value::Text(sprintln(args)))),
    function("slice", ONE, Some(Takes::Value), |_, args| slice(&args[0], &args[1..])),
    function("urlquery", &[], Some(Takes::Any), |_, args| Ok(Value::Text(escape_query(&sprint(args))))),
];

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Addrs(all) => Some(all.len()),
        Value::Text(text) => Some(text.len()),
        Value::Ints(all) => Some(all.len()),
        Value::Hardware(text) => Some(text.split(':').filter(|byte| !byte.is_empty()).count()),
        _ => None,
    }
}

/// A place in a list of this length, or just behind it.
fn place(index: &Value, length: usize) -> Result<usize, String> {
    match (index, index.whole()) {
        (Value::Nothing, _) => Err("cannot index slice/array with nil".into()),
        (_, None) => Err(format!("cannot index slice/array with type {}", index.go_type())),
        (_, Some(n)) => match usize::try_from(n) {
            Ok(place) if place <= length => Ok(place),
            _ => Err(format!("index out of range: {n}")),
        },
    }
}

fn element(item: &Value, index: &Value) -> Result<Value, String> {
    let at = |length: usize| place(index, length);
    let slice = || String::from("reflect: slice index out of range");
    match item {
        Value::Addrs(all) => all.get(at(all.len())?).map(|addr| Value::Addr(addr.clone())).ok_or_else(slice),
        Value::Ints(all) => all.get(at(all.len())?).map(|n| Value::Int(*n)).ok_or_else(slice),
        Value::Text(text) => {
            let byte = text.as_bytes().get(at(text.len())?);
            let byte = byte.ok_or_else(|| String::from("reflect: string index out of range"))?;
            Ok(Value::Uint((*byte).into(), "uint8"))
        }
        other => Err(format!("can't index item of type {}", other.go_type())),
    }
}

fn slice(item: &Value, indexes: &[Value]) -> Result<Value, String> {
    let length = match item {
        Value::Nothing => return Err("slice of untyped nil".into()),
        _ if indexes.len() > 3 => return Err(format!("too many slice indexes: {}", indexes.len())),
        Value::Text(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Addrs(_) | Value::Ints(_) | Value::Text(_) => length(item).unwrap_or(0),
        other => return Err(format!("can't slice item of type {}", other.go_type())),
    };
    let mut ends = [0, length, length];
    for (end, index) in ends.iter_mut().zip(indexes) {
        *end = place(index, length)?;
    }
    let [from, to, most] = ends;
    for (from, to) in [(from, to), (to, most)] {
        if from > to {
            return Err(format!("invalid slice index: {from} > {to}"));
        }
    }
    Ok(match item {
        Value::Addrs(all) => Value::addrs(all[from..to].to_vec()),
        Value::Ints(all) => Value::Ints(all[from..to].into()),
        other => Value::Text(String::from_utf8_lossy(&other.shown().as_bytes()[from..to]).to_string()),
    })
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.go_type(), b.go_type())
}

fn is_whole(basic: Option<Basic>) -> bool {
    matches!(basic, Some(Basic::Int | Basic::Uint))
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    if is_whole(a.basic()) && is_whole(b.basic()) {
        return Ok(a.whole() == b.whole());
    }
    match (a, b) {
        (Value::Nothing, other) | (other, Value::Nothing) => Ok(matches!(other, Value::Nothing)),
        (a, b) if a.basic() != b.basic() => Err(incompatible(a, b)),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Sock(a, _), Value::Sock(b, _)) => Ok(a.ip == b.ip && a.length == b.length),
        (Value::Sock(..), Value::Addr(_) | Value::Interface(_)) => {
            Err(format!("non-comparable type {}: {}", b.shown(), b.go_type()))
        }
        (Value::Addr(_) | Value::Interface(_), Value::Sock(..)) => Ok(false),
        (a, b) if is_struct(a) != is_struct(b) => {
            let (kind, other) = (a.go_type(), b.go_type());
            Err(format!("non-comparable types {}: {kind}, {other}: {}", a.shown(), b.shown()))
        }
        (_, b) => Err(format!("non-comparable type {}: {}", b.shown(), b.go_type())),
    }
}

fn is_struct(value: &Value) -> bool {
    matches!(value, Value::Addr(_) | Value::Sock(..) | Value::Interface(_))
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    let (Some(kind), Some(other)) = (a.basic(), b.basic()) else {
        return Err("invalid type for comparison".into());
    };
    match (a, b) {
        _ if is_whole(Some(kind)) && is_whole(Some(other)) => Ok(a.whole() < b.whole()),
        _ if kind != other => Err(incompatible(a, b)),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        _ => Err("invalid type for comparison".into()),
    }
}

fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(less(a, b)? || equal(a, b)?)
}
