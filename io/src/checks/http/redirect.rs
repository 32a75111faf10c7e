//! What a redirect changes about the next request: Go's rules.

use super::url::Url;
use hyper::header::{HeaderMap, LOCATION};
use hyper::{Method, Response, StatusCode};

/// Requests in one chain.
pub(super) const MAX_REQUESTS: usize = 10;

/// Headers that stay with the host which they were meant for.
const SECRET: [&str; 5] = ["authorization", "www-authenticate", "cookie", "cookie2", "proxy-authorization"];

/// Where a response sends its client; a redirect without a place counts as the answer.
pub(super) fn target<B>(response: &Response<B>) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION).filter(|l| !l.is_empty())?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The method of the next request, and whether it repeats the body.
pub(super) fn method(status: StatusCode, method: &Method) -> (Method, bool) {
    match status.as_u16() {
        307 | 308 => (method.clone(), true),
        _ if method == Method::GET || method == Method::HEAD => (method.clone(), false),
        _ => (Method::GET, false),
    }
}

/// Takes secrets out when the next host is neither the first one nor below it.
pub(super) fn drop_secrets(headers: &mut HeaderMap, first: &Url, next: &Url) {
    let (first, next) = (first.host().to_ascii_lowercase(), next.host().to_ascii_lowercase());
    let below = || !next.contains(':') && next.strip_suffix(&first).is_some_and(|rest| rest.ends_with('.'));
    if next != first && !below() {
        for name in SECRET {
            headers.remove(name);
        }
    }
}

/// The page that led to the next one, unless that would tell a secret.
pub(super) fn referer(from: &Url, next: &Url) -> Option<String> {
    if from.scheme == "https" && next.scheme == "http" {
        return None;
    }
    Some(Url { user: None, ..from.clone() }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_with_the_host_that_they_were_meant_for() {
        let url = |text| Url::parse(text).unwrap();
        for (next, kept) in [
            ("http://a.example/x", true),
            ("https://A.example:8443/x", true),
            ("http://b.a.example/", true),
            ("http://evil-a.example/", false),
            ("http://example/", false),
            ("http://127.0.0.1/", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", "secret".parse().unwrap());
            headers.insert("x-other", "kept".parse().unwrap());
            drop_secrets(&mut headers, &url("http://a.example/"), &url(next));
            assert_eq!(headers.contains_key("authorization"), kept, "{next}");
            assert!(headers.contains_key("x-other"));
        }
    }

    #[test]
    fn methods_and_referers_change_as_in_go() {
        let status = |n| StatusCode::from_u16(n).unwrap();
        assert_eq!(method(status(302), &Method::POST), (Method::GET, false));
        assert_eq!(method(status(302), &Method::HEAD), (Method::HEAD, false));
        assert_eq!(method(status(308), &Method::POST), (Method::POST, true));
        let url = |text| Url::parse(text).unwrap();
        assert_eq!(referer(&url("https://h/"), &url("http://h/")), None);
        assert_eq!(referer(&url("http://u:p@h/a"), &url("http://h/")), Some("http://h/a".to_owned()));
    }
}
