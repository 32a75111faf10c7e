//! From raw bytes of a request line to a route, as Go's mux and Consul's wrappers do it.

use super::message::{HttpReply, HttpRequest};
use super::path::{Query, clean_keeping_slash, is_clean, is_printable, unescape};
use super::request::Request;
use super::respond::{TEXT, finish, reply};
use super::route::{self, Method, Route};
use crate::config::RuntimeConfig;
use crate::metrics::Endpoint;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use bytes::Bytes;
use core::net::SocketAddr;

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Routed {
    /// To this method of a route.
    Method(Request, &'static Method, Endpoint),
    /// It is answered already.
    Answered(HttpReply),
}

/// Takes the target apart and finds the route. What `http_config` forbids is not asked of a request that was `handed`
/// over: it came by the server port.
pub(super) fn route(raw: HttpRequest, handed: bool, config: &RuntimeConfig) -> Routed {
    match try_route(raw, handed, config) {
        Ok((request, method, endpoint)) => Routed::Method(request, method, endpoint),
        Err(reply) => Routed::Answered(reply),
    }
}

fn try_route(
    raw: HttpRequest,
    handed: bool,
    config: &RuntimeConfig,
) -> Result<(Request, &'static Method, Endpoint), HttpReply> {
    if raw.method == "CONNECT" {
        // Its target is no path; Go's mux knows nothing of that name.
        return Err(HttpReply::text(404, "404 page not found\n"));
    }
    if raw.target == "*" {
        let status = if raw.method == "OPTIONS" { 200 } else { 400 };
        return Err(empty(status));
    }
    let (escaped, query) = split(&raw.target).ok_or_else(bad_request)?;
    let path = unescape(escaped, false).ok_or_else(bad_request)?;
    // Go keeps any bytes; here they stand for a name that nothing has. Where keys may have any characters, that would
    // be the name of a key.
    let path = match String::from_utf8(path) {
        Err(_) if config.disable_http_unprintable_char_filter => return Err(empty(400)),
        Err(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned(),
        Ok(path) => path,
    };
    if !config.disable_http_unprintable_char_filter && !path.chars().all(is_printable) {
        return Err(empty(400));
    }
    if !is_clean(escaped) {
        let mut clean = clean_keeping_slash(escaped);
        let decoded = unescape(&clean, false).and_then(|path| String::from_utf8(path).ok());
        if decoded.is_some_and(|path| route::find(&path).is_none() && route::wants_slash(&path)) {
            clean.push('/');
        }
        return Err(redirect(&raw.method, &clean, query));
    }
    let Some(found) = route::find(&path) else {
        if route::wants_slash(&path) {
            return Err(redirect(&raw.method, &format!("{escaped}/"), query));
        }
        return Err(unknown_path(&path, config));
    };
    let Some(query) = Query::parse(query.unwrap_or("")) else {
        return Err(finish(reply(500, TEXT, Bytes::new()), config.translate_wan_addrs));
    };
    if !handed && config.http.block_endpoints.iter().any(|prefix| path.starts_with(prefix.as_str())) {
        return Err(finish(
            reply(403, TEXT, "Endpoint is blocked by agent configuration"),
            config.translate_wan_addrs,
        ));
    }
    let at = method_of(found.route, &raw.method, &path[found.matched..], config)?;
    if !handed && !matches!(&*raw.method, "GET" | "HEAD") {
        may_write(raw.remote, config)?;
    }
    let mut request = Request::new(raw, path, query);
    request.matched = found.matched;
    Ok((request, &found.route.methods[at], found.endpoint(at)))
}

/// Whether `http_config.allow_write_http_from` lets this client write; with none given, everybody may. With any, nobody
/// may who comes over a unix socket, in the words with which Consul fails to see an address there.
fn may_write(client: Option<SocketAddr>, config: &RuntimeConfig) -> Result<(), HttpReply> {
    let networks = &config.http.allow_write_http_from;
    let (status, why) = match client {
        _ if networks.is_empty() => return Ok(()),
        Some(client) if networks.iter().any(|network| network.contains(client.ip())) => return Ok(()),
        Some(_) => (403, "Access is restricted"),
        None => (500, "unable to parse remote addr: address @: missing port in address"),
    };
    Err(finish(reply(status, TEXT, why), config.translate_wan_addrs))
}

/// Where the method stands in the route, or the answer to OPTIONS or to a method that the route does not have.
fn method_of(
    route: &'static Route,
    name: &str,
    arg: &str,
    config: &RuntimeConfig,
) -> Result<usize, HttpReply> {
    // Prepared queries route verbs by themselves, and name OPTIONS only to those who ask for it.
    let own = route.pattern == "/v1/query/";
    let narrowed = own && (arg.ends_with("/execute") || arg.ends_with("/explain"));
    if name != "OPTIONS"
        && let Some(at) = route.methods.iter().position(|m| m.verb == name)
        && (at == 0 || !narrowed)
    {
        return Ok(at);
    }
    let mut allow = String::from(if own && name != "OPTIONS" { "" } else { "OPTIONS" });
    for method in route.methods.iter().take(if narrowed { 1 } else { usize::MAX }) {
        allow.push_str(if allow.is_empty() { "" } else { "," });
        allow.push_str(method.verb);
    }
    let mut answer = match name {
        // With an empty object.
        "OPTIONS" if own => reply(200, super::respond::JSON, "{}"),
        "OPTIONS" => reply(200, "application/json; charset=utf-8", Bytes::new()),
        _ => reply(405, TEXT, format!("method {name} not allowed")),
    };
    answer.headers.push(("Allow", Cow::Owned(allow)));
    Err(finish(answer, config.translate_wan_addrs))
}

/// Path and query of a target: an origin form, or an absolute URI. No fragment is split off: a request
/// line has none.
fn split(target: &str) -> Option<(&str, Option<&str>)> {
    let rest = match target.starts_with('/') {
        true => target,
        false => {
            let after = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"))?;
            after.find(['/', '?']).map_or("/", |at| &after[at..])
        }
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    Some((if path.is_empty() { "/" } else { path }, query))
}

fn empty(status: u16) -> HttpReply {
    HttpReply { status, headers: alloc::vec![], body: Bytes::new(), close: false, site: false }
}

/// What Go's server itself answers to a target that is no URL.
fn bad_request() -> HttpReply {
    HttpReply { close: true, ..HttpReply::text(400, "400 Bad Request") }
}

/// The mux of the Go that releases of 1.21 are built with sends clients to the cleaned path so. (That of Go 1.26 says 307,
/// and the recordings were made with it.)
fn redirect(method: &str, path: &str, query: Option<&str>) -> HttpReply {
    let location = match query {
        Some(query) => format!("{path}?{query}"),
        None => String::from(path),
    };
    let mut answer = empty(301);
    if matches!(method, "GET" | "HEAD") {
        answer.headers.push((super::respond::CONTENT_TYPE, Cow::Borrowed("text/html; charset=utf-8")));
    }
    if method == "GET" {
        let mut body = String::from("<a href=\"");
        for c in location.chars() {
            match c {
                '&' => body.push_str("&amp;"),
                '<' => body.push_str("&lt;"),
                '>' => body.push_str("&gt;"),
                '"' => body.push_str("&#34;"),
                '\'' => body.push_str("&#39;"),
                c => body.push(c),
            }
        }
        body.push_str("\">Moved Permanently</a>.\n\n");
        answer.body = Bytes::from(body);
    }
    answer.headers.push(("Location", Cow::Owned(location)));
    answer
}

fn unknown_path(path: &str, config: &RuntimeConfig) -> HttpReply {
    const NO_UI_YET: &str = "Lictor Agent: the web UI is not built yet in this version.";
    if path == "/" {
        let text = if config.ui_enabled {
            NO_UI_YET
        } else {
            "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent configuration \
             and restart."
        };
        return HttpReply { site: true, ..HttpReply::text(200, text) };
    }
    let text = if config.ui_enabled && (path == "/ui" || path.starts_with("/ui/")) {
        NO_UI_YET
    } else if path.contains("/v1/") {
        "Invalid URL path: not a recognized HTTP API endpoint\n"
    } else {
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
    };
    HttpReply { site: true, ..HttpReply::text(404, text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_for_the_web_ui_is_told_that_there_is_none_yet() {
        let on = RuntimeConfig { ui_enabled: true, ..RuntimeConfig::default() };
        for path in ["/", "/ui", "/ui/dc1/services"] {
            let reply = unknown_path(path, &on);
            assert!(format!("{:?}", reply.body).contains("web UI is not built yet"), "{path}");
        }
        let off = unknown_path("/ui/", &RuntimeConfig::default());
        assert!(format!("{:?}", off.body).contains("ensure the path starts with '/v1/'"));
    }
}
