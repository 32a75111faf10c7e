//! One request and its response, over a connection of its own.

use super::proxy::{self, Proxy};
use super::redirect;
use super::url::Url;
use crate::checks::{go_error, tcp, tls};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, REFERER,
    USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lictor_core::agent::ProbeTls;
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Headers that are this side's own affair: they frame the message.
const OWN: [&str; 5] = ["host", "content-length", "transfer-encoding", "trailer", "connection"];

/// What to ask for next.
pub(super) struct Order {
    method: Method,
    pub(super) url: Url,
    first: Url,
    /// `Host`, where it was given.
    host: Option<String>,
    /// Names and values, or why they cannot be sent.
    headers: Result<HeaderMap, String>,
    body: Bytes,
}

impl Order {
    pub(super) fn new(
        method: Method,
        url: Url,
        headers: &BTreeMap<String, Vec<String>>,
        body: &[u8],
    ) -> Order {
        let given = |(name, values): (&String, &Vec<String>)| {
            name.eq_ignore_ascii_case("host").then(|| values.first().cloned())?
        };
        let host = headers.iter().find_map(given).filter(|host| !host.is_empty());
        let (first, body) = (url.clone(), Bytes::copy_from_slice(body));
        Order { method, url, first, host, headers: header_map(headers), body }
    }

    /// Makes this the order for the next request of a chain.
    pub(super) fn redirect(&mut self, status: StatusCode, location: &str) -> Result<(), String> {
        let next = self
            .url
            .join(location)
            .map_err(|why| format!("failed to parse Location header {location:?}: {why}"))?;
        let (method, same) = redirect::method(status, &self.method);
        self.method = method;
        if !same {
            self.body = Bytes::new();
        }
        // A name that was given stays on the way through one server only.
        if Url::parse(location).is_ok_and(|url| !url.scheme.is_empty()) {
            self.host = None;
        }
        if let Ok(headers) = &mut self.headers {
            redirect::drop_secrets(headers, &self.first, &next);
            headers.remove(REFERER);
            let referer = redirect::referer(&self.url, &next).and_then(|r| HeaderValue::try_from(r).ok());
            if let Some(referer) = referer {
                headers.insert(REFERER, referer);
            }
        }
        self.url = next;
        Ok(())
    }

    pub(super) async fn send(
        &self,
        options: &ProbeTls,
        deadline: Instant,
    ) -> Result<Response<Incoming>, String> {
        let mut headers = self.headers.clone()?;
        let secure = match self.url.scheme.as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        if self.url.host().is_empty() {
            return Err("http: no Host in request URL".into());
        }
        if let Some(credentials) = self.url.credentials() {
            let basic = format!("Basic {}", STANDARD.encode(credentials));
            let value = HeaderValue::try_from(basic).map_err(|e| e.to_string())?;
            headers.entry(AUTHORIZATION).or_insert(value);
        }
        let proxy = proxy::choose(&self.url)?;
        let address = self.url.address();
        let stream = match &proxy {
            None => tcp::dial(&address, deadline).await?,
            Some(proxy) => {
                tcp::dial(&proxy.address, deadline).await.map_err(|why| format!("proxyconnect tcp: {why}"))?
            }
        };
        if !secure {
            let whole = proxy.as_ref().map(|proxy| {
                if let Some(value) = &proxy.authorization {
                    headers.insert(hyper::header::PROXY_AUTHORIZATION, value.clone());
                }
                format!("http://{}{}", self.url.authority, self.url.target())
            });
            return self.over_http1(stream, whole.unwrap_or_else(|| self.url.target()), headers).await;
        }
        let stream = match &proxy {
            None => stream,
            Some(proxy) => Proxy::tunnel(proxy, stream, &address).await?,
        };
        let stream = tls::handshake(stream, options, &address, &[b"h2", b"http/1.1"]).await;
        let stream = stream.map_err(|why| match why.as_str() {
            tls::NOT_TLS => "http: server gave HTTP response to HTTPS client".to_owned(),
            _ => why,
        })?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => self.over_http2(stream, headers).await,
            _ => self.over_http1(stream, self.url.target(), headers).await,
        }
    }

    fn authority(&self) -> &str {
        self.host.as_deref().unwrap_or(&self.url.authority)
    }

    async fn over_http1<S>(
        &self,
        stream: S,
        target: String,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let host =
            HeaderValue::from_str(self.authority()).map_err(|_| "http: invalid Host header".to_owned())?;
        let mut all = HeaderMap::from_iter([(HOST, host), (CONNECTION, HeaderValue::from_static("close"))]);
        if self.body.is_empty() && matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            all.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        all.extend(headers);
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| in_gos_words(&e))?;
        // Ends with the response or, at the latest, with the probe: its sender is dropped then.
        tokio::spawn(connection);
        sender.send_request(self.request(target, all)?).await.map_err(|e| in_gos_words(&e))
    }

    async fn over_http2<S>(&self, stream: S, headers: HeaderMap) -> Result<Response<Incoming>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| in_gos_words(&e))?;
        tokio::spawn(connection);
        let target = format!("https://{}{}", self.authority(), self.url.target());
        sender.send_request(self.request(target, headers)?).await.map_err(|e| in_gos_words(&e))
    }

    fn request(&self, target: String, headers: HeaderMap) -> Result<Request<Full<Bytes>>, String> {
        let request = Request::builder().method(&self.method).uri(target).body(Full::new(self.body.clone()));
        let mut request = request.map_err(|e| e.to_string())?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn header_map(given: &BTreeMap<String, Vec<String>>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in given {
        let known = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        let values = values.iter().map(|value| {
            HeaderValue::from_str(value.trim())
                .map_err(|_| format!("net/http: invalid header field value for {name:?}"))
        });
        for value in values {
            let value = value?;
            if !OWN.contains(&known.as_str()) {
                headers.append(&known, value);
            }
        }
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("Consul Health Check"));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/plain, text/*, */*"));
    Ok(headers)
}

fn in_gos_words(e: &hyper::Error) -> String {
    if e.is_incomplete_message() {
        return "EOF".into();
    }
    if e.is_parse() {
        return format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response ({e})");
    }
    let io = std::error::Error::source(e).and_then(|e| e.downcast_ref::<std::io::Error>());
    io.map_or_else(
        || e.to_string(),
        |e| tls::alert(e).unwrap_or_else(|| format!("read: {}", go_error::cause(e))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Result<HeaderMap, String> {
        let given = pairs.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        header_map(&given.collect())
    }

    #[test]
    fn no_header_leaves_its_line_or_frames_the_message() {
        for (name, value, why) in [
            ("X-A\r\nb", "v", "net/http: invalid header field name \"X-A\\r\\nb\""),
            ("X A", "v", "net/http: invalid header field name \"X A\""),
            ("", "v", "net/http: invalid header field name \"\""),
            ("X-A", "v\r\nX-B: 1", "net/http: invalid header field value for \"X-A\""),
            ("Host", "v\nX-B: 1", "net/http: invalid header field value for \"Host\""),
        ] {
            assert_eq!(headers(&[(name, value)]).unwrap_err(), why);
        }
        let kept =
            headers(&[("Content-Length", "5"), ("transfer-encoding", "chunked"), ("X-Low", "1")]).unwrap();
        let mut names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "user-agent", "x-low"]);
    }
}
