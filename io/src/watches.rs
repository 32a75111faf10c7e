//! Watches of the configuration: each asks this agent for a view of the registry, and hands every change to its
//! handler, one after the other.
//!
//! The agent is asked within the process, by way of a front, as any client would ask it.

use crate::front::{Asked, FrontCell};
use crate::log::Log;
use crate::rt::Rt;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use lictor_core::config::RuntimeConfig;
use lictor_core::duration;
use lictor_core::event::{Event, Level};
use lictor_core::front::HttpRequest;
use lictor_core::plan::{self, Handler, HttpHandler, Plan, Progress};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// How much of a handler's output is kept, from its end.
const OUTPUT_KEPT: usize = 4096;

/// The plans of a configuration.
///
/// # Errors
/// The first that is wrong, in Consul's words.
pub fn plans(config: &RuntimeConfig) -> Result<Vec<Plan>, String> {
    config.watches.iter().map(Plan::parse).collect()
}

/// What to follow from now on, and whom to tell that nothing else is followed any more.
pub type Order = (Vec<Plan>, oneshot::Sender<()>);

/// Follows the plans of the last order, until nobody can send others.
pub async fn run<R: Rt>(cell: Arc<FrontCell<R>>, mut orders: mpsc::UnboundedReceiver<Order>, log: Arc<Log>) {
    let mut following = JoinSet::new();
    while let Some((plans, taken)) = orders.recv().await {
        // The old ones end here; a program that runs for one goes on.
        drop(std::mem::replace(&mut following, JoinSet::new()));
        for plan in plans {
            if matches!(plan.handler, Handler::Script(_)) {
                let text =
                    "The 'handler' field in watches has been deprecated and replaced with the 'args' field";
                log.write(&Event::new(Level::Warn, "agent", text));
            }
            following.spawn(follow(cell.clone(), plan, log.clone()));
        }
        // Nobody may be waiting.
        let _ = taken.send(());
    }
}

async fn follow<R: Rt>(cell: Arc<FrontCell<R>>, plan: Plan, log: Arc<Log>) {
    let mut progress = Progress::of(&plan.view);
    let mut failures = 0_u32;
    loop {
        match look(&cell, &plan, progress.index()).await {
            Looked::Found(index, shown) => {
                failures = 0;
                if progress.is_news(index, &shown) {
                    handle(&plan.handler, index, shown, &log).await;
                }
            }
            Looked::Failed(why) => {
                failures = failures.saturating_add(1);
                progress.failed();
                let wait = plan::retry_after(failures);
                let retry = duration::format(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX));
                let event =
                    Event::new(Level::Error, "agent.watch", "Watch errored").with("type", plan.view.kind);
                log.write(&event.with("error", why).with("retry", retry));
                tokio::time::sleep(wait).await;
            }
            Looked::Ended => return,
        }
    }
}

enum Looked {
    /// The index, and the view as handlers get it.
    Found(u64, Vec<u8>),
    Failed(String),
    /// The agent is shutting down.
    Ended,
}

/// Asks once; waits while nothing is newer than `after`.
async fn look<R: Rt>(cell: &Arc<FrontCell<R>>, plan: &Plan, after: Option<u64>) -> Looked {
    let token =
        (!plan.token.is_empty()).then(|| ("x-consul-token".to_owned(), Bytes::from(plan.token.clone())));
    let request = HttpRequest {
        method: "GET".into(),
        target: plan.view.target(after),
        headers: token.into_iter().collect(),
        body: Bytes::new(),
        remote: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
    };
    let reply = match cell.ask(request) {
        Asked::Now(reply) => reply,
        Asked::Lines(_) => return Looked::Failed("the answer has no end".into()),
        Asked::Later(mut parked) => match poll_fn(|cx| parked.poll_reply(cx)).await {
            Some(reply) => reply,
            None => return Looked::Ended,
        },
    };
    let (name, radix) = if plan.view.hashed { ("X-Consul-Contenthash", 16) } else { ("X-Consul-Index", 10) };
    let index = reply.headers.iter().find(|(header, _)| *header == name);
    let index = index.and_then(|(_, value)| u64::from_str_radix(value, radix).ok());
    match (plan::shown(&plan.view, after, reply.status, &reply.body), index) {
        (Ok(shown), Some(index)) => Looked::Found(index, shown),
        (Ok(_), None) => Looked::Failed("the answer has no index".into()),
        (Err(why), _) => Looked::Failed(why),
    }
}

async fn handle(handler: &Handler, index: u64, mut shown: Vec<u8>, log: &Arc<Log>) {
    shown.push(b'\n');
    let (args, name) = match handler {
        Handler::Http(http) => return send(http, index, shown, log).await,
        Handler::Script(script) => {
            let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into());
            (vec![shell, "-c".into(), script.clone()], script.clone())
        }
        Handler::Program(args) => (args.clone(), format!("[{}]", args.join(" "))),
    };
    let log = log.clone();
    // A task of its own: when a reload ends what is followed, the program still gets all of its input and is heard out.
    let run = tokio::spawn(async move { execute(&args, &name, index, &shown, &log).await });
    let _ = run.await;
}

