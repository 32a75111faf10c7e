//! `sort`: by one thing after the other.

use super::super::network::number;
use super::addr::Addr;
use crate::strconv;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

type Compare = fn(&Addr, &Addr) -> Ordering;

/// A sorted copy. `clauses` are names with commas between them, a minus before one turns it round.
pub(super) fn by(clauses: &str, all: &[Addr]) -> Result<Vec<Addr>, String> {
    let mut order: Vec<(bool, Compare)> = Vec::new();
    for clause in clauses.split(',') {
        let word = clause.trim().to_lowercase();
        let (back, name) = match word.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, word.strip_prefix('+').unwrap_or(&word)),
        };
        let compare: Compare = match name {
            "address" => {
                |a, b| if same_family(a, b) { number(a.ip).cmp(&number(b.ip)) } else { Ordering::Equal }
            }
            "default" => |a, b| b.default_route.cmp(&a.default_route),
            "name" => |a, b| a.name.cmp(&b.name),
            "port" => {
                |a, b| if same_family(a, b) { Ordering::Equal } else { a.ip.is_ipv6().cmp(&b.ip.is_ipv6()) }
            }
            "private" => private_first,
            "size" => |a, b| if same_family(a, b) { a.length.cmp(&b.length) } else { Ordering::Equal },
            "type" => |a, b| a.ip.is_ipv6().cmp(&b.ip.is_ipv6()),
            _ => return Err(format!("unknown sort type: {}", strconv::quote(clause.as_bytes()))),
        };
        order.push((back, compare));
    }
    let less = |a: &Addr, b: &Addr| {
        let decided = order.iter().map(|(back, compare)| {
            let ordering = compare(a, b);
            if *back { ordering.reverse() } else { ordering }
        });
        decided.into_iter().find(|o| o.is_ne()) == Some(Ordering::Less)
    };
    // Addresses of two families may not be comparable, so this is no order that a sort may rely on. Go
    // inserts short lists one by one, and so does this.
    let mut sorted: Vec<Addr> = Vec::with_capacity(all.len());
    for addr in all {
        let mut at = sorted.len();
        while at > 0 && less(addr, &sorted[at - 1]) {
            at -= 1;
        }
        sorted.insert(at, addr.clone());
    }
    Ok(sorted)
}

fn same_family(a: &Addr, b: &Addr) -> bool {
    a.ip.is_ipv4() == b.ip.is_ipv4()
}

/// Of two families only that the first one is private decides.
fn private_first(a: &Addr, b: &Addr) -> Ordering {
    match (a.is_private(), b.is_private()) {
        (true, _) if !same_family(a, b) => Ordering::Less,
        (false, _) if !same_family(a, b) => Ordering::Equal,
        (a, b) => b.cmp(&a),
    }
}
