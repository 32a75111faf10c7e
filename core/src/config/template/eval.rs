//! Carrying a pipeline out: each stage is a function whose last argument is what the stage before gave.

use super::addr::{self, Addr};
use super::parse::{Command, Word, WordKind};
use super::{Wrong, select, sort};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a template looks at.
pub(super) struct Scope<'a> {
    /// All of it, for messages.
    pub(super) text: &'a str,
    /// The host's addresses.
    pub(super) all: &'a [Addr],
}

/// What a stage gives.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Addrs(Vec<Addr>),
    Text(String),
    /// As written.
    Number(String),
    Bool(bool),
}

impl Value {
    /// As it appears in the text.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Addrs(all) => {
                let each: Vec<String> = all.iter().map(Addr::described).collect();
                format!("[{}]", each.join(" "))
            }
            Value::Text(text) | Value::Number(text) => text.clone(),
            Value::Bool(yes) => yes.to_string(),
        }
    }

    /// Its type, as Go names it.
    fn go_type(&self) -> &'static str {
        match self {
            Value::Addrs(_) => "sockaddr.IfAddrs",
            Value::Text(_) => "string",
            Value::Number(_) => "int",
            Value::Bool(_) => "bool",
        }
    }
}

/// What a function takes in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Text,
    Uint,
    Int,
    Addrs,
    /// Addresses, judged by the function itself.
    Any,
}

impl Takes {
    fn go_type(self) -> &'static str {
        match self {
            Takes::Text => "string",
            Takes::Uint => "uint",
            Takes::Int => "int",
            Takes::Addrs | Takes::Any => "sockaddr.IfAddrs",
        }
    }
}

type Call = fn(&Scope<'_>, &[Value]) -> Result<Value, String>;

struct Function {
    name: &'static str,
    takes: &'static [Takes],
    call: Call,
}

const fn function(name: &'static str, takes: &'static [Takes], call: Call) -> Function {
    Function { name, takes, call }
}

static FUNCTIONS: &[Function] = &[
    function("GetAllInterfaces", &[], |scope, _| Ok(Value::Addrs(scope.all.to_vec()))),
    function("GetDefaultInterfaces", &[], |scope, _| {
        let found: Vec<Addr> = scope.all.iter().filter(|a| a.default_route).cloned().collect();
        match found.is_empty() {
            true => Err("No default interface found".into()),
            false => Ok(Value::Addrs(found)),
        }
    }),
    function("GetPrivateInterfaces", &[], |scope, _| Ok(Value::Addrs(select::routable(scope.all, true)))),
    function("GetPublicInterfaces", &[], |scope, _| Ok(Value::Addrs(select::routable(scope.all, false)))),
    function("GetPrivateIP", &[], |scope, _| Ok(first(&select::routable(scope.all, true)))),
    function("GetPublicIP", &[], |scope, _| Ok(first(&select::routable(scope.all, false)))),
    function("GetPrivateIPs", &[], |scope, _| Ok(every(&select::everywhere(scope.all, true)))),
    function("GetPublicIPs", &[], |scope, _| Ok(every(&select::everywhere(scope.all, false)))),
    function("GetInterfaceIP", &[Takes::Text], |scope, args| {
        let (named, _) = select::by_name(text(args, 0), scope.all)?;
        let forwardable: Vec<Addr> = named.into_iter().filter(Addr::is_forwardable).collect();
        Ok(first(&sort::by("type,size", &forwardable)?))
    }),
    function("GetInterfaceIPs", &[Takes::Text], |scope, args| {
        let (named, _) = select::by_name(text(args, 0), scope.all)?;
        Ok(every(&sort::by("type,size", &named)?))
    }),
    function("include", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        Ok(Value::Addrs(select::select(true, text(args, 0), text(args, 1), addrs(args, 2))?))
    }),
    function("exclude", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        Ok(Value::Addrs(select::select(false, text(args, 0), text(args, 1), addrs(args, 2))?))
    }),
    function("sort", &[Takes::Text, Takes::Addrs], |_, args| {
        Ok(Value::Addrs(sort::by(text(args, 0), addrs(args, 1))?))
    }),
    function("attr", &[Takes::Text, Takes::Any], |_, args| {
        let name = text(args, 0);
        match args.get(1) {
            Some(Value::Addrs(all)) => match all.first() {
                None => Ok(Value::Text(String::new())),
                Some(first) => Ok(Value::Text(addr::attribute(name, first)?)),
            },
            Some(other) => {
                let (kind, shown) = (other.go_type(), other.shown());
                Err(format!("unable to obtain attribute {name} from type {kind} ({shown})"))
            }
            None => Ok(Value::Text(String::new())),
        }
    }),
    function("join", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        let each = addrs(args, 2).iter().map(|addr| addr::attribute(text(args, 0), addr));
        Ok(Value::Text(each.collect::<Result<Vec<_>, _>>()?.join(text(args, 1))))
    }),
    function("limit", &[Takes::Uint, Takes::Addrs], |_, args| {
        let all = addrs(args, 1);
        let most = usize::try_from(number(args, 0)).unwrap_or(0).min(all.len());
        Ok(Value::Addrs(all[..most].to_vec()))
    }),
    function("offset", &[Takes::Int, Takes::Addrs], |_, args| {
        let (offset, all) = (number(args, 0), addrs(args, 1));
        let skip = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        if skip > all.len() {
            return Err(format!(
                "unable to seek past the end of the interface array: offset ({skip}) exceeds the number of \
                 interfaces ({})",
                all.len()
            ));
        }
        let from = if offset < 0 { all.len() - skip } else { skip };
        Ok(Value::Addrs(all[from..].to_vec()))
    }),
    function("unique", &[Takes::Text, Takes::Addrs], |_, args| {
        let by = text(args, 0);
        let key: fn(&Addr) -> String = match by.to_lowercase().as_str() {
            "address" => Addr::to_string,
            "name" => |a| a.name.clone(),
            _ => return Err(format!("unsupported unique constraint {by:?}")),
        };
        let mut all = addrs(args, 1).to_vec();
        all.dedup_by_key(|a| key(a));
        Ok(Value::Addrs(all))
    }),
    function("math", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        let each = addrs(args, 2).iter().map(|a| {
            addr::math(text(args, 0), text(args, 1), a)
                .map_err(|why| format!("unable to perform an IPMath operation on {}: {why}", a.described()))
        });
        Ok(Value::Addrs(each.collect::<Result<_, _>>()?))
    }),
];

