//! Go's `flag` syntax over a table: one dash or two, `-x v` and `-x=v`, bools that take a value only
//! after `=`, and the first argument that is no flag ends them.
//!
//! Users' scripts carry these rules in their fingers, and grep for the error texts, so both are Go's.

use std::fmt;

/// What a flag accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `-x`, `-x=true`, `-x=false`.
    Bool,
    /// Any text; the last one given counts.
    Text,
    /// An unsigned 64-bit number, decimal, `0x`, `0o`, `0b` or leading-zero octal.
    Uint,
    /// A signed 64-bit number, same notations unless the flag is `strict`.
    Int,
    /// Any text, repeatable.
    List,
    /// `key=value`, repeatable.
    Pairs,
}

/// One flag of a command.
#[derive(Debug)]
pub struct Flag {
    /// Without dashes.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// How the help names the value; empty for bools.
    pub arg: &'static str,
    /// Shown in the help; the command applies it.
    pub default: &'static str,
    /// One or two sentences.
    pub help: &'static str,
    /// Consul parses common and agent flags through own types: their errors name Go's `strconv`
    /// function, their numbers are decimal only.
    pub strict: bool,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, arg: &'static str, help: &'static str) -> Flag {
        Flag { name, kind, arg, default: "", help, strict: false }
    }

    /// A switch, off unless given.
    pub const fn switch(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Bool, "", help).or("false")
    }

    /// A text value.
    pub const fn text(name: &'static str, arg: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Text, arg, help)
    }

    /// An unsigned number.
    pub const fn uint(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Uint, "uint", help).or("0")
    }

    /// A signed number.
    pub const fn int(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Int, "int", help)
    }

    /// A repeatable text value.
    pub const fn list(name: &'static str, arg: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::List, arg, help)
    }

    /// A repeatable `key=value`.
    pub const fn pairs(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Pairs, "key=value", help)
    }

    /// The same flag with `default` shown in its help.
    pub const fn or(mut self, default: &'static str) -> Flag {
        self.default = default;
        self
    }

    /// The same flag with Consul's own value types: see [`Flag::strict`].
    pub const fn strictly(mut self) -> Flag {
        self.strict = true;
        self
    }
}

/// The outcome of parsing a command line.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Flags in the order given, values validated; a bool is `true` or `false`.
    pub given: Vec<(&'static Flag, String)>,
    /// What follows the flags.
    pub args: Vec<String>,
}

/// Why a command line does not parse. The text is Go's.
#[derive(Debug, PartialEq, Eq)]
pub enum FlagError {
    /// `---x`, `-=x`.
    Syntax(String),
    /// No such flag.
    Unknown(String),
    /// The last argument is a flag that wants a value.
    NeedsValue(String),
    /// The value does not fit the flag's kind.
    Bad {
        /// Name of the flag.
        flag: &'static str,
        /// Bools have a text of their own.
        bool: bool,
        /// What was given.
        value: String,
        /// Why it does not fit.
        why: String,
    },
}

impl fmt::Display for FlagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlagError::Syntax(arg) => write!(f, "bad flag syntax: {arg}"),
            FlagError::Unknown(name) => write!(f, "flag provided but not defined: -{name}"),
            FlagError::NeedsValue(name) => write!(f, "flag needs an argument: -{name}"),
            FlagError::Bad { flag, bool: true, value, why } => {
                write!(f, "invalid boolean value {value:?} for -{flag}: {why}")
            }
            FlagError::Bad { flag, bool: false, value, why } => {
                write!(f, "invalid value {value:?} for flag -{flag}: {why}")
            }
        }
    }
}

/// Parses `args` against the flags of `table`.
pub fn parse(table: &[&'static [Flag]], args: &[String]) -> Result<Parsed, FlagError> {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.as_slice().first() {
        if arg.len() < 2 || !arg.starts_with('-') {
            break;
        }
        rest.next();
        if arg == "--" {
            break;
        }
        let body = arg.strip_prefix("--").unwrap_or(&arg[1..]);
        if body.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(arg.clone()));
        }
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = find(table, name).ok_or_else(|| FlagError::Unknown(name.to_owned()))?;
        let value = match (flag.kind, inline) {
            (Kind::Bool, None) => "true".to_owned(),
            (_, Some(value)) => value,
            (_, None) => rest.next().cloned().ok_or_else(|| FlagError::NeedsValue(name.to_owned()))?,
        };
        let value = check(flag, &value).map_err(|why| FlagError::Bad {
            flag: flag.name,
            bool: flag.kind == Kind::Bool,
            value,
            why,
        })?;
        parsed.given.push((flag, value));
    }
    parsed.args = rest.cloned().collect();
    Ok(parsed)
}