/// Runs a program with the view on its standard input, and waits for it.
async fn execute(args: &[String], name: &str, index: u64, shown: &[u8], log: &Log) {
    let result = match args.split_first() {
        Some((program, rest)) => feed(program, rest, index, shown).await,
        None => Err("need an executable to run".into()),
    };
    let event = |level, text| Event::new(level, "agent", text).with("watch_handler", name);
    match result {
        Ok((status, output)) => {
            if !status.success() {
                let why =
                    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"));
                log.write(&event(Level::Error, "Failed to run watch handler").with("error", why));
            }
            log.write(&event(Level::Debug, "watch handler output").with("output", output));
        }
        Err(why) => log.write(&event(Level::Error, "Failed to run watch handler").with("error", why)),
    }
}

async fn feed(
    program: &str,
    args: &[String],
    index: u64,
    shown: &[u8],
) -> Result<(ExitStatus, String), String> {
    let mut child = Command::new(program)
        .args(args)
        .env("CONSUL_INDEX", index.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("fork/exec {program}: {e}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A handler that does not read its input is no failure.
            let _ = stdin.write_all(shown).await;
        }
    };
    let (mut out, mut err) = (Kept::default(), Kept::default());
    let ((), (), (), status) =
        tokio::join!(feed, out.read(stdout), err.read(stderr), async { child.wait().await });
    let status = status.map_err(|e| e.to_string())?;
    Ok((status, format!("{}{}", out.text(), err.text())))
}

/// The end of an output.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    total: usize,
}

impl Kept {
    async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0; OUTPUT_KEPT];
        while let Ok(n @ 1..) = from.read(&mut chunk).await {
            self.push(&chunk[..n]);
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.total += chunk.len();
        self.bytes.extend_from_slice(chunk);
        let excess = self.bytes.len().saturating_sub(OUTPUT_KEPT);
        self.bytes.drain(..excess);
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        match self.total > self.bytes.len() {
            true => format!("Captured {} of {} bytes\n...\n{text}", self.bytes.len(), self.total),
            false => text.into_owned(),
        }
    }
}

/// Sends a view to where it is wanted.
async fn send(http: &HttpHandler, index: u64, shown: Vec<u8>, log: &Log) {
    let event = |level, text| Event::new(level, "agent", text).with("watch", http.url.as_str());
    match tokio::time::timeout(http.timeout, request(http, index, shown)).await {
        Ok(Ok((200..=299, _, output))) => {
            log.write(&event(Level::Trace, "http watch handler output").with("output", output));
        }
        Ok(Ok((_, status, output))) => {
            let event = event(Level::Error, "http watch handler failed with output");
            log.write(&event.with("status", status).with("output", output));
        }
        Ok(Err(why)) => {
            log.write(&event(Level::Error, "Failed to invoke http watch handler").with("error", why));
        }
        Err(_) => {
            let why = "context deadline exceeded";
            log.write(&event(Level::Error, "Failed to invoke http watch handler").with("error", why));
        }
    }
}

async fn request(http: &HttpHandler, index: u64, shown: Vec<u8>) -> Result<(u16, String, String), String> {
    let uri: Uri = http.url.parse().map_err(|_| format!("{:?} is no URL", http.url))?;
    if uri.scheme_str() != Some("http") {
        return Err("only http:// handlers are built yet in this version".into());
    }
    let host = uri.host().ok_or("no Host in request URL")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(80))).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |a| a.as_str());
    let mut builder = Request::builder()
        .method(http.method.as_str())
        .uri(path)
        .header(HOST, authority.rsplit_once('@').map_or(authority, |(_, host)| host))
        .header(CONTENT_TYPE, "application/json")
        .header("X-Consul-Index", index.to_string());
    for (name, values) in &http.headers {
        for value in values {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header"))?;
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("{value:?} is no value of a header"))?;
            builder = builder.header(name, value);
        }
    }
    let request = builder.body(Full::new(Bytes::from(shown))).map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let mut kept = Kept::default();
    let mut body = response.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            kept.push(data);
        }
    }
    Ok((status.as_u16(), status.to_string(), kept.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_output_the_end_is_kept_and_the_whole_is_counted() {
        let mut kept = Kept::default();
        kept.push(b"start");
        assert_eq!(kept.text(), "start");
        for _ in 0..100 {
            kept.push(&[b'x'; 100]);
        }
        kept.push(b"end");
        let text = kept.text();
        assert!(text.starts_with("Captured 4096 of 10008 bytes\n...\nxxx") && text.ends_with("xend"));
    }
}
