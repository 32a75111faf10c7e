//! Carrying a template out: conditions, loops and variables, and the calls of functions.
//!
//! As in Go, an error is about the part that was looked at last, and every call takes a share of a fixed amount
//! of work, so no template keeps an agent from starting or fills its memory.

use super::Wrong;
use super::addr::Addr;
use super::field::{self, Found};
use super::functions::{self, Function};
use super::tree::{Branches, Command, Node, Number, Pipeline, Word, WordKind};
use super::value::Value;
use alloc::borrow::Cow;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// What a function takes in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    /// The name of an attribute.
    Name,
    Uint,
    Int,
    Addrs,
    Sock,
    /// Any value, judged by the function itself.
    Any,
    /// Any value, and also none.
    Value,
}

impl Takes {
    fn go_type(self) -> &'static str {
        match self {
            Takes::Text => "string",
            Takes::Name => "sockaddr.AttrName",
            Takes::Uint => "uint",
            Takes::Int => "int",
            Takes::Addrs => "sockaddr.IfAddrs",
            Takes::Sock => "sockaddr.SockAddr",
            Takes::Any => "interface {}",
            Takes::Value => "reflect.Value",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Takes::Any | Takes::Value, _) => true,
            (Takes::Text, Value::Text(_)) | (Takes::Addrs, Value::Addrs(_)) | (Takes::Int, Value::Int(_)) => {
                true
            }
            (Takes::Uint, Value::Uint(_, kind)) => *kind == "uint",
            (Takes::Sock, value) => matches!(value, Value::Addr(_) | Value::Sock(..)),
            _ => false,
        }
    }
}

/// What one template may do: calls, and the addresses and bytes that pass through them.
const MAX_WORK: usize = 1_000_000;

/// The longest text that a template may make, in bytes.
pub(super) const MAX_TEXT: usize = 16 << 10;

/// The most addresses in one list.
pub(super) const MAX_ADDRS: usize = 1 << 14;

/// Whether a function has this name.
pub(super) fn is_function(name: &str) -> bool {
    functions::find(name).is_some()
}

/// The part that was looked at last.
#[derive(Clone, Copy)]
enum At<'t> {
    Pipeline(&'t Pipeline<'t>),
    Command(&'t Command<'t>),
    Word(&'t Word<'t>),
}

/// How a list of nodes was left.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// A template that is being carried out.
pub(super) struct Run<'t> {
    text: &'t str,
    /// The host's addresses.
    pub(super) all: Rc<[Addr]>,
    variables: Vec<(&'t str, Value)>,
    at: Option<At<'t>>,
    work: usize,
    out: String,
}

type Outcome<T> = Result<T, Wrong>;

/// The text that a template gives.
pub(super) fn run<'t>(text: &'t str, nodes: &'t [Node<'t>], all: Vec<Addr>) -> Outcome<String> {
    let all: Rc<[Addr]> = all.into();
    let dot = Value::Addrs(all.clone());
    let variables = alloc::vec![("$", dot.clone())];
    let mut run = Run { text, all, variables, at: None, work: 0, out: String::new() };
    run.nodes(&dot, nodes)?;
    Ok(run.out)
}

impl<'t> Run<'t> {
    fn wrong(&self, what: impl core::fmt::Display) -> Wrong {
        match self.at {
            None => Wrong::run(self.text, 0, "", what),
            Some(At::Pipeline(pipeline)) => Wrong::run(self.text, pipeline.at, pipeline, what),
            Some(At::Command(command)) => Wrong::run(self.text, command.at, command, what),
            Some(At::Word(word)) => match &word.kind {
                WordKind::Group(pipeline) => Wrong::run(self.text, pipeline.at, pipeline, what),
                _ => Wrong::run(self.text, word.at, word, what),
            },
        }
    }

