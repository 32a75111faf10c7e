//! Docker: a program in a container, through three calls of the Engine API.
//!
//! `DOCKER_HOST` names the daemon (`unix://` or `tcp://`). Texts are Consul's.

use super::output::Tail;
use super::{critical, found, go_error, tcp};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use lictor_core::agent::CheckOutcome;
use lictor_core::types::status;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

/// Answers that are not the program's output are a few hundred bytes.
const MAX_ANSWER: usize = 64 << 10;
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

pub(super) async fn probe(
    container: &str,
    args: &[String],
    limit: Duration,
    output_max: usize,
) -> CheckOutcome {
    let host = std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty());
    probe_at(host.as_deref().unwrap_or(DEFAULT_HOST), container, args, limit, output_max).await
}

async fn probe_at(
    host: &str,
    container: &str,
    args: &[String],
    limit: Duration,
    output_max: usize,
) -> CheckOutcome {
    let daemon = match Daemon::new(host, Instant::now() + limit) {
        Ok(daemon) => daemon,
        Err(why) => return critical(why),
    };
    match timeout_at(daemon.deadline, run(&daemon, container, args, output_max)).await {
        Ok(Ok((0, output))) => found(status::PASSING, output),
        Ok(Ok((1, output))) => found(status::WARNING, output),
        Ok(Ok((_, output))) => critical(output),
        Ok(Err(why)) => critical(why),
        Err(_) => critical(format!("exec in container {container}: {}", go_error::DEADLINE)),
    }
}

/// The exit code and the end of the output.
async fn run(
    daemon: &Daemon,
    container: &str,
    args: &[String],
    output_max: usize,
) -> Result<(i64, String), String> {
    let id = daemon.create(container, args).await?;
    let output = daemon.start(container, &id, output_max).await?;
    Ok((daemon.exit_code(container, &id).await?, output))
}

/// Where the daemon listens.
struct Daemon {
    proto: String,
    address: String,
    base: String,
    deadline: Instant,
}

impl Daemon {
    fn new(host: &str, deadline: Instant) -> Result<Daemon, String> {
        let (proto, rest) =
            host.split_once("://").ok_or_else(|| format!("unable to parse docker host `{host}`"))?;
        let (address, base) = match proto {
            "tcp" => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
            _ => (rest, ""),
        };
        let [proto, address, base] = [proto, address, base.trim_end_matches('/')].map(str::to_owned);
        Ok(Daemon { proto, address, base, deadline })
    }

    async fn create(&self, container: &str, args: &[String]) -> Result<String, String> {
        let order = json!({
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": args,
        });
        let path = format!("/containers/{}/exec", escape(container));
        let failed = |why: String| format!("create exec failed for container {container}: {why}");
        let (code, body) = self.ask(Method::POST, &path, Some(&order)).await.map_err(failed)?;
        match code {
            201 => serde_json::from_slice::<Value>(&body)
                .ok()
                .and_then(|v| Some(v.get("Id")?.as_str()?.to_owned()))
                .ok_or_else(|| format!("create exec response for container {container} cannot be parsed")),
            404 => Err(format!("create exec failed for unknown container {container}")),
            409 => Err(format!("create exec failed since container {container} is paused or stopped")),
            _ => {
                let body = String::from_utf8_lossy(&body);
                Err(format!("create exec failed for container {container} with status {code}: {body}"))
            }
        }
    }

    async fn start(&self, container: &str, id: &str, output_max: usize) -> Result<String, String> {
        let order = json!({"Detach": false, "Tty": true});
        let response = self.send(Method::POST, &format!("/exec/{}/start", escape(id)), Some(&order)).await;
        let response =
            response.map_err(|why| format!("start exec failed for container {container}: {why}"))?;
        let code = response.status().as_u16();
        let mut tail = Tail::new(output_max);
        let mut body = response.into_body();
        // The daemon may reset the connection after the last byte: what came counts.
        while let Some(Ok(frame)) = body.frame().await {
            if let Some(data) = frame.data_ref() {
                tail.push(data);
            }
        }
        let output = tail.captured();
        match code {
            200 => Ok(output),
            404 => Err(format!("start exec failed for container {container}: invalid exec id {id}")),
            409 => Err(format!("start exec failed since container {container} is paused or stopped")),
            _ => {
                Err(format!("start exec failed for container {container} with status {code}: body: {output}"))
            }
        }
    }

    async fn exit_code(&self, container: &str, id: &str) -> Result<i64, String> {
        let failed = |why: String| format!("inspect exec failed for container {container}: {why}");
        let path = format!("/exec/{}/json", escape(id));
        let (code, body) = self.ask(Method::GET, &path, None).await.map_err(failed)?;
        match code {
            200 => serde_json::from_slice::<Value>(&body)
                .map(|v| v.get("ExitCode").and_then(Value::as_i64).unwrap_or(0))
                .map_err(|e| {
                    format!("inspect exec response for container {container} cannot be parsed: {e}")
                }),
            404 => Err(failed(format!("invalid exec id {id}"))),
            _ => {
                let body = String::from_utf8_lossy(&body);
                Err(format!("inspect exec failed for container {container} with status {code}: {body}"))
            }
        }
    }

    async fn ask(&self, method: Method, path: &str, order: Option<&Value>) -> Result<(u16, Bytes), String> {
        let response = self.send(method, path, order).await?;
        let code = response.status().as_u16();
        let body =
            Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|e| e.to_string())?;
        Ok((code, body.to_bytes()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        order: Option<&Value>,
    ) -> Result<Response<Incoming>, String> {
        let verb = if method == Method::GET { "Get" } else { "Post" };
        let host = escape(&self.address);
        let (base, address) = (&self.base, &self.address);
        let failed = |why: String| format!("{verb} \"http://{host}{base}{path}\": {why}");
        let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
        request = request.header(HOST, if self.proto == "unix" { "docker" } else { address });
        let body = match order {
            Some(order) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Full::new(Bytes::from(order.to_string()))
            }
            None => Full::default(),
        };
        let request = request.body(body).map_err(|e| failed(e.to_string()))?;
        match self.proto.as_str() {
            "unix" => {
                let stream = UnixStream::connect(address).await;
                exchange(stream.map_err(|e| failed(go_error::dial("unix", address, &e)))?, request).await
            }
            "tcp" => exchange(tcp::dial(address, self.deadline).await.map_err(failed)?, request).await,
            other => Err(format!("dial {other}: unknown network {other}")),
        }
        .map_err(failed)
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |e: hyper::Error| if e.is_incomplete_message() { "EOF".to_owned() } else { e.to_string() };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    // Ends with the response or, at the latest, with the probe: its sender is dropped then.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(text)
}

/// As in a query: everything but letters, digits and `-_.~` is escaped, so no name leaves its place in a path.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