fn find(table: &[&'static [Flag]], name: &str) -> Option<&'static Flag> {
    table.iter().flat_map(|set| set.iter()).find(|f| f.name == name)
}

/// The value in normal form, or why it does not fit.
fn check(flag: &Flag, value: &str) -> Result<String, String> {
    let refuse = |function: &str, why: Number| match (flag.strict, why) {
        (false, Number::Syntax) => "parse error".to_owned(),
        (false, Number::Range) => "value out of range".to_owned(),
        (true, Number::Syntax) => format!("strconv.{function}: parsing {value:?}: invalid syntax"),
        (true, Number::Range) => format!("strconv.{function}: parsing {value:?}: value out of range"),
    };
    match flag.kind {
        Kind::Text | Kind::List => Ok(value.to_owned()),
        Kind::Pairs if value.contains('=') => Ok(value.to_owned()),
        Kind::Pairs => Err(format!("Missing \"=\" value in argument: {value}")),
        Kind::Bool => {
            bool_of(value).map(|b| b.to_string()).ok_or_else(|| refuse("ParseBool", Number::Syntax))
        }
        Kind::Uint => magnitude(value, flag.strict)
            .and_then(|n| u64::try_from(n).map_err(|_| Number::Range))
            .map(|n| n.to_string())
            .map_err(|why| refuse("ParseUint", why)),
        Kind::Int => {
            let (minus, digits) = match value.as_bytes().first() {
                Some(b'-') => (true, &value[1..]),
                Some(b'+') => (false, &value[1..]),
                _ => (false, value),
            };
            magnitude(digits, flag.strict)
                .and_then(|n| i128::try_from(n).map_err(|_| Number::Range))
                .and_then(|n| i64::try_from(if minus { -n } else { n }).map_err(|_| Number::Range))
                .map(|n| n.to_string())
                .map_err(|why| refuse("Atoi", why))
        }
    }
}

enum Number {
    Syntax,
    Range,
}

/// Go's `ParseUint(s, 0, 64)`, or base ten when `decimal`; wider than 64 bits so that the caller can
/// tell a number that does not fit from text that is none.
fn magnitude(text: &str, decimal: bool) -> Result<u128, Number> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        _ if decimal => (lower.as_str(), 10),
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(Number::Syntax);
    }
    u128::from_str_radix(digits, radix).map_err(|_| Number::Range)
}

