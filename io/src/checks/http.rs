//! HTTP: one request on a connection of its own, redirects followed as Go's client does.

use super::output::Tail;
use super::{Finding, NO_TLS, critical, tcp};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use lictor_core::agent::{CheckSpec, Probe};
use lictor_core::types::status;
use std::time::Duration;

/// As Go's client: the eleventh request in a chain is an error.
const MAX_REDIRECTS: usize = 10;

pub(super) async fn probe(spec: &CheckSpec) -> Finding {
    let Probe::Http { url, method, .. } = &spec.probe else { return critical("not an HTTP probe") };
    let verb = title_case(method);
    match tokio::time::timeout(spec.timeout, follow(spec)).await {
        Ok(Ok((code, reason, body))) => {
            let finding = match code {
                200..=299 => status::PASSING,
                429 => status::WARNING,
                _ => status::CRITICAL,
            };
            (finding, format!("HTTP {method} {url}: {code} {reason} Output: {body}"))
        }
        Ok(Err(why)) => critical(format!("{verb} \"{url}\": {why}")),
        Err(_) => critical(format!(
            "{verb} \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

async fn follow(spec: &CheckSpec) -> Result<(u16, String, String), String> {
    let Probe::Http { url, method, headers: _, body, disable_redirects, .. } = &spec.probe else {
        return Err("not an HTTP probe".into());
    };
    let mut uri: Uri = url.parse().map_err(|_| "invalid URL".to_owned())?;
    let mut method =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("net/http: invalid method {method:?}"))?;
    let mut body = Bytes::from(body.clone());
    for _ in 0..=MAX_REDIRECTS {
        let response = send(spec, &uri, &method, body.clone()).await?;
        let code = response.status().as_u16();
        let redirect = matches!(code, 301 | 302 | 303 | 307 | 308) && !disable_redirects;
        let Some(target) = response.headers().get(LOCATION).filter(|_| redirect) else {
            return read(response, spec.output_max).await;
        };
        let target = target.to_str().map_err(|_| "failed to parse Location header".to_owned())?;
        uri = resolve(&uri, target).ok_or_else(|| format!("failed to parse Location header {target:?}"))?;
        // 307 and 308 repeat the request; the others become a GET without a body, HEAD stays HEAD.
        if !matches!(code, 307 | 308) && method != Method::HEAD {
            method = Method::GET;
            body = Bytes::new();
        }
    }
    Err(format!("stopped after {MAX_REDIRECTS} redirects"))
}

async fn send(
    spec: &CheckSpec,
    uri: &Uri,
    method: &Method,
    body: Bytes,
) -> Result<Response<Incoming>, String> {
    let Probe::Http { headers, .. } = &spec.probe else { return Err("not an HTTP probe".into()) };
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(NO_TLS.into()),
        other => return Err(format!("unsupported protocol scheme {:?}", other.unwrap_or(""))),
    }
    let host = uri.host().ok_or("no Host in request URL")?;
    let port = uri.port_u16().unwrap_or(80);
    let address = format!("{host}:{port}");
    let stream = tcp::connect(&address, spec.timeout.max(Duration::from_millis(1))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // Ends with the response or, at the latest, with the probe: its sender is dropped then.
    tokio::spawn(async move {
        let _ = connection.await;
    });

    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let mut request = Request::builder().method(method).uri(path);
    let authority = uri.authority().map_or(address.as_str(), |a| a.as_str());
    let mut host_header = authority.rsplit_once('@').map_or(authority, |(_, h)| h).to_owned();
    let set = request.headers_mut().ok_or("invalid request")?;
    for (name, values) in headers {
        if name.eq_ignore_ascii_case("host") {
            host_header = values.first().cloned().unwrap_or(host_header);
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        for value in values {
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("net/http: invalid header field value for {:?}", name.as_str()))?;
            set.append(&name, value);
        }
    }
    set.insert(
        HOST,
        HeaderValue::from_str(&host_header).map_err(|_| "http: invalid Host header".to_owned())?,
    );
    set.entry(USER_AGENT).or_insert(HeaderValue::from_static("Consul Health Check"));
    set.entry(ACCEPT).or_insert(HeaderValue::from_static("text/plain, text/*, */*"));
    set.insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
    sender
        .send_request(request)
        .await
        .map_err(|e| if e.is_incomplete_message() { "EOF".into() } else { e.to_string() })
}

async fn read(response: Response<Incoming>, max: usize) -> Result<(u16, String, String), String> {
    let code = response.status();
    let reason = response
        .extensions()
        .get::<hyper::ext::ReasonPhrase>()
        .map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned())
        .unwrap_or_else(|| code.canonical_reason().unwrap_or("").to_owned());
    let mut tail = Tail::new(max);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        // A body that breaks off counts as far as it came: Consul only logs it.
        let Ok(frame) = frame else { break };
        if let Some(data) = frame.data_ref() {
            tail.push(data);
        }
    }
    Ok((code.as_u16(), reason, tail.text()))
}

/// The target of a redirect, relative to the URL that gave it.
fn resolve(base: &Uri, target: &str) -> Option<Uri> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return target.parse().ok();
    }
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if let Some(rest) = target.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    if target.starts_with('/') {
        return format!("{scheme}://{authority}{target}").parse().ok();
    }
    let directory = base.path().rsplit_once('/').map_or("", |(dir, _)| dir);
    format!("{scheme}://{authority}{directory}/{target}").parse().ok()
}

/// `GET` as Go's URL errors show it: `Get`.
fn title_case(method: &str) -> String {
    let mut chars = method.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_resolve_against_where_they_came_from() {
        let base: Uri = "http://h:1/a/b?c".parse().unwrap();
        for (target, expected) in [
            ("/x", "http://h:1/x"),
            ("x", "http://h:1/a/x"),
            ("//g/x", "http://g/x"),
            ("https://g/x", "https://g/x"),
        ] {
            assert_eq!(resolve(&base, target).unwrap().to_string(), expected);
        }
    }
}
