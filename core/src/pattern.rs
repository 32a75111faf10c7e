//! Patterns: Go's syntax and errors, run by the `regex` crate.
//!
//! Both engines come from RE2 and agree on what a pattern means; they differ in how it may be written. So
//! a pattern is read by Go's rules, which also decide what is an error, and written out in a form that the
//! engine cannot read otherwise: literals by number, classes of Perl as the ASCII sets they are in Go.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;
use regex::bytes::{Regex, RegexBuilder};

/// Most repetitions in Go, those of nested operators multiplied.
const MAX_REPEAT: u64 = 1000;
/// How deep groups may nest. Go's bound is 1000.
const MAX_NESTING: u32 = 250;

/// A class of all characters, as [`Limits::folds`] counts.
pub const ALL_CHARACTERS: u32 = char::MAX as u32 + 1;

/// What patterns may cost. The rest is bounded by their length, which is the caller's to look at.
#[derive(Debug)]
pub struct Limits {
    /// How much memory each may take when compiled, in bytes.
    pub compiled: usize,
    /// How many characters may still be looked up for their other case: without regard to case, the engine
    /// walks through every character of a class.
    pub folds: u32,
}

/// A pattern that can be asked.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// How many characters it has, those of repetitions as often as they may come: so much work is each byte of a text
    /// at most.
    places: u64,
}

impl Pattern {
    /// Whether it fits somewhere in the text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// Where it fits first: that part of the text, and those that its groups took; empty for those that took none.
    /// Nothing if it fits nowhere.
    pub fn groups<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let Some(found) = self.regex.captures(text.as_bytes()) else { return Vec::new() };
        let part =
            |part: Option<regex::bytes::Match<'_>>| part.and_then(|m| text.get(m.range())).unwrap_or("");
        found.iter().map(part).collect()
    }

    /// How much work it is at most to ask about a text of so many bytes.
    pub fn cost(&self, bytes: usize) -> u64 {
        self.places.saturating_mul(bytes as u64 + 1)
    }
}

/// The pattern, or Go's error; what it folds is taken off the limits.
pub fn compile(pattern: &[u8], limits: &mut Limits) -> Result<Pattern, String> {
    read(pattern, limits, false)
}

/// The same for a pattern whose groups count: [`Pattern::groups`].
pub fn compile_with_groups(pattern: &[u8], limits: &mut Limits) -> Result<Pattern, String> {
    read(pattern, limits, true)
}

fn read(pattern: &[u8], limits: &mut Limits, groups: bool) -> Result<Pattern, String> {
    let Ok(text) = core::str::from_utf8(pattern) else {
        let shown = String::from_utf8_lossy(pattern);
        return Err(error("invalid UTF-8", &shown));
    };
    let mut translator = Translator::new(text);
    translator.keeps_groups = groups;
    let translated = translator.run().map_err(|(what, part)| error(what, part))?;
    let folds = limits.folds.checked_sub(translator.folded);
    limits.folds = folds.ok_or_else(|| error("too many characters without regard to case", text))?;
    let places = translator.group().size.max(1);
    let regex = RegexBuilder::new(&translated)
        .size_limit(limits.compiled)
        .dfa_size_limit(limits.compiled)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|why| match why {
            regex::Error::CompiledTooBig(_) => error("expression too large", text),
            _ => error("expression nests too deeply", text),
        })?;
    Ok(Pattern { regex, places })
}

fn error(what: &str, part: &str) -> String {
    format!("error parsing regexp: {what}: `{part}`")
}

/// What is wrong, and the part of the pattern that shows it.
type Refusal<'a> = (&'static str, &'a str);

const ESCAPE: &str = "invalid escape sequence";
const RANGE: &str = "invalid character class range";
const ARGUMENT: &str = "missing argument to repetition operator";
const REPEAT: &str = "invalid repeat count";

/// An open group.
#[derive(Clone, Copy, Default)]
struct Group {
    /// How often the last atom repeats what is in it at most, and its characters; `None`: there is no atom to repeat.
    last: Option<(u64, u64)>,
    /// The most of all atoms.
    most: u64,
    /// The characters of all atoms.
    size: u64,
}