    fn spend(&mut self, work: usize) -> Outcome<()> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK { Err(self.wrong("the template takes too much work")) } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> Outcome<()> {
        if self.out.len() + text.len() > MAX_TEXT {
            return Err(self.wrong(format!("the template gives more than {MAX_TEXT} bytes")));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, dot: &Value, nodes: &'t [Node<'t>]) -> Outcome<Flow> {
        for node in nodes {
            self.spend(1)?;
            let flow = match node {
                Node::Text(text) => self.write(text).map(|()| Flow::On)?,
                Node::Action(pipeline) => {
                    let value = self.pipeline(dot, pipeline)?;
                    if pipeline.variables.is_empty() {
                        let shown = match value {
                            Value::Nothing => Cow::Borrowed("<no value>"),
                            value => Cow::Owned(value.shown()),
                        };
                        self.write(&shown)?;
                    }
                    Flow::On
                }
                Node::If(branches) => self.branch(dot, branches, false)?,
                Node::With(branches) => self.branch(dot, branches, true)?,
                Node::Range(branches) => self.range(dot, branches)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, dot: &Value, branches: &'t Branches<'t>, with: bool) -> Outcome<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branches.pipeline)?;
        let flow = match value.is_true() {
            true => self.nodes(if with { &value } else { dot }, &branches.then),
            false => self.nodes(dot, &branches.otherwise),
        };
        self.variables.truncate(mark);
        flow
    }

