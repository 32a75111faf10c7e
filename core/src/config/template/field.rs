//! Fields and methods: what `.Name` finds in a value.
//!
//! Of go-sockaddr's types these are the ones that show something of an address. A method that needs another
//! kind of value than a template can make is not there.

use super::addr::{Addr, attribute};
use super::eval::Takes;
use super::value::Value;
use crate::config::network::number;
use crate::strconv::quote;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// What a name leads to.
pub(super) enum Found {
    Field(Value),
    /// A method without arguments, called.
    Called(Value),
    /// What to call with the value and the arguments.
    Method(&'static [Takes], fn(&Value, &[Value]) -> Result<Value, String>),
}

/// What `name` is in `value`, if it is anything.
pub(super) fn find(value: &Value, name: &str) -> Option<Found> {
    match value {
        Value::Addrs(all) if name == "Len" => Some(Found::Called(Value::Int(all.len() as i64))),
        Value::Addr(addr) => of_addr(addr, name),
        Value::Sock(addr, _) => of_sock(addr, name),
        Value::Interface(addr) => of_interface(addr, name),
        Value::Hardware(_) | Value::Named(..) if name == "String" => {
            Some(Found::Called(Value::Text(value.shown())))
        }
        _ => None,
    }
}

fn of_addr(addr: &Addr, name: &str) -> Option<Found> {
    Some(match name {
        "Attr" => Found::Method(&[Takes::Name], |value, args| match (value, args) {
            (Value::Addr(addr), [Value::Text(name)]) => of_this_name(name, addr).map(Value::Text),
            _ => Err("no such attribute".into()),
        }),
        "String" => Found::Called(Value::Text(addr.described())),
        "SockAddr" => Found::Field(Value::Sock(addr.clone(), "sockaddr.SockAddr")),
        "Interface" => Found::Field(Value::Interface(addr.clone())),
        "Contains" | "Equal" | "Type" => return of_sock(addr, name),
        _ => return of_interface(addr, name),
    })
}

/// The method knows the names as they are written in the table, in lower case.
fn of_this_name(name: &str, addr: &Addr) -> Result<String, String> {
    match name.chars().any(char::is_uppercase) {
        true => Err(format!("unsupported attribute name {}", quote(name.as_bytes()))),
        false => attribute(name, addr),
    }
}

fn of_interface(addr: &Addr, name: &str) -> Option<Found> {
    Some(Found::Field(match name {
        "Index" => Value::Int(addr.index.into()),
        "MTU" => Value::Int(addr.mtu.into()),
        "Name" => Value::Text(addr.name.clone()),
        "HardwareAddr" => Value::Hardware(addr.hardware.clone()),
        "Flags" => {
            let shown = if addr.flags.is_empty() { "0".into() } else { addr.flags.join("|") };
            Value::Named(addr.flag_bits(), "net.Flags", shown)
        }
        _ => return None,
    }))
}

fn of_sock(addr: &Addr, name: &str) -> Option<Found> {
    let v4 = addr.ip.is_ipv4();
    let host = |ip: IpAddr| {
        let length = if ip.is_ipv4() { 32 } else { 128 };
        Value::Sock(Addr { ip, length, ..addr.clone() }, "sockaddr.IPAddr")
    };
    let attribute = |name: &str| attribute(name, addr).unwrap_or_default();
    let at = |name: &str| attribute(name).parse().map(host).unwrap_or(Value::Nothing);
    Some(Found::Called(match name {
        "String" => Value::Text(addr.to_string()),
        "Type" => {
            let number = if v4 { 2 } else { 4 };
            Value::Named(number, "sockaddr.SockAddrType", attribute("type"))
        }
        "AddressBinString" => Value::Text(attribute("binary")),
        "AddressHexString" => Value::Text(attribute("hex")),
        "FirstUsable" => at("first_usable"),
        "LastUsable" => at("last_usable"),
        "Broadcast" if v4 => at("broadcast"),
        "Host" => at("address"),
        "Network" => Value::Sock(Addr { ip: addr.at(addr.first()), ..addr.clone() }, "sockaddr.IPAddr"),
        "NetIP" => Value::Text(attribute("address")),
        "Maskbits" => Value::Int(addr.length.into()),
        "IPPort" => Value::Uint(0, "sockaddr.IPPort"),
        "Port" => return Some(Found::Field(Value::Uint(0, "sockaddr.IPPort"))),
        "Address" if v4 => {
            return Some(Found::Field(Value::Uint(number(addr.ip) as u64, "sockaddr.IPv4Address")));
        }
        "Mask" if v4 => {
            let mask = !addr.host_bits() as u32;
            return Some(Found::Field(Value::Uint(mask.into(), "sockaddr.IPv4Mask")));
        }
        "Octets" => {
            let octets: Vec<i64> = attribute("octets").split(' ').flat_map(str::parse).collect();
            Value::Ints(octets.into())
        }
        "Contains" => {
            return Some(Found::Method(&[Takes::Sock], |value, args| two(value, args, Addr::contains)));
        }
        "Equal" => {
            return Some(Found::Method(&[Takes::Sock], |value, args| {
                two(value, args, |a, b| a.ip == b.ip && a.length == b.length)
            }));
        }
        _ => return None,
    }))
}

fn two(value: &Value, args: &[Value], holds: fn(&Addr, &Addr) -> bool) -> Result<Value, String> {
    match (value, args) {
        (Value::Addr(a) | Value::Sock(a, _), [Value::Addr(b) | Value::Sock(b, _)]) => {
            Ok(Value::Bool(holds(a, b)))
        }
        (_, args) => Err(format!("cannot compare with {}", args.len())),
    }
}
