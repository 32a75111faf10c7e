//! HTTP: one request on a connection of its own, redirects followed as Go's client does.
//!
//! Headers come from whoever registered the check: names and values that would break out of their line
//! are refused, and those that frame the message (`Content-Length`, `Transfer-Encoding`) are not passed on.

mod exchange;
mod proxy;
mod redirect;
mod url;

use super::output::Tail;
use super::{critical, found, go_error};
use exchange::Order;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Response};
use lictor_core::agent::{CheckOutcome, CheckSpec, Probe};
use lictor_core::types::status;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// Bytes of a body that are read; what follows changes neither the status nor much of the output.
const MAX_BODY: u64 = 64 << 20;

pub(super) async fn probe(spec: &CheckSpec) -> CheckOutcome {
    let Probe::Http { url, method, .. } = &spec.probe else { return critical("not an HTTP probe") };
    let deadline = Instant::now() + spec.timeout;
    let response = match follow(spec, deadline).await {
        Ok(response) => response,
        Err(why) => return critical(why),
    };
    let code = response.status().as_u16();
    let reason = reason(&response);
    let body = read(response, spec.output_max, deadline).await;
    let verdict = match code {
        200..=299 => status::PASSING,
        429 => status::WARNING,
        _ => status::CRITICAL,
    };
    found(verdict, format!("HTTP {method} {url}: {code}{reason} Output: {body}"))
}

/// The last response of a chain of redirects, or Go's words for why there is none.
async fn follow(spec: &CheckSpec, deadline: Instant) -> Result<Response<Incoming>, String> {
    let Probe::Http { url, method, headers, body, disable_redirects, tls } = &spec.probe else {
        return Err("not an HTTP probe".into());
    };
    let verb =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("net/http: invalid method {method:?}"))?;
    let url = Url::parse(url)?;
    let shown = title_case(method);
    let mut order = Order::new(verb, url, headers, body.as_bytes());
    for sent in 1.. {
        let failed = |why: String| format!("{shown} \"{}\": {why}", order.url);
        let late = || {
            let why = go_error::DEADLINE;
            failed(format!("{why} (Client.Timeout exceeded while awaiting headers)"))
        };
        let response = match timeout_at(deadline, order.send(tls, deadline)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) if Instant::now() >= deadline => return Err(late()),
            Ok(Err(why)) => return Err(failed(why)),
            Err(_) => return Err(late()),
        };
        match redirect::target(&response).filter(|_| !disable_redirects) {
            None => return Ok(response),
            Some(location) if sent == redirect::MAX_REQUESTS => {
                let why = format!("stopped after {} redirects", redirect::MAX_REQUESTS);
                return Err(format!("{shown} {location:?}: {why}"));
            }
            Some(location) => {
                let from = order.url.clone();
                order
                    .redirect(response.status(), &location)
                    .map_err(|why| format!("{shown} \"{from}\": {why}"))?;
            }
        }
    }
    Err("stopped".into())
}

/// With a space in front; nothing when the server gives none.
fn reason(response: &Response<Incoming>) -> String {
    let given = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let text = match given {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => response.status().canonical_reason().unwrap_or("").to_owned(),
    };
    if text.is_empty() { text } else { format!(" {text}") }
}

/// The end of the body. One that breaks off, or does not end in time, counts as far as it came: the
/// status is known by then, and Consul goes by that.
async fn read(response: Response<Incoming>, max: usize, deadline: Instant) -> String {
    let mut tail = Tail::new(max);
    let mut total = 0;
    let mut body = response.into_body();
    while total < MAX_BODY
        && let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await
    {
        if let Some(data) = frame.data_ref() {
            total += data.len() as u64;
            tail.push(data);
        }
    }
    tail.text()
}

/// `GET` as Go's URL errors show it: `Get`.
fn title_case(method: &str) -> String {
    let (first, rest) = method.split_at(method.len().min(1));
    first.to_owned() + &rest.to_ascii_lowercase()
}
