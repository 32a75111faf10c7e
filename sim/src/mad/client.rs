//! A client: hyper over a simulated connection, as impatient as its caller.

use super::trace::Trace;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use madsim::net::TcpStream;
use madsim::task::JoinHandle;
use madsim::time::timeout;
use std::net::SocketAddr;
use std::time::Duration;

/// A client with at most one connection and one request at a time.
pub struct Client {
    name: String,
    server: SocketAddr,
    trace: Trace,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `X-Consul-Index`.
    pub index: Option<u64>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No connection: the request was never sent.
    Unsent,
    /// The connection broke, or patience ended: nobody knows what became of it.
    Unknown,
}

impl Client {
    /// A client of one front. Call it from a task of the client's machine.
    pub fn new(name: impl Into<String>, server: SocketAddr, trace: &Trace) -> Client {
        Client { name: name.into(), server, trace: trace.clone(), connection: None }
    }

    /// One request.
    ///
    /// # Errors
    /// There is no answer within `patience`; the connection is closed then.
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        body: impl Into<Bytes>,
        patience: Duration,
    ) -> Result<Answer, Lost> {
        let body = body.into();
        let result = match timeout(patience, self.exchange(method, target, body)).await {
            Ok(result) => result,
            Err(_) => Err(Lost::Unknown),
        };
        match &result {
            Ok(answer) => {
                let Answer { status, index, body } = answer;
                self.trace.bytes(body);
                self.trace.line(format!("{} {method} {target} -> {status} index={index:?}", self.name));
            }
            Err(lost) => {
                self.connection = None;
                self.trace.line(format!("{} {method} {target} -> {lost:?}", self.name));
            }
        }
        result
    }

    /// Closes the connection.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    async fn exchange(&mut self, method: &str, target: &str, body: Bytes) -> Result<Answer, Lost> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.sender.is_closed() => connection,
            _ => connect(self.server).await?,
        };
        connection.sender.ready().await.map_err(|_| Lost::Unsent)?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("Host", "lictor")
            .body(Full::new(body))
            .expect("a request that can be sent");
        let response = connection.sender.send_request(request).await.map_err(|_| Lost::Unknown)?;
        let status = response.status().as_u16();
        let index = response.headers().get("X-Consul-Index");
        let index = index.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let body = response.into_body().collect().await.map_err(|_| Lost::Unknown)?.to_bytes();
        self.connection = Some(connection);
        Ok(Answer { status, index, body })
    }
}

async fn connect(server: SocketAddr) -> Result<Connection, Lost> {
    let stream = TcpStream::connect(server).await.map_err(|_| Lost::Unsent)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| Lost::Unsent)?;
    let task = madsim::task::spawn(async move {
        // The request that suffers from an error reports it.
        let _ = connection.await;
    });
    Ok(Connection { sender, task })
}
