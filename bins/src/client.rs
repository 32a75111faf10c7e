//! Talks to an agent's HTTP API, one request per call. The only timeout is on connecting: an answer
//! may take as long as it takes.
//!
//! Errors read as those of Consul's own client, because scripts match on them; where a human would
//! next ask "and now?", a second paragraph says it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};

use crate::address::{self, Address, AddressError, To};
use crate::flags::{Parsed, bool_of};
use crate::hyper_io::HyperIo;
use crate::shell::Shell;
use crate::tls_files;

/// Longest wait for a connection to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects followed before giving up, as in Go's client.
const REDIRECTS_MAX: usize = 10;

/// What to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Write.
    Put,
    /// Make.
    Post,
    /// Remove.
    Delete,
}

impl Method {
    const fn wire(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }

    /// As Go's client begins its error texts.
    const fn title(self) -> &'static str {
        match self {
            Method::Get => "Get",
            Method::Put => "Put",
            Method::Post => "Post",
            Method::Delete => "Delete",
        }
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
    /// `X-Consul-Index`, where the answer carries one.
    pub index: Option<u64>,
    location: Option<String>,
}

impl Answer {
    /// The answer if it is 200, else the refusal as an error.
    pub fn ok(self) -> Result<Answer, CallError> {
        if self.status == 200 { Ok(self) } else { Err(self.refusal()) }
    }

    /// This answer as an error.
    pub fn refusal(self) -> CallError {
        let text = String::from_utf8_lossy(&self.body).trim().to_owned();
        CallError::Status { status: self.status, text }
    }

    /// The body as `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|e| CallError::Json(e.to_string()))
    }
}

/// How an endless answer came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The agent closed it, or the connection broke.
    ByAgent,
    /// Interrupted here, or what was read had nowhere to go.
    Here,
}

/// Why there is no client.
#[derive(Debug)]
pub enum SetupError {
    /// The address cannot be used.
    Address(AddressError),
    /// The token file cannot be read.
    TokenFile {
        /// Its path.
        path: String,
        /// The system's reason.
        why: String,
    },
    /// The files for TLS cannot be used.
    Tls(String),
    /// The system gives no event loop.
    Runtime(String),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Address(why) => write!(f, "Error connecting to Consul agent: {why}"),
            SetupError::TokenFile { path, why } => {
                let text = "Error connecting to Consul agent: Error loading token file";
                write!(f, "{text} {path} : open {path}: {why}")
            }
            SetupError::Tls(why) | SetupError::Runtime(why) => {
                write!(f, "Error connecting to Consul agent: {why}")
            }
        }
    }
}

/// Why a call has no usable answer.
#[derive(Debug)]
pub enum CallError {
    /// The request did not get through.
    Transport {
        /// `Get "http://127.0.0.1:8500/v1/agent/self"`.
        request: String,
        /// What went wrong, in Go's words where it has some.
        why: String,
        /// What to do next; empty when there is nothing to add.
        hint: String,
    },
    /// The agent said no.
    Status {
        /// HTTP status.
        status: u16,
        /// Its text, trimmed.
        text: String,
    },
    /// The answer is not what this API answers.
    Json(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Transport { request, why, hint } if hint.is_empty() => write!(f, "{request}: {why}"),
            CallError::Transport { request, why, hint } => write!(f, "{request}: {why}\n\n{hint}"),
            CallError::Status { status, text } => write!(f, "Unexpected response code: {status} ({text})"),
            CallError::Json(why) => write!(f, "the answer is not the JSON expected here: {why}"),
        }
    }
}