    fn range(&mut self, dot: &Value, branches: &'t Branches<'t>) -> Outcome<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branches.pipeline)?;
        let names = &branches.pipeline.variables;
        let count = match &value {
            Value::Addrs(all) => all.len(),
            Value::Ints(all) => all.len(),
            Value::Nothing => 0,
            number if number.whole().is_some() && names.len() > 1 => {
                let what = format!("can't use {} to iterate over more than one variable", number.shown());
                return Err(self.wrong(what));
            }
            number => match number.whole() {
                Some(n) => usize::try_from(n).unwrap_or(0),
                None => return Err(self.wrong(format!("range can't iterate over {}", value.shown()))),
            },
        };
        let inner = self.variables.len();
        let mut flow = Flow::On;
        for n in 0..count {
            self.spend(1)?;
            let (index, element) = match &value {
                Value::Addrs(all) => (Value::Int(n as i64), Value::Addr(all[n].clone())),
                Value::Ints(all) => (Value::Int(n as i64), Value::Int(all[n])),
                Value::Uint(_, kind) => (Value::Nothing, Value::Uint(n as u64, kind)),
                _ => (Value::Nothing, Value::Int(n as i64)),
            };
            let values = if names.len() > 1 {
                alloc::vec![index, element.clone()]
            } else {
                alloc::vec![element.clone()]
            };
            for (name, value) in names.iter().zip(values) {
                self.set(name, value)?;
            }
            let left = self.nodes(&element, &branches.then)?;
            self.variables.truncate(inner);
            if left == Flow::Break {
                break;
            }
        }
        if count == 0 {
            flow = self.nodes(dot, &branches.otherwise)?;
        }
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn set(&mut self, name: &str, value: Value) -> Outcome<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, held)) => *held = value,
            None => return Err(self.wrong(format!("undefined variable: {name}"))),
        }
        Ok(())
    }

    fn pipeline(&mut self, dot: &Value, pipeline: &'t Pipeline<'t>) -> Outcome<Value> {
        self.at = Some(At::Pipeline(pipeline));
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(dot, command, last)?);
        }
        let value = last.unwrap_or(Value::Nothing);
        for name in &pipeline.variables {
            match pipeline.assigns {
                true => self.set(name, value.clone())?,
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &'t Command<'t>, piped: Option<Value>) -> Outcome<Value> {
        let (head, args) = (&command.words[0], &command.words[1..]);
        match &head.kind {
            WordKind::Function(name) => self.function(dot, name, head, At::Command(command), args, piped),
            WordKind::Field(names) => {
                self.at = Some(At::Word(head));
                self.fields(dot, dot.clone(), names, head, args, piped)
            }
            WordKind::Chain(inner, names) => {
                self.at = Some(At::Word(head));
                let value = self.argument(dot, None, inner)?;
                self.fields(dot, value, names, head, args, piped)
            }
            WordKind::Variable(name, names) if !names.is_empty() => {
                self.at = Some(At::Word(head));
                let value = self.variable(name)?;
                self.fields(dot, value, names, head, args, piped)
            }
            kind => {
                if !matches!(kind, WordKind::Group(_)) {
                    self.at = Some(At::Word(head));
                }
                if !args.is_empty() || piped.is_some() {
                    return Err(self.wrong(format!("can't give argument to non-function {head}")));
                }
                match kind {
                    WordKind::Group(pipeline) => self.pipeline(dot, pipeline),
                    WordKind::Nil => Err(self.wrong("nil is not a command")),
                    WordKind::Variable(name, _) => self.variable(name),
                    _ => self.literal(dot, head),
                }
            }
        }
    }

    fn variable(&mut self, name: &str) -> Outcome<Value> {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        let found = found.map(|(_, value)| value.clone());
        let value = found.ok_or_else(|| self.wrong(format!("undefined variable: {name}")))?;
        self.copied(value)
    }

    /// A value that was copied: the copy is work, and takes memory.
    fn copied(&mut self, value: Value) -> Outcome<Value> {
        if let Value::Text(text) = &value {
            self.spend(text.len() / WEIGHTLESS)?;
        }
        Ok(value)
    }

    /// A word that is a value by itself.
    fn literal(&mut self, dot: &Value, word: &'t Word<'t>) -> Outcome<Value> {
        self.at = Some(At::Word(word));
        let value = match &word.kind {
            WordKind::Text(_, text) => Value::Text(text.clone()),
            WordKind::Bool(yes) => Value::Bool(*yes),
            WordKind::Number(written, number) => match ideal(written, number) {
                Some(value) => value,
                None => return Err(self.wrong(format!("{written} overflows int"))),
            },
            WordKind::Dot => dot.clone(),
            _ => Value::Nothing,
        };
        self.copied(value)
    }

    fn fields(
        &mut self,
        dot: &Value,
        mut value: Value,
        names: &[&'t str],
        word: &'t Word<'t>,
        args: &'t [Word<'t>],
        piped: Option<Value>,
    ) -> Outcome<Value> {
        let Some((last, before)) = names.split_last() else { return Ok(value) };
        for name in before {
            value = self.field(dot, value, name, word, &[], None)?;
        }
        self.field(dot, value, last, word, args, piped)
    }

    fn field(
        &mut self,
        dot: &Value,
        value: Value,
        name: &str,
        word: &'t Word<'t>,
        args: &'t [Word<'t>],
        piped: Option<Value>,
    ) -> Outcome<Value> {
        self.spend(1)?;
        if let Value::Nothing = value {
            return Err(self.wrong(format!("nil data; no entry for key \"{name}\"")));
        }
        match field::find(&value, name) {
            Some(Found::Field(_)) if !args.is_empty() || piped.is_some() => {
                Err(self.wrong(format!("{name} has arguments but cannot be invoked as function")))
            }
            Some(Found::Called(_)) if !args.is_empty() || piped.is_some() => Err(self
                .counted(name, 0, false, args.len(), &piped)
                .err()
                .unwrap_or_else(|| self.wrong(name))),
            Some(Found::Field(field) | Found::Called(field)) => Ok(field),
            Some(Found::Method(takes, call)) => {
                let values = self.arguments(dot, name, takes, None, args, piped)?;
                call(&value, &values).map_err(|why| {
                    self.at = Some(At::Word(word));
                    self.wrong(format!("error calling {name}: {why}"))
                })
            }
            None => {
                let kind = value.place_type();
                Err(self.wrong(format!("can't evaluate field {name} in type {kind}")))
            }
        }
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        head: &'t Word<'t>,
        whole: At<'t>,
        args: &'t [Word<'t>],
        piped: Option<Value>,
    ) -> Outcome<Value> {
        self.at = Some(At::Word(head));
        let Some(function) = functions::find(name) else {
            return Err(self.wrong(format!("\"{name}\" is not a defined function")));
        };
        if matches!(name, "and" | "or") {
            return self.lazy(dot, name, args, piped);
        }
        let values = self.arguments(dot, name, function.takes, function.rest, args, piped)?;
        self.spend(weight(name, &values))?;
        let called = self.call(function, &values);
        called.map_err(|why| {
            // Nothing that can be called is a value, and the message has it as it is written.
            let why = match args.first() {
                Some(word) if name == "call" => {
                    why.replacen("non-function", &format!("non-function {word}"), 1)
                }
                _ => why,
            };
            self.at = Some(whole);
            self.wrong(format!("error calling {name}: {why}"))
        })
    }

    fn call(&self, function: &Function, values: &[Value]) -> Result<Value, String> {
        let value = (function.call)(self, values)?;
        match &value {
            Value::Text(text) if text.len() > MAX_TEXT => {
                Err(format!("a text of more than {MAX_TEXT} bytes"))
            }
            Value::Addrs(all) if all.len() > MAX_ADDRS => Err(format!("more than {MAX_ADDRS} addresses")),
            _ => Ok(value),
        }
    }

    /// `and` and `or` look at no more arguments than they need.
    fn lazy(
        &mut self,
        dot: &Value,
        name: &str,
        args: &'t [Word<'t>],
        piped: Option<Value>,
    ) -> Outcome<Value> {
        self.counted(name, 1, true, args.len(), &piped)?;
        let mut value = Value::Nothing;
        for word in args {
            value = self.argument(dot, Some(Takes::Value), word)?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(piped.unwrap_or(value))
    }

    fn counted(
        &self,
        name: &str,
        want: usize,
        more: bool,
        args: usize,
        piped: &Option<Value>,
    ) -> Outcome<()> {
        let got = args + usize::from(piped.is_some());
        match more {
            true if got < want => {
                Err(self.wrong(format!("wrong number of args for {name}: want at least {want} got {args}")))
            }
            false if got != want => {
                Err(self.wrong(format!("wrong number of args for {name}: want {want} got {got}")))
            }
            _ => Ok(()),
        }
    }

    fn arguments(
        &mut self,
        dot: &Value,
        name: &str,
        takes: &[Takes],
        rest: Option<Takes>,
        args: &'t [Word<'t>],
        piped: Option<Value>,
    ) -> Outcome<Vec<Value>> {
        self.counted(name, takes.len(), rest.is_some(), args.len(), &piped)?;
        let type_of = |n: usize| takes.get(n).copied().or(rest).unwrap_or(Takes::Any);
        let mut values = Vec::with_capacity(args.len() + 1);
        for (n, word) in args.iter().enumerate() {
            values.push(self.argument(dot, Some(type_of(n)), word)?);
        }
        if let Some(piped) = piped {
            let takes = type_of(args.len());
            values.push(self.fitting(piped, Some(takes))?);
        }
        Ok(values)
    }

    /// The value of a word, where a function takes this.
    fn argument(&mut self, dot: &Value, takes: Option<Takes>, word: &'t Word<'t>) -> Outcome<Value> {
        self.at = Some(At::Word(word));
        let value = match &word.kind {
            WordKind::Nil => {
                return match takes {
                    Some(Takes::Addrs) => Ok(Value::addrs(Vec::new())),
                    Some(Takes::Any | Takes::Value | Takes::Sock) | None => Ok(Value::Nothing),
                    Some(takes) => Err(self.wrong(format!("cannot assign nil to {}", takes.go_type()))),
                };
            }
            WordKind::Dot => self.copied(dot.clone())?,
            WordKind::Field(names) => self.fields(dot, dot.clone(), names, word, &[], None)?,
            WordKind::Variable(name, names) => {
                let value = self.variable(name)?;
                self.fields(dot, value, names, word, &[], None)?
            }
            WordKind::Group(pipeline) => self.pipeline(dot, pipeline)?,
            WordKind::Function(name) => self.function(dot, name, word, At::Word(word), &[], None)?,
            WordKind::Chain(inner, names) => {
                let value = self.argument(dot, None, inner)?;
                self.fields(dot, value, names, word, &[], None)?
            }
            WordKind::Text(..) | WordKind::Number(..) | WordKind::Bool(_) => {
                return self.constant(dot, takes, word);
            }
        };
        self.fitting(value, takes)
    }

    /// A literal, which becomes what is wanted.
    fn constant(&mut self, dot: &Value, takes: Option<Takes>, word: &'t Word<'t>) -> Outcome<Value> {
        let wanted = match (takes, &word.kind) {
            (Some(Takes::Text | Takes::Name), WordKind::Text(_, text)) => {
                return self.copied(Value::Text(text.clone()));
            }
            (Some(Takes::Int), WordKind::Number(_, Number { int: Some(n), .. })) => {
                return Ok(Value::Int(*n));
            }
            (Some(Takes::Uint), WordKind::Number(_, Number { uint: Some(n), .. })) => {
                return Ok(Value::Uint(*n, "uint"));
            }
            (Some(Takes::Any | Takes::Value) | None, _) => return self.literal(dot, word),
            (Some(Takes::Text | Takes::Name), _) => "string",
            (Some(Takes::Int), _) => "integer",
            (Some(Takes::Uint), _) => "unsigned integer",
            (Some(takes), _) => {
                return Err(self.wrong(format!("can't handle {word} for arg of type {}", takes.go_type())));
            }
        };
        Err(self.wrong(format!("expected {wanted}; found {word}")))
    }

    fn fitting(&self, value: Value, takes: Option<Takes>) -> Outcome<Value> {
        match (takes, value) {
            (None | Some(Takes::Any | Takes::Value), value) => Ok(value),
            (Some(Takes::Addrs), Value::Nothing) => Ok(Value::addrs(Vec::new())),
            (Some(takes), Value::Nothing) => {
                Err(self.wrong(format!("invalid value; expected {}", takes.go_type())))
            }
            (Some(takes), value) if takes.fits(&value) => Ok(value),
            (Some(takes), value) => {
                let (want, got) = (takes.go_type(), value.go_type());
                Err(self.wrong(format!("wrong type for value; expected {want}; got {got}")))
            }
        }
    }
}

/// So many bytes of a text are one piece of work.
const WEIGHTLESS: usize = 64;

/// The work that a call makes.
fn weight(function: &str, args: &[Value]) -> usize {
    let texts = args.iter().map(|value| match value {
        Value::Text(text) => text.len() / WEIGHTLESS,
        _ => 1,
    });
    let texts = texts.sum::<usize>();
    let lists = args.iter().map(|value| match value {
        Value::Addrs(all) => all.len(),
        _ => 0,
    });
    let all = lists.sum::<usize>();
    match function {
        // Sorted by inserting.
        "sort" => 1 + texts + all + all * all / WEIGHTLESS,
        // The text stands between any two.
        "join" => 1 + all * (1 + texts),
        _ => 1 + texts + all,
    }
}

/// A number where nothing says of which type.
fn ideal(written: &str, number: &Number) -> Option<Value> {
    let hexadecimal = written.starts_with("0x") || written.starts_with("0X");
    let fraction = !hexadecimal && !written.starts_with('\'') && written.contains(['.', 'e', 'E', 'p', 'P']);
    match number {
        Number { float: Some(n), .. } if fraction => Some(Value::Float(*n)),
        number => number.int.map(Value::Int),
    }
}