struct Translator<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    /// Flags that were set and not written yet: a repetition still belongs before them.
    flags: String,
    groups: Vec<Group>,
    /// Escapes of Unicode's sets, as written, that the engine was asked about and knows.
    known: BTreeSet<String>,
    /// From here on, case may not matter.
    folds: bool,
    /// How many characters the engine will fold, at most.
    folded: u32,
    /// Whether the engine is to say what groups took.
    keeps_groups: bool,
}

impl<'a> Translator<'a> {
    fn new(whole: &'a str) -> Self {
        Translator {
            whole,
            rest: whole,
            out: String::new(),
            flags: String::new(),
            groups: vec![Group::default()],
            known: BTreeSet::new(),
            folds: false,
            folded: 0,
            keeps_groups: false,
        }
    }

    fn run(&mut self) -> Result<String, Refusal<'a>> {
        // The text of the repetition just read, if one was.
        let mut repeated: Option<&'a str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeats = false;
            match c {
                '(' if before.starts_with("(?") => self.flags_or_group()?,
                '(' => {
                    self.rest = &before[1..];
                    self.open();
                }
                '|' => {
                    self.rest = &before[1..];
                    self.write("|");
                    self.group().last = None;
                }
                ')' => {
                    self.rest = &before[1..];
                    self.write(")");
                    let inner = self.groups.pop().unwrap_or_default();
                    if self.groups.is_empty() {
                        return Err(("unexpected )", self.whole));
                    }
                    self.atom(inner.most.max(1), inner.size.max(1));
                }
                '[' => self.class()?,
                '^' | '$' | '.' => {
                    self.rest = &before[1..];
                    self.write(&before[..1]);
                    self.atom(1, 1);
                }
                '*' | '+' | '?' => {
                    self.rest = &before[1..];
                    self.repeat(before, repeated, 1)?;
                    repeats = true;
                }
                '{' => match counts(before) {
                    Some((least, most, after)) => {
                        self.rest = after;
                        let ordered = most.is_none_or(|most| least <= most);
                        if least.max(most.unwrap_or(0)) > MAX_REPEAT || !ordered {
                            return Err((REPEAT, &before[..before.len() - after.len()]));
                        }
                        self.repeat(before, repeated, most.unwrap_or(least))?;
                        repeats = true;
                    }
                    None => self.literal(c, 1),
                },
                '\\' => self.escape()?,
                c => self.literal(c, c.len_utf8()),
            }
            repeated = repeats.then_some(before);
        }
        if self.groups.len() > 1 {
            return Err(("missing closing )", self.whole));
        }
        Ok(core::mem::take(&mut self.out))
    }

    fn group(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn write(&mut self, text: &str) {
        self.out.push_str(&self.flags);
        self.flags.clear();
        self.out.push_str(text);
    }

    fn atom(&mut self, weight: u64, size: u64) {
        let group = self.group();
        group.last = Some((weight, size));
        group.most = group.most.max(weight);
        group.size = group.size.saturating_add(size);
    }

    fn open(&mut self) {
        self.write(if self.keeps_groups { "(" } else { "(?:" });
        self.groups.push(Group::default());
    }

    fn literal(&mut self, c: char, len: usize) {
        self.rest = &self.rest[len..];
        self.write(&number(c));
        self.atom(1, 1);
    }

    /// `before` begins at the operator, `self.rest` behind it.
    fn repeat(&mut self, before: &'a str, repeated: Option<&'a str>, times: u64) -> Result<(), Refusal<'a>> {
        let operator = &before[..before.len() - self.rest.len()];
        self.rest = self.rest.strip_prefix('?').unwrap_or(self.rest);
        let upto = |from: &'a str, rest: &str| &from[..from.len() - rest.len()];
        if let Some(first) = repeated {
            return Err(("invalid nested repetition operator", upto(first, self.rest)));
        }
        let shown = upto(before, self.rest);
        let Some((inner, size)) = self.group().last else { return Err((ARGUMENT, shown)) };
        let weight = inner.saturating_mul(times.max(1));
        if times >= 2 && weight > MAX_REPEAT {
            return Err((REPEAT, shown));
        }
        self.out.push_str(operator);
        // In place of what is repeated.
        self.group().size -= size;
        self.atom(weight, size.saturating_mul(times.max(1)));
        Ok(())
    }

    /// From `(?` on: a named group, flags, or a group with flags.
    fn flags_or_group(&mut self) -> Result<(), Refusal<'a>> {
        let text = self.rest;
        let named = match text.strip_prefix("(?P<").filter(|name| !name.is_empty()) {
            Some(name) => Some(name),
            None => text.strip_prefix("(?<").filter(|name| !name.is_empty()),
        };
        if let Some(name) = named {
            const NAME: &str = "invalid named capture";
            let end = name.find('>').ok_or((NAME, text))?;
            let after = &name[end + 1..];
            if end == 0 || !name[..end].bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err((NAME, &text[..text.len() - after.len()]));
            }
            self.rest = after;
            self.open();
            return Ok(());
        }
        let mut rest = &text[2..];
        let (mut set, mut negative, mut any) = ([None; 4], false, false);
        const FLAGS: &str = "imsU";
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if let Some(at) = FLAGS.find(c) {
                set[at] = Some(!negative);
                any = true;
                continue;
            }
            match c {
                '-' if !negative => (negative, any) = (true, false),
                ':' | ')' if any || !negative => {
                    self.rest = rest;
                    self.set_flags(FLAGS, &set, c == ':');
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(("invalid or unsupported Perl syntax", &text[..text.len() - rest.len()]))
    }

    /// So many characters of a class are folded, where case does not matter.
    fn fold(&mut self, characters: u32) {
        if self.folds {
            self.folded = self.folded.saturating_add(characters.min(ALL_CHARACTERS));
        }
    }

    fn set_flags(&mut self, names: &str, set: &[Option<bool>; 4], group: bool) {
        self.folds |= names.chars().zip(set).any(|(name, state)| name == 'i' && *state == Some(true));
        let named = |on| {
            let with = names.chars().zip(set).filter(move |(_, state)| **state == Some(on));
            with.map(|(name, _)| name).collect::<String>()
        };
        let (on, off) = (named(true), named(false));
        let mut flags = on;
        if !off.is_empty() {
            let _ = write!(flags, "-{off}");
        }
        if group {
            self.write(&format!("(?{flags}:"));
            self.groups.push(Group::default());
        } else if !flags.is_empty() {
            let _ = write!(self.flags, "(?{flags})");
        }
    }

    /// From a backslash on, outside of brackets.
    fn escape(&mut self) -> Result<(), Refusal<'a>> {
        let text = self.rest;
        let written = match text.as_bytes().get(1) {
            Some(b'A') => "\\A",
            Some(b'z') => "\\z",
            Some(b'b') => "(?-u:\\b)",
            Some(b'B') => "(?-u:\\B)",
            Some(b'C') => return Err((ESCAPE, &text[..2])),
            Some(b'Q') => {
                let (quoted, after) = text[2..].split_once("\\E").unwrap_or((&text[2..], ""));
                self.rest = after;
                for c in quoted.chars() {
                    self.write(&number(c));
                    self.atom(1, 1);
                }
                return Ok(());
            }
            _ => {
                let (written, rest) = match set(text, &mut self.known)? {
                    Some(found) => {
                        // Perl's sets are written with the few characters that they hold or lack.
                        let shown = &text[..text.len() - found.1.len()];
                        self.fold(if shown[1..].starts_with(['p', 'P']) { size(shown) } else { 128 });
                        found
                    }
                    None => character(text).map(|(c, rest)| (code(c), rest))?,
                };
                self.rest = rest;
                self.write(&written);
                self.atom(1, 1);
                return Ok(());
            }
        };
        self.rest = &text[2..];
        self.write(written);
        self.atom(1, 1);
        Ok(())
    }

    /// From an opening bracket on.
    fn class(&mut self) -> Result<(), Refusal<'a>> {
        let whole = self.rest;
        let missing = || ("missing closing ]", whole);
        let mut out = String::from("[");
        let mut rest = &whole[1..];
        if let Some(after) = rest.strip_prefix('^') {
            out.push('^');
            rest = after;
        }
        let mut first = true;
        // How many characters are in it, or more.
        let mut characters = 0_u32;
        while first || !rest.starts_with(']') {
            first = false;
            if rest.len() > 2
                && rest.starts_with("[:")
                && let Some(end) = rest[2..].find(":]")
            {
                let name = &rest[..end + 4];
                if !POSIX.contains(&rest[2..end + 2].trim_start_matches('^')) || name.starts_with("[:^^") {
                    return Err((RANGE, name));
                }
                characters =
                    characters.saturating_add(if name.starts_with("[:^") { ALL_CHARACTERS } else { 128 });
                out.push_str(name);
                rest = &rest[end + 4..];
                continue;
            }
            if rest.starts_with('\\')
                && let Some((written, after)) = set(rest, &mut self.known)?
            {
                let shown = &rest[..rest.len() - after.len()];
                let held = match shown.as_bytes()[1] {
                    b'd' | b's' | b'w' => 128,
                    b'p' if !shown.contains('^') => size(shown),
                    _ => ALL_CHARACTERS,
                };
                // A set of Unicode is folded by itself, and again with what stands beside it.
                if shown[1..].starts_with(['p', 'P']) {
                    self.fold(size(shown));
                }
                characters = characters.saturating_add(held);
                out.push_str(&written);
                rest = after;
                continue;
            }
            let range = rest;
            let low;
            (low, rest) = member(rest, missing)?;
            let mut high = low;
            if rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]") {
                (high, rest) = member(&rest[1..], missing)?;
                if high < low {
                    return Err((RANGE, &range[..range.len() - rest.len()]));
                }
            }
            characters = characters.saturating_add(high - low + 1);
            let _ = write!(out, "{}-{}", code(low), code(high));
        }
        out.push(']');
        self.fold(characters);
        self.rest = &rest[1..];
        self.write(&out);
        self.atom(1, 1);
        Ok(())
    }
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// One character of a bracket, escaped or not.
fn member<'a>(text: &'a str, missing: impl Fn() -> Refusal<'a>) -> Result<(u32, &'a str), Refusal<'a>> {
    match text.chars().next() {
        None => Err(missing()),
        Some('\\') => character(text),
        Some(c) => Ok((c.into(), &text[c.len_utf8()..])),
    }
}

