//! What Go's `net/url` takes for a URL, as far as configuration depends on it.

/// Whether a text is a URL of scheme `http` or `https`.
pub(super) fn is_http(text: &str) -> bool {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return false;
    }
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return false;
    }
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    let Some(after) = rest.strip_prefix("//").filter(|_| !rest.starts_with("///")) else {
        // Without slash it is opaque, and nobody looks at it.
        return escapes(fragment) && (!rest.starts_with('/') || escapes(rest));
    };
    let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    escapes(fragment) && escapes(path) && is_user(user) && is_host(host)
}

/// Whether a text is an absolute path and nothing else of a URL: no query, no fragment, nothing escaped.
pub(super) fn is_absolute_path(text: &str) -> bool {
    let host = text.starts_with("//") && !text.starts_with("///");
    text.starts_with('/') && !host && !text.bytes().any(|b| b < 0x20 || b == 0x7f || b"?#%".contains(&b))
}

/// Every `%` is followed by two hexadecimal digits.
fn escapes(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    parts.all(|part| part.len() >= 2 && part.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

fn is_user(text: &str) -> bool {
    escapes(text) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b))
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(inner) => match inner.rsplit_once(']') {
            Some((name, port)) => (name, port),
            None => return false,
        },
        None => text.split_at(text.rfind(':').unwrap_or(text.len())),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let port = port.is_empty() || digits.len() < port.len() && digits.bytes().all(|b| b.is_ascii_digit());
    let allowed =
        |b: u8| !b.is_ascii() || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&b);
    port && escapes(name) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_parses_with_a_scheme_of_http_is_a_url() {
        let good = [
            "http://prometheus-server",
            "HTTPS://a.b:9090/x?y=%zz#f",
            "http:",
            "http://",
            "http:/a",
            "http:opaque",
            "http://[::1]:80/a b",
            "http://user:pass@host/",
            "http://a/d/{{Service.Name}}/x",
        ];
        good.iter().for_each(|text| assert!(is_http(text), "{text}"));
        let bad = [
            "",
            "localhost:1234",
            "a/b",
            "ftp://x",
            "javascript:alert(1)",
            "http//x",
            "http://a b/",
            "http://a:b/",
            "http://[::1/",
            "http://a/%zz",
            "http://a\u{7f}",
            "http://{{x}}/",
        ];
        bad.iter().for_each(|text| assert!(!is_http(text), "{text}"));
    }

    #[test]
    fn a_path_is_absolute_when_go_finds_nothing_else_in_it() {
        ["/", "/api/v1/query", "///a", "/a b", "/é"].iter().for_each(|p| assert!(is_absolute_path(p), "{p}"));
        let bad = ["", "a", "//host", "/a?b", "/a#b", "/a%20b", "/a\n", "http://a/b"];
        bad.iter().for_each(|p| assert!(!is_absolute_path(p), "{p}"));
    }
}