/// A way to one agent, with what every request to it carries.
#[derive(Debug)]
pub struct Client {
    address: Address,
    token: Option<String>,
    login: Option<String>,
    every_query: Vec<(&'static str, String)>,
    program: String,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A client from the flags given and, where they are silent, the environment.
    pub fn new(shell: &mut Shell<'_>, flags: &Parsed) -> Result<Client, SetupError> {
        let ssl = match shell.var("CONSUL_HTTP_SSL").map(|v| (bool_of(v), v.to_owned())) {
            None => false,
            Some((Some(on), _)) => on,
            Some((None, text)) => {
                shell.warn(format!("could not parse CONSUL_HTTP_SSL: {text:?} is neither true nor false"));
                false
            }
        };
        tls_files::check(shell, flags).map_err(SetupError::Tls)?;
        let written = flags.text("http-addr").filter(|a| !a.is_empty());
        let written = written.or(shell.var("CONSUL_HTTP_ADDR")).unwrap_or(address::DEFAULT);
        let address = Address::parse(written, ssl).map_err(SetupError::Address)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| SetupError::Runtime(e.to_string()))?;
        let mut every_query = Vec::new();
        let named = |flag: &str, var: &str| {
            flags.text(flag).or(shell.var(var)).filter(|v| !v.is_empty()).map(str::to_owned)
        };
        for (key, value) in [
            ("dc", flags.text("datacenter").filter(|v| !v.is_empty()).map(str::to_owned)),
            ("ns", named("namespace", "CONSUL_NAMESPACE")),
            ("partition", named("partition", "CONSUL_PARTITION")),
        ] {
            every_query.extend(value.map(|v| (key, v)));
        }
        if flags.on("stale") {
            every_query.push(("stale", String::new()));
        }
        let login = shell.var("CONSUL_HTTP_AUTH").map(|pair| {
            let pair = if pair.contains(':') { pair.to_owned() } else { format!("{pair}:") };
            format!("Basic {}", BASE64.encode(pair))
        });
        let token = token(shell, flags)?;
        Ok(Client { address, token, login, every_query, program: shell.program.clone(), runtime })
    }

