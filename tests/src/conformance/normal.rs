//! Making two runs comparable: indexes, IDs, times, hashes and ports get names.
//!
//! A name says where its value was first seen, so that equal values stay equal, and a difference in one
//! step does not rename everything after it.

use std::collections::HashMap;

/// What has been named so far in one run.
#[derive(Clone, Debug, Default)]
pub struct Normal {
    names: HashMap<String, String>,
    fixed: Vec<(String, String)>,
    /// Indexes up to this one were there before the first step.
    start: u64,
    step: usize,
    in_step: usize,
}

/// What stands before an index.
const INDEX: [&str; 8] = [
    "X-Consul-Index",
    "snapshot to index",
    "CreateIndex",
    "ModifyIndex",
    "LastIndex",
    "\"Index\"",
    "modify index",
    "Index=",
];
/// What stands before a hash.
const HASH: [&str; 2] = ["ContentHash", "X-Consul-Contenthash"];
const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const TIME: &str = "dddd-dd-ddTdd:dd:dd";

impl Normal {
    /// `fixed` are texts that are known before: ports, directories; whole numbers only match as such.
    /// Indexes up to `start` come from the subject's own start, in an order that may differ between runs.
    pub fn new(fixed: Vec<(String, String)>, start: u64) -> Normal {
        Normal { fixed, start, ..Normal::default() }
    }

    /// The next step begins; steps count from 1.
    pub fn begin(&mut self, step: usize) {
        self.step = step;
        self.in_step = 0;
    }

    /// The text with everything named that differs between runs.
    pub fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        'next: while let Some(c) = rest.chars().next() {
            let before = out.chars().next_back();
            for (from, to) in &self.fixed {
                if rest.starts_with(from.as_str()) && whole(before, from, &rest[from.len()..]) {
                    out.push_str(to);
                    rest = &rest[from.len()..];
                    continue 'next;
                }
            }
            for word in INDEX.iter().chain(&HASH).filter(|w| rest.starts_with(**w)) {
                let gap = rest[word.len()..].chars().take_while(|c| matches!(c, '"' | ':' | ' ' | '\t'));
                let gap = word.len() + gap.count();
                let is_hash = HASH.contains(word);
                let value = rest[gap..].chars().take_while(|c| match is_hash {
                    true => c.is_ascii_hexdigit(),
                    false => c.is_ascii_digit(),
                });
                let end = gap + value.count();
                let value = &rest[gap..end];
                if !value.is_empty() && value != "0" && value != "1" {
                    out.push_str(&rest[..gap]);
                    let old = !is_hash && value.parse().is_ok_and(|v: u64| v <= self.start);
                    let name = match old {
                        true => "<start>".to_owned(),
                        false => self.name(if is_hash { "hash" } else { "index" }, value),
                    };
                    out.push_str(&name);
                    rest = &rest[end..];
                    continue 'next;
                }
            }
            // The near end of a connection, in texts of errors.
            let digits = rest.chars().take_while(char::is_ascii_digit).count();
            if digits > 0 && before == Some(':') && rest[digits..].starts_with("->") {
                out.push_str("<port>");
                rest = &rest[digits..];
                continue;
            }
            if shaped(rest, UUID) {
                let name = self.name("id", &rest[..UUID.len()]);
                out.push_str(&name);
                rest = &rest[UUID.len()..];
                continue;
            }
            if shaped(rest, TIME) {
                out.push_str("<time>");
                rest = rest[TIME.len()..]
                    .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | 'Z'));
                continue;
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
        out
    }

    fn name(&mut self, kind: &str, value: &str) -> String {
        if let Some(name) = self.names.get(&format!("{kind} {value}")) {
            return name.clone();
        }
        self.in_step += 1;
        let name = format!("<{kind} {}.{}>", self.step, self.in_step);
        self.names.insert(format!("{kind} {value}"), name.clone());
        name
    }
}

/// A number is replaced only where it is not part of a longer one.
fn whole(before: Option<char>, from: &str, after: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    !from.bytes().all(|b| b.is_ascii_digit()) || !digit(before) && !digit(after.chars().next())
}

/// Whether `text` begins like `shape`: `x` a hexadecimal digit, `d` a decimal one, the rest itself.
fn shaped(text: &str, shape: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= shape.len()
        && shape.bytes().zip(bytes).all(|(s, b)| match s {
            b'x' => b.is_ascii_hexdigit(),
            b'd' => b.is_ascii_digit(),
            s => s == *b,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_near_end_of_a_connection_has_no_number() {
        let mut normal = Normal::new(vec![("45".into(), "<one>".into())], 0);
        let text = normal.text("read udp 127.0.0.1:45193->127.0.0.1:2: read: connection refused");
        assert_eq!(text, "read udp 127.0.0.1:<port>->127.0.0.1:2: read: connection refused");
    }

    #[test]
    fn equal_values_get_equal_names_and_a_port_is_not_cut_out_of_a_number() {
        let mut normal = Normal::new(vec![("8500".into(), "<http>".into())], 5);
        normal.begin(3);
        let text =
            normal.text("\"CreateIndex\":12,\"ModifyIndex\":12} :8500 18500 at 2026-01-02T03:04:05.6Z");
        let want = "\"CreateIndex\":<index 3.1>,\"ModifyIndex\":<index 3.1>} :<http> 18500 at <time>";
        assert_eq!(text, want);
        normal.begin(4);
        assert_eq!(
            normal.text("X-Consul-Index: 12 X-Consul-Index: 1 X-Consul-Index: 13").matches('<').count(),
            2
        );
    }
}
