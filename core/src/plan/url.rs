//! Percent-encoding as Go does it.

use alloc::format;
use alloc::string::String;

/// Percent-encodes a path; slashes stay, as Go's client leaves them.
pub fn escape_path(path: &str) -> String {
    escape(path, b"-_.~$&+,/:;=@", false)
}

/// Percent-encodes everything but ASCII letters, digits and what is in `kept`; a space becomes a plus if so wanted.
pub fn escape(text: &str, kept: &[u8], plus: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if plus => escaped.push('+'),
            b if b.is_ascii_alphanumeric() || kept.contains(&b) => escaped.push(char::from(b)),
            b => escaped.push_str(&format!("%{b:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_go_escapes_them() {
        assert_eq!(escape_path("k e/y?x#%41&a=b:c@d+e,f;g"), "k%20e/y%3Fx%23%2541&a=b:c@d+e,f;g");
        assert_eq!(escape_path("\u{e9}!'()*"), "%C3%A9%21%27%28%29%2A");
    }
}