/// `{n}`, `{n,}` or `{n,m}`, and what follows; a number too large is as good as any above the limit.
fn counts(text: &str) -> Option<(u64, Option<u64>, &str)> {
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let leading = end > 1 && text.starts_with('0');
        (end > 0 && !leading).then(|| (text[..end].parse().unwrap_or(u64::MAX), end))
    };
    let text = text.strip_prefix('{')?;
    let (least, end) = digits(text)?;
    let text = &text[end..];
    if let Some(after) = text.strip_prefix('}') {
        return Some((least, Some(least), after));
    }
    let text = text.strip_prefix(',')?;
    if let Some(after) = text.strip_prefix('}') {
        return Some((least, None, after));
    }
    let (most, end) = digits(text)?;
    Some((least, Some(most), text[end..].strip_prefix('}')?))
}

/// A set named by an escape: one of Perl's, or of Unicode's.
fn set<'a>(text: &'a str, known: &mut BTreeSet<String>) -> Result<Option<(String, &'a str)>, Refusal<'a>> {
    let perl = match text.as_bytes().get(1) {
        Some(b'd') => "[0-9]",
        Some(b'D') => "[^0-9]",
        Some(b's') => "[\\t\\n\\x0c\\r\\x20]",
        Some(b'S') => "[^\\t\\n\\x0c\\r\\x20]",
        Some(b'w') => "[0-9A-Za-z_]",
        Some(b'W') => "[^0-9A-Za-z_]",
        Some(b'p' | b'P') => return unicode(text, known).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((perl.into(), &text[2..])))
}

/// `\pL`, `\p{Greek}`, and their negations by `\P` and `^`.
fn unicode<'a>(text: &'a str, known: &mut BTreeSet<String>) -> Result<(String, &'a str), Refusal<'a>> {
    let mut negated = text.starts_with("\\P");
    let (name, rest) = match text[2..].strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or((RANGE, text))?,
        None => {
            let len = text[2..].chars().next().map_or(0, char::len_utf8);
            text[2..].split_at(len)
        }
    };
    let shown = &text[..text.len() - rest.len()];
    let plain = name.strip_prefix('^').inspect(|_| negated = !negated).unwrap_or(name);
    let written = format!("\\{}{{{plain}}}", if negated { 'P' } else { 'p' });
    if !known.contains(&written) {
        let name = plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        // Without room it is never compiled: a name that is known fails for want of it.
        let asked = RegexBuilder::new(&written).size_limit(0).build();
        if !name || !matches!(asked, Err(regex::Error::CompiledTooBig(_))) {
            return Err((RANGE, shown));
        }
        known.insert(written.clone());
    }
    Ok((written, rest))
}