/// Whether a function has this name.
pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|f| f.name == name)
}

fn first(addrs: &[Addr]) -> Value {
    Value::Text(addrs.first().map(|a| a.ip.to_string()).unwrap_or_default())
}

fn every(addrs: &[Addr]) -> Value {
    let all: Vec<String> = addrs.iter().map(|a| a.ip.to_string()).collect();
    Value::Text(all.join(" "))
}

/// Arguments are of the types that the function takes before it is called.
fn text(args: &[Value], at: usize) -> &str {
    match args.get(at) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn addrs(args: &[Value], at: usize) -> &[Addr] {
    match args.get(at) {
        Some(Value::Addrs(all)) => all,
        _ => &[],
    }
}

fn number(args: &[Value], at: usize) -> i64 {
    match args.get(at) {
        Some(Value::Number(text)) => integer(text).unwrap_or(0),
        _ => 0,
    }
}

/// A whole number of Go, if the text is one.
fn integer(text: &str) -> Option<i64> {
    crate::strconv::int(text.as_bytes(), 64, true).ok()
}

/// The value of a pipeline.
pub(super) fn pipeline(scope: &Scope<'_>, commands: &[Command<'_>]) -> Result<Value, Wrong> {
    let mut last = None;
    for command in commands {
        last = Some(stage(scope, command, last)?);
    }
    Ok(last.unwrap_or(Value::Text(String::new())))
}

