//! The functions of go-sockaddr: the host's addresses, parts of them, and what is to be known of each.

use super::addr::{self, Addr};
use super::eval::{Run, Takes};
use super::value::Value;
use super::{builtin, select, sort};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(super) type Call = fn(&Run<'_>, &[Value]) -> Result<Value, String>;

/// A function of templates.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) takes: &'static [Takes],
    /// What all further arguments are, where there may be any number.
    pub(super) rest: Option<Takes>,
    pub(super) call: Call,
}

const fn function(name: &'static str, takes: &'static [Takes], call: Call) -> Function {
    Function { name, takes, rest: None, call }
}

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    SOCKADDR.iter().chain(builtin::FUNCTIONS).find(|function| function.name == name)
}

static SOCKADDR: &[Function] = &[
    function("GetAllInterfaces", &[], |run, _| Ok(Value::Addrs(run.all.clone()))),
    function("GetDefaultInterfaces", &[], |run, _| {
        let found: Vec<Addr> = run.all.iter().filter(|a| a.default_route).cloned().collect();
        match found.is_empty() {
            true => Err("No default interface found".into()),
            false => Ok(Value::addrs(found)),
        }
    }),
    function("GetPrivateInterfaces", &[], |run, _| Ok(Value::addrs(select::routable(&run.all, true)))),
    function("GetPublicInterfaces", &[], |run, _| Ok(Value::addrs(select::routable(&run.all, false)))),
    function("GetPrivateIP", &[], |run, _| Ok(first(&select::routable(&run.all, true)))),
    function("GetPublicIP", &[], |run, _| Ok(first(&select::routable(&run.all, false)))),
    function("GetPrivateIPs", &[], |run, _| Ok(every(&select::everywhere(&run.all, true)))),
    function("GetPublicIPs", &[], |run, _| Ok(every(&select::everywhere(&run.all, false)))),
    function("GetInterfaceIP", &[Takes::Text], |run, args| {
        let (named, _) = select::by_name(text(args, 0), &run.all)?;
        let forwardable: Vec<Addr> = named.into_iter().filter(Addr::is_forwardable).collect();
        Ok(first(&sort::by("type,size", &forwardable)?))
    }),
    function("GetInterfaceIPs", &[Takes::Text], |run, args| {
        let (named, _) = select::by_name(text(args, 0), &run.all)?;
        Ok(every(&sort::by("type,size", &named)?))
    }),
    function("include", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        Ok(Value::addrs(select::select(true, text(args, 0), text(args, 1), addrs(args, 2))?))
    }),
    function("exclude", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        Ok(Value::addrs(select::select(false, text(args, 0), text(args, 1), addrs(args, 2))?))
    }),
    function("sort", &[Takes::Text, Takes::Addrs], |_, args| {
        Ok(Value::addrs(sort::by(text(args, 0), addrs(args, 1))?))
    }),
    function("attr", &[Takes::Text, Takes::Any], |_, args| {
        let name = text(args, 0);
        match args.get(1) {
            Some(Value::Addr(one)) => Ok(Value::Text(addr::attribute(name, one)?)),
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
        let most = usize::try_from(number(args, 0)).unwrap_or(usize::MAX).min(all.len());
        Ok(Value::addrs(all[..most].to_vec()))
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
        Ok(Value::addrs(all[from..].to_vec()))
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
        Ok(Value::addrs(all))
    }),
    function("math", &[Takes::Text, Takes::Text, Takes::Addrs], |_, args| {
        let each = addrs(args, 2).iter().map(|a| {
            addr::math(text(args, 0), text(args, 1), a)
                .map_err(|why| format!("unable to perform an IPMath operation on {}: {why}", a.described()))
        });
        Ok(Value::addrs(each.collect::<Result<_, _>>()?))
    }),
];

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

fn number(args: &[Value], at: usize) -> i128 {
    args.get(at).and_then(Value::whole).unwrap_or(0)
}