    /// Sends one request. `path` begins with `/v1/` and is percent-encoded already.
    pub fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let mut pairs: Vec<(&str, &str)> = query.to_vec();
        pairs.extend(self.every_query.iter().map(|(k, v)| (*k, v.as_str())));
        let mut target = format!("{}{path}", self.address.prefix);
        if !pairs.is_empty() {
            target.push('?');
            target.push_str(&address::query(&pairs));
        }
        // A path with a doubled slash is answered by a redirect to the cleaned one.
        for _ in 0..REDIRECTS_MAX {
            let answer = self.runtime.block_on(self.exchange(method, &target, body.clone())).map_err(
                |(why, hint)| CallError::Transport {
                    request: format!("{} \"{}{target}\"", method.title(), self.address.origin()),
                    why,
                    hint,
                },
            )?;
            match &answer.location {
                Some(location) if location.starts_with('/') => target.clone_from(location),
                _ => return Ok(answer),
            }
        }
        Err(CallError::Transport {
            request: format!("{} \"{}{target}\"", method.title(), self.address.origin()),
            why: format!("stopped after {REDIRECTS_MAX} redirects"),
            hint: String::new(),
        })
    }

    /// Reads `path` and decodes a 200.
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, CallError> {
        self.call(Method::Get, path, query, Bytes::new())?.ok()?.json()
    }

    /// Puts `body` to `path`; anything but a 200 is an error.
    pub fn put(&self, path: &str, query: &[(&str, &str)], body: Bytes) -> Result<Answer, CallError> {
        self.call(Method::Put, path, query, body)?.ok()
    }

    /// Reads an endless answer piece by piece until either side ends it. Anything but a 200 is an error.
    pub fn follow(
        &self,
        path: &str,
        query: &[(&str, &str)],
        mut piece: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<Ended, CallError> {
        let mut pairs: Vec<(&str, &str)> = query.to_vec();
        pairs.extend(self.every_query.iter().map(|(k, v)| (*k, v.as_str())));
        let target = format!("{}{path}?{}", self.address.prefix, address::query(&pairs));
        let failed = |(why, hint)| CallError::Transport {
            request: format!("{} \"{}{target}\"", Method::Get.title(), self.address.origin()),
            why,
            hint,
        };
        self.runtime.block_on(async {
            let request = self.request(Method::Get, &target, Bytes::new()).map_err(&failed)?;
            let stream = self.open().await.map_err(&failed)?;
            let broke = |why| failed((why, String::new()));
            let (mut sender, connection) =
                http1::handshake(HyperIo(stream)).await.map_err(|e| broke(broken(&e)))?;
            tokio::spawn(connection);
            let answer = sender.send_request(request).await.map_err(|e| broke(broken(&e)))?;
            let status = answer.status().as_u16();
            let mut body = answer.into_body();
            if status != 200 {
                let text = body.collect().await.map_err(|e| broke(broken(&e)))?.to_bytes();
                let text = String::from_utf8_lossy(&text).trim().to_owned();
                return Err(CallError::Status { status, text });
            }
            loop {
                tokio::select! {
                    frame = body.frame() => match frame {
                        Some(Ok(frame)) => {
                            if frame.data_ref().is_some_and(|data| piece(data).is_err()) {
                                return Ok(Ended::Here);
                            }
                        }
                        Some(Err(_)) | None => return Ok(Ended::ByAgent),
                    },
                    _ = tokio::signal::ctrl_c() => return Ok(Ended::Here),
                }
            }
        })
    }

    async fn exchange(&self, method: Method, target: &str, body: Bytes) -> Result<Answer, (String, String)> {
        let request = self.request(method, target, body)?;
        let stream = self.open().await?;
        send(stream, request).await.map_err(|why| (why, String::new()))
    }

    fn request(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, (String, String)> {
        let plain = |why: String| (why, String::new());
        let mut request = Request::builder()
            .method(method.wire())
            .uri(target)
            .header(HOST, self.address.host())
            .header(USER_AGENT, concat!("lictor/", env!("CARGO_PKG_VERSION")));
        if method == Method::Put {
            request = request.header(CONTENT_LENGTH, body.len()).header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header("X-Consul-Token", token);
        }
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        request.body(Full::new(body)).map_err(|e| plain(e.to_string()))
    }

    /// A connection to the agent.
    async fn open(&self) -> Result<Box<dyn Stream>, (String, String)> {
        let plain = |why: String| (why, String::new());
        match &self.address.to {
            To::Tcp { tls: true, .. } => Err(plain(
                "TLS is not built yet in this version of Lictor; use the agent's http:// or unix:// address"
                    .to_owned(),
            )),
            To::Tcp { host, port, .. } => Ok(Box::new(self.dial(host, *port).await?)),
            To::Unix(path) => {
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|e| (format!("dial unix {path}: connect: {}", reason(&e)), self.hint()))?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Tries every address of `host`; the first one's failure is the one told, as in Go.
    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, (String, String)> {
        let found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|_| (format!("dial tcp: lookup {host}: no such host"), self.hint()))?;
        let mut first = None;
        for to in found {
            let why = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(to)).await {
                Ok(Ok(stream)) => {
                    // A small request goes out at once; failing to ask for that costs only latency.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(e)) => format!("dial tcp {to}: connect: {}", reason(&e)),
                Err(_) => format!("dial tcp {to}: i/o timeout"),
            };
            first.get_or_insert(why);
        }
        Err((first.unwrap_or_else(|| format!("dial tcp: lookup {host}: no such host")), self.hint()))
    }

    fn hint(&self) -> String {
        let program = &self.program;
        format!(
            "No agent answers at {}. Is one running? To try things out: {program} agent -dev\n\
             To reach an agent elsewhere: -http-addr=HOST:PORT, or CONSUL_HTTP_ADDR in the environment.",
            self.address
        )
    }
}

/// TCP or a Unix socket.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

async fn send(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let (mut sender, connection) = http1::handshake(HyperIo(stream)).await.map_err(|e| broken(&e))?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let status = answer.status().as_u16();
        let redirect = matches!(status, 301 | 302 | 307 | 308);
        let location = answer.headers().get(LOCATION).filter(|_| redirect);
        let location = location.and_then(|l| l.to_str().ok()).map(str::to_owned);
        let index = answer.headers().get("X-Consul-Index").and_then(|i| i.to_str().ok()?.parse().ok());
        let body = answer.into_body().collect().await.map_err(|e| broken(&e))?.to_bytes();
        Ok(Answer { status, body, index, location })
    }
    .await;
    driver.abort();
    answer
}

/// A connection that ended early, in Go's words.
fn broken(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The system's text for an error as Go prints it: lower case, without the number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|c| c.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// `-token-file`, `-token`, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN: the first given counts.
fn token(shell: &Shell<'_>, flags: &Parsed) -> Result<Option<String>, SetupError> {
    let given = |name: &str| flags.text(name).filter(|v| !v.is_empty()).map(str::to_owned);
    let from_file = |path: String| match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|t| !t.is_empty())),
        Err(e) => Err(SetupError::TokenFile { path, why: reason(&e) }),
    };
    if let Some(path) = given("token-file") {
        return from_file(path);
    }
    if let Some(token) = given("token") {
        return Ok(Some(token));
    }
    match shell.var("CONSUL_HTTP_TOKEN_FILE") {
        Some(path) => from_file(path.to_owned()),
        None => Ok(shell.var("CONSUL_HTTP_TOKEN").map(str::to_owned)),
    }
}
