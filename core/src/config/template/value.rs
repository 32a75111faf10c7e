//! What words, functions and variables of a template stand for.

use super::addr::Addr;
use super::format::float;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A value, with as much of its Go type as a template can tell.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// No value at all: `nil`, or what `and` of nothing gives.
    Nothing,
    Addrs(Rc<[Addr]>),
    Addr(Addr),
    /// The address without its interface, as Go's type of this name.
    Sock(Addr, &'static str),
    /// The interface without its address.
    Interface(Addr),
    Text(String),
    Bool(bool),
    Int(i64),
    /// An unsigned number of a named type.
    Uint(u64, &'static str),
    /// A number of a type that shows as something else.
    Named(u64, &'static str, String),
    Float(f64),
    Ints(Rc<[i64]>),
    /// The address of the network card.
    Hardware(String),
}

/// How Go compares a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    Text,
}

impl Value {
    pub(super) fn addrs(all: Vec<Addr>) -> Value {
        Value::Addrs(all.into())
    }

    /// As `%v` shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Nothing => "<nil>".into(),
            Value::Addrs(all) => {
                let each: Vec<String> = all.iter().map(Addr::described).collect();
                format!("[{}]", each.join(" "))
            }
            Value::Addr(addr) => addr.described(),
            Value::Sock(addr, _) => addr.to_string(),
            Value::Interface(addr) => addr.interface(),
            Value::Text(text) | Value::Hardware(text) | Value::Named(_, _, text) => text.clone(),
            Value::Bool(yes) => yes.to_string(),
            Value::Int(n) => n.to_string(),
            Value::Uint(n, _) => n.to_string(),
            Value::Float(n) => float(*n, 'g', None),
            Value::Ints(all) => {
                let each: Vec<String> = all.iter().map(i64::to_string).collect();
                format!("[{}]", each.join(" "))
            }
        }
    }

    /// Its type, as Go names it.
    pub(super) fn go_type(&self) -> &'static str {
        match self {
            Value::Nothing => "<nil>",
            Value::Addrs(_) => "sockaddr.IfAddrs",
            Value::Addr(_) => "sockaddr.IfAddr",
            Value::Sock(addr, _) if addr.ip.is_ipv4() => "sockaddr.IPv4Addr",
            Value::Sock(..) => "sockaddr.IPv6Addr",
            Value::Interface(_) => "net.Interface",
            Value::Text(_) => "string",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_, kind) | Value::Named(_, kind, _) => kind,
            Value::Float(_) => "float64",
            Value::Ints(_) => "[]int",
            Value::Hardware(_) => "net.HardwareAddr",
        }
    }

    /// The type of the place that holds it.
    pub(super) fn place_type(&self) -> &'static str {
        match self {
            Value::Sock(_, kind) => kind,
            other => other.go_type(),
        }
    }

    /// Whether a condition holds with it.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nothing => false,
            Value::Addrs(all) => !all.is_empty(),
            Value::Addr(_) | Value::Sock(..) | Value::Interface(_) => true,
            Value::Text(text) | Value::Hardware(text) => !text.is_empty(),
            Value::Bool(yes) => *yes,
            Value::Int(n) => *n != 0,
            Value::Uint(n, _) | Value::Named(n, ..) => *n != 0,
            Value::Float(n) => *n != 0.0,
            Value::Ints(all) => !all.is_empty(),
        }
    }

    pub(super) fn basic(&self) -> Option<Basic> {
        match self {
            Value::Bool(_) => Some(Basic::Bool),
            Value::Int(_) => Some(Basic::Int),
            Value::Named(_, "sockaddr.SockAddrType", _) => Some(Basic::Int),
            Value::Uint(..) | Value::Named(..) => Some(Basic::Uint),
            Value::Float(_) => Some(Basic::Float),
            Value::Text(_) => Some(Basic::Text),
            _ => None,
        }
    }

    /// A whole number of any type.
    pub(super) fn whole(&self) -> Option<i128> {
        match self {
            Value::Int(n) => Some((*n).into()),
            Value::Uint(n, _) | Value::Named(n, ..) => Some((*n).into()),
            _ => None,
        }
    }
}