/// Go's `strconv.ParseBool`.
pub fn bool_of(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

impl Parsed {
    /// The last value given for `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(f, _)| f.name == name).map(|(_, v)| v.as_str())
    }

    /// Whether switch `name` is on.
    pub fn on(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The number given for `name`, 0 if none.
    pub fn uint(&self, name: &str) -> u64 {
        self.text(name).map_or(0, |v| v.parse().expect("checked while parsing"))
    }

    /// The signed number given for `name`, 0 if none.
    pub fn int(&self, name: &str) -> i64 {
        self.text(name).map_or(0, |v| v.parse().expect("checked while parsing"))
    }

    /// Every value given for `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(f, _)| f.name == name).map(|(_, v)| v.as_str())
    }

    /// Every `key=value` given for `name`, split at the first `=`.
    pub fn pairs<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all(name).map(|v| v.split_once('=').expect("checked while parsing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[&[Flag]] = &[
        &[
            Flag::switch("keys", "k"),
            Flag::text("separator", "string", "s"),
            Flag::uint("modify-index", "m"),
            Flag::int("port", "p"),
        ],
        &[
            Flag::list("tag", "value", "t"),
            Flag::pairs("meta", "m"),
            Flag::switch("stale", "s").strictly(),
            Flag::int("http-port", "p").strictly(),
        ],
    ];

    fn words(line: &str) -> Vec<String> {
        line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect()
    }

    fn ok(line: &str) -> Parsed {
        parse(TABLE, &words(line)).expect(line)
    }

    fn refused(line: &str) -> String {
        parse(TABLE, &words(line)).expect_err(line).to_string()
    }

    #[test]
    fn one_dash_and_two_and_both_value_forms_are_the_same() {
        for line in ["-separator=x", "--separator=x", "-separator x", "--separator x"] {
            assert_eq!(ok(line).text("separator"), Some("x"), "{line}");
        }
        assert_eq!(ok("-separator=").text("separator"), Some(""));
        assert_eq!(ok("-separator=a=b").text("separator"), Some("a=b"));
    }

    #[test]
    fn a_bool_takes_a_value_only_after_an_equals_sign() {
        let p = ok("-keys false");
        assert!(p.on("keys"));
        assert_eq!(p.args, ["false"]);
        assert!(!ok("-keys=false").on("keys"));
        assert!(!ok("-keys -keys=0").on("keys"), "the last one counts");
        assert!(!ok("").on("keys"));
    }

    #[test]
    fn the_first_positional_ends_the_flags() {
        let p = ok("-keys foo -separator x");
        assert_eq!(p.args, ["foo", "-separator", "x"]);
        assert_eq!(ok("- -keys").args, ["-", "-keys"], "a lone dash is a positional");
        assert_eq!(ok("-- -keys").args, ["-keys"], "two dashes end the flags and vanish");
    }

    #[test]
    fn values_may_look_like_flags() {
        assert_eq!(ok("-separator -keys").text("separator"), Some("-keys"));
    }

    #[test]
    fn repeated_flags_keep_their_order() {
        let p = ok("-tag b -meta k=v=w -tag=a");
        assert_eq!(p.all("tag").collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(p.pairs("meta").collect::<Vec<_>>(), [("k", "v=w")]);
    }

    #[test]
    fn numbers_are_read_in_every_notation_of_go_unless_strict() {
        for (text, n) in [("0", 0), ("42", 42), ("0x2A", 42), ("0b11", 3), ("0o17", 15), ("017", 15)] {
            assert_eq!(ok(&format!("-modify-index={text}")).uint("modify-index"), n, "{text}");
        }
        let max = ok("-modify-index=18446744073709551615");
        assert_eq!(max.uint("modify-index"), u64::MAX);
        assert_eq!(ok("-port=-1").int("port"), -1);
        assert_eq!(ok("-http-port=010").int("http-port"), 10);
    }

    #[test]
    fn refusals_are_worded_as_go_words_them() {
        for (line, text) in [
            ("-foo", "flag provided but not defined: -foo"),
            ("--foo=1", "flag provided but not defined: -foo"),
            ("-separator", "flag needs an argument: -separator"),
            ("-=x", "bad flag syntax: -=x"),
            ("---x", "bad flag syntax: ---x"),
            ("-keys=2", r#"invalid boolean value "2" for -keys: parse error"#),
            ("-modify-index=-1", r#"invalid value "-1" for flag -modify-index: parse error"#),
            (
                "-modify-index=0xffffffffffffffffff",
                r#"invalid value "0xffffffffffffffffff" for flag -modify-index: value out of range"#,
            ),
            ("-meta=ab", r#"invalid value "ab" for flag -meta: Missing "=" value in argument: ab"#),
            (
                "-stale=maybe",
                r#"invalid boolean value "maybe" for -stale: strconv.ParseBool: parsing "maybe": invalid syntax"#,
            ),
            (
                "-http-port=abc",
                r#"invalid value "abc" for flag -http-port: strconv.Atoi: parsing "abc": invalid syntax"#,
            ),
        ] {
            assert_eq!(refused(line), text);
        }
    }

    #[test]
    fn hostile_numbers_are_refused_not_panicked_on() {
        for n in ["", "+", "-", "0x", "99999999999999999999999999999999999999999999", "1_0", "\u{664}"] {
            assert!(parse(TABLE, &[format!("-port={n}")]).is_err(), "{n}");
        }
    }
}