fn stage(scope: &Scope<'_>, command: &Command<'_>, piped: Option<Value>) -> Result<Value, Wrong> {
    let Some((head, args)) = command.words.split_first() else {
        return Ok(piped.unwrap_or(Value::Text(String::new())));
    };
    match &head.kind {
        WordKind::Function(name) => {
            let shown = match command.words.last() {
                Some(last) => &scope.text[head.at..last.at + last.shown.len()],
                None => head.shown,
            };
            call(scope, name, head, args, piped, shown)
        }
        _ if args.is_empty() && piped.is_none() => value(scope, head),
        _ => {
            let what = format!("can't give argument to non-function {}", head.shown);
            Err(Wrong::run(scope.text, head.at, head.shown, what))
        }
    }
}

/// A word by itself.
fn value(scope: &Scope<'_>, word: &Word<'_>) -> Result<Value, Wrong> {
    Ok(match &word.kind {
        WordKind::Text(text) => Value::Text(text.clone()),
        WordKind::Number => Value::Number(word.shown.into()),
        WordKind::Bool(yes) => Value::Bool(*yes),
        WordKind::Dot => Value::Addrs(scope.all.to_vec()),
        WordKind::Group(commands) => pipeline(scope, commands)?,
        WordKind::Function(name) => call(scope, name, word, &[], None, word.shown)?,
        WordKind::Field(name) => {
            let what = format!("can't evaluate field {name} in type sockaddr.IfAddrs");
            return Err(Wrong::run(scope.text, word.at, word.shown, what));
        }
    })
}

fn call(
    scope: &Scope<'_>,
    name: &str,
    head: &Word<'_>,
    args: &[Word<'_>],
    piped: Option<Value>,
    shown: &str,
) -> Result<Value, Wrong> {
    let wrong = |at: usize, shown: &str, what: String| Wrong::run(scope.text, at, shown, what);
    let Some(function) = FUNCTIONS.iter().find(|f| f.name == name) else {
        return Err(wrong(head.at, head.shown, format!("function \"{name}\" not defined")));
    };
    let (want, got) = (function.takes.len(), args.len() + usize::from(piped.is_some()));
    if want != got {
        let what = format!("wrong number of args for {name}: want {want} got {got}");
        return Err(wrong(head.at, head.shown, what));
    }
    let mut values = Vec::new();
    for (word, takes) in args.iter().zip(function.takes) {
        values.push(argument(scope, word, *takes)?);
    }
    if let Some(piped) = piped {
        let takes = function.takes.last().copied().unwrap_or(Takes::Any);
        if let Err(what) = fits(&piped, takes) {
            let last = args.last().unwrap_or(head);
            return Err(wrong(last.at, last.shown, what));
        }
        values.push(piped);
    }
    (function.call)(scope, &values)
        .map_err(|why| wrong(head.at, shown, format!("error calling {name}: {why}")))
}

fn argument(scope: &Scope<'_>, word: &Word<'_>, takes: Takes) -> Result<Value, Wrong> {
    let value = value(scope, word)?;
    let constant = matches!(word.kind, WordKind::Text(_) | WordKind::Number | WordKind::Bool(_));
    let fitting = match (takes, &value) {
        (Takes::Uint, Value::Number(text)) => integer(text).is_some_and(|n| n >= 0),
        (Takes::Int, Value::Number(text)) => integer(text).is_some(),
        _ => fits(&value, takes).is_ok(),
    };
    if fitting {
        return Ok(value);
    }
    let shown = word.shown;
    let what = match (constant, takes) {
        (false, _) => fits(&value, takes).err().unwrap_or_default(),
        (true, Takes::Text) => format!("expected string; found {shown}"),
        (true, Takes::Uint) => format!("expected unsigned integer; found {shown}"),
        (true, Takes::Int) => format!("expected integer; found {shown}"),
        (true, Takes::Addrs | Takes::Any) => format!("can't handle {shown} for arg of type sockaddr.IfAddrs"),
    };
    Err(Wrong::run(scope.text, word.at, shown, what))
}

fn fits(value: &Value, takes: Takes) -> Result<(), String> {
    match (takes, value) {
        (Takes::Any, _) | (Takes::Text, Value::Text(_)) | (Takes::Addrs, Value::Addrs(_)) => Ok(()),
        (Takes::Int | Takes::Uint, Value::Number(_)) => Ok(()),
        (takes, value) => {
            Err(format!("wrong type for value; expected {}; got {}", takes.go_type(), value.go_type()))
        }
    }
}
