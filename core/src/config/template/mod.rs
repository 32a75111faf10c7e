//! Templates in addresses, as go-sockaddr has them: `{{ GetPrivateInterfaces | attr "address" }}`.
//!
//! A text is copied but for what stands in `{{ }}`: Go's template language over the host's interfaces, with the
//! functions of go-sockaddr. Templates within templates (`define`, `block`, `template`) are refused by name, and so
//! are complex numbers and hexadecimal exponents.

mod addr;
mod builtin;
mod eval;
mod field;
mod format;
mod functions;
mod lex;
mod parse;
mod ranges;
mod select;
mod sort;
mod tree;
mod value;

use super::build::HostFacts;
use crate::strconv::quote;
use addr::Addr;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Where a template stands, and what is wrong there.
#[derive(Debug)]
struct Wrong {
    text: String,
    /// It could not be read; else it could not be carried out.
    unread: bool,
}

impl Wrong {
    /// It cannot be read.
    fn parse(line: usize, what: impl fmt::Display) -> Wrong {
        Wrong { text: format!("template: sockaddr.Parse:{line}: {what}"), unread: true }
    }

    /// It cannot be carried out: `shown` is the part at fault, at byte `at` of `text`.
    fn run(text: &str, at: usize, shown: impl fmt::Display, what: impl fmt::Display) -> Wrong {
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = at - before.rfind('\n').map_or(0, |end| end + 1);
        let text = format!(
            "template: sockaddr.Parse:{line}:{column}: executing \"sockaddr.Parse\" at <{shown}>: {what}"
        );
        Wrong { text, unread: false }
    }
}

/// The text with its templates replaced, or go-sockaddr's error.
pub(super) fn expand(text: &str, host: &HostFacts) -> Result<String, String> {
    evaluate(text, host).map_err(|wrong| match wrong.unread {
        true => format!("unable to parse template {}: {}", quote(text.as_bytes()), wrong.text),
        false => format!("unable to execute sockaddr input {}: {}", quote(text.as_bytes()), wrong.text),
    })
}

fn evaluate(text: &str, host: &HostFacts) -> Result<String, Wrong> {
    if !text.contains("{{") {
        return Ok(text.into());
    }
    let tree = parse::tree(text)?;
    eval::run(text, &tree, host.interfaces.iter().map(Addr::of).collect())
}

#[cfg(test)]
mod tests;
