//! Bare hyper, in the process model of the agent's fronts: a current-thread runtime and a listener of
//! its own on each thread, with the same protocol settings.

use super::{Answers, HttpAnswer};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) fn start(answers: Arc<Answers>) -> io::Result<SocketAddr> {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    for _ in 0..threads {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        let listener: std::net::TcpListener = socket.into();
        address = listener.local_addr()?;
        let answers = answers.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(accept(listener, answers)));
    }
    Ok(address)
}

async fn accept(listener: std::net::TcpListener, answers: Arc<Answers>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let answers = answers.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answers = answers.clone();
                async move { Ok::<_, Infallible>(answer(&answers, request).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.half_close(true).title_case_headers(true);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(answers: &Answers, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let set = request.uri().path().strip_prefix("/set/").map(str::to_owned);
    // A body is read even if nobody wants it, as any server must.
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    match set.as_deref() {
        Some("http") => answers.http.store(Arc::new(parse(&body))),
        Some("dns") => answers.dns.store(Arc::new(body.to_vec())),
        _ => {
            let answer = answers.http.load();
            let mut response = Response::new(Full::new(answer.body.clone()));
            *response.headers_mut() = answer.headers.clone();
            return response;
        }
    }
    Response::new(Full::new(Bytes::new()))
}

/// Takes an answer apart. `Date` and the framing are hyper's to add.
fn parse(raw: &[u8]) -> HttpAnswer {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
    let mut answer =
        HttpAnswer { body: Bytes::copy_from_slice(&raw[end..]), raw: raw.to_vec(), ..HttpAnswer::default() };
    for line in String::from_utf8_lossy(&raw[..end]).lines().skip(1) {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            && ![DATE, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name)
        {
            answer.headers.append(name, value);
        }
    }
    answer
}