/// At least as many characters as a set of Unicode holds, before it is negated. Letters are the largest of the
/// categories, but for "other"; scripts are not looked at more closely.
fn size(written: &str) -> u32 {
    let name = written[2..].trim_matches(['{', '^', '}']);
    let category = name.len() <= 2 && name.starts_with(['L', 'M', 'N', 'P', 'S', 'Z']);
    if category { 160_000 } else { ALL_CHARACTERS }
}

/// An escaped character, from its backslash on.
fn character(text: &str) -> Result<(u32, &str), Refusal<'_>> {
    let mut chars = text[1..].chars();
    let Some(c) = chars.next() else { return Err(("trailing backslash at end of expression", "")) };
    let rest = chars.as_str();
    let refuse = |rest: &str| Err((ESCAPE, &text[..text.len() - rest.len()]));
    let simple = match c {
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        '0'..='7' => {
            if c != '0' && !rest.starts_with(|d: char| d.is_digit(8)) {
                return refuse(rest);
            }
            let more = rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
            let value = u32::from_str_radix(&text[1..2 + more], 8).unwrap_or(0);
            return Ok((value, &rest[more..]));
        }
        'x' => return hexadecimal(text, rest),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c.into(),
        _ => return refuse(rest),
    };
    Ok((simple, rest))
}

fn hexadecimal<'a>(text: &'a str, after: &'a str) -> Result<(u32, &'a str), Refusal<'a>> {
    let refuse = |rest: &str| Err((ESCAPE, &text[..text.len() - rest.len()]));
    let Some(braced) = after.strip_prefix('{') else {
        let mut chars = after.chars();
        let (Some(high), rest) = (chars.next(), chars.as_str()) else { return refuse(after) };
        let Some(low) = chars.next() else { return refuse(rest) };
        return match (high.to_digit(16), low.to_digit(16)) {
            (Some(high), Some(low)) => Ok((high * 16 + low, chars.as_str())),
            _ => refuse(chars.as_str()),
        };
    };
    let (mut value, mut count, mut chars) = (0, 0, braced.chars());
    while let Some(c) = chars.next() {
        match c.to_digit(16) {
            _ if c == '}' && count > 0 => return Ok((value, chars.as_str())),
            Some(digit) if value * 16 + digit <= char::MAX as u32 => value = value * 16 + digit,
            _ => return refuse(chars.as_str()),
        }
        count += 1;
    }
    refuse("")
}

/// A character by its number. A surrogate, which no text holds, becomes one that none holds either.
fn code(value: u32) -> String {
    let value = if char::from_u32(value).is_some() { value } else { 0x10_ffff };
    format!("\\x{{{value:x}}}")
}

fn number(c: char) -> String {
    code(c.into())
}
