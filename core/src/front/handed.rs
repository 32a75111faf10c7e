//! Snapshots that came by the server port are the requests of HTTP in other clothes.

use super::message::{HttpReply, HttpRequest};
use crate::plan::escape;
use crate::rpc::snapshot::{Op, SnapshotRequest, SnapshotResponse};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// The request of HTTP that asks for the same.
pub fn of_snapshot_request(request: &SnapshotRequest, archive: Bytes, from: SocketAddr) -> HttpRequest {
    let stale = if request.allow_stale { "&stale" } else { "" };
    let target = format!("/v1/snapshot?dc={}{stale}", escape(&request.datacenter, b"-_.~", false));
    let method = match request.op {
        Op::Save => "GET",
        Op::Restore => "PUT",
    };
    let token = (!request.token.is_empty())
        .then(|| ("x-consul-token".into(), Bytes::copy_from_slice(request.token.as_bytes())));
    let headers: Vec<(String, Bytes)> = token.into_iter().collect();
    HttpRequest { method: method.into(), target, headers, body: archive, remote: Some(from) }
}

/// What the answer of HTTP is as that of the server port, the archive among it.
pub fn to_snapshot_response(reply: &HttpReply) -> Bytes {
    if reply.status != 200 {
        let error = String::from_utf8_lossy(&reply.body).into_owned();
        return SnapshotResponse { error, ..SnapshotResponse::default() }.with(&[]);
    }
    let header = |name| reply.headers.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| &**value);
    let number = |name| header(name).parse::<u64>().unwrap_or(0);
    let response = SnapshotResponse {
        error: String::new(),
        index: number("X-Consul-Index"),
        last_contact: i64::try_from(number("X-Consul-Lastcontact").saturating_mul(1_000_000))
            .unwrap_or(i64::MAX),
        known_leader: header("X-Consul-Knownleader") == true.to_string(),
    };
    response.with(&reply.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Str;
    use crate::rpc::snapshot::{split_request, split_response};

    #[test]
    fn a_request_by_the_server_port_is_the_same_by_http_and_its_answer_comes_back() {
        let (datacenter, token) = (Str::from("dc 1/x"), Str::from("t"));
        let request = SnapshotRequest { datacenter, token, allow_stale: true, op: Op::Restore };
        let sent = request.with(b"archive");
        let (read, archive) = split_request(&sent).expect("read");
        assert_eq!((&read, &archive[..]), (&request, &b"archive"[..]));
        let http = of_snapshot_request(&read, archive, ([127, 0, 0, 1], 9).into());
        assert_eq!((&*http.method, &*http.target), ("PUT", "/v1/snapshot?dc=dc%201%2Fx&stale"));
        assert_eq!(http.headers[0].1, "t");

        let (response, rest) =
            split_response(&to_snapshot_response(&HttpReply::text(500, "no"))).expect("read");
        assert_eq!((&*response.error, rest.len()), ("no", 0));
        let mut reply = HttpReply::text(200, "archive");
        for (name, value) in
            [("X-Consul-Index", "7"), ("X-Consul-Lastcontact", "3"), ("X-Consul-Knownleader", "true")]
        {
            reply.headers.push((name, value.into()));
        }
        let (response, rest) = split_response(&to_snapshot_response(&reply)).expect("read");
        let meta = response.meta();
        assert_eq!((meta.index, meta.last_contact, meta.known_leader), (7, 3_000_000, true));
        assert_eq!(rest, "archive");
    }

    #[test]
    fn the_headers_are_those_of_consul() {
        let request = SnapshotRequest { datacenter: Str::from("dc1"), ..SnapshotRequest::default() };
        let mut fields = alloc::vec![0x84];
        for (name, value) in
            [("AllowStale", &[0xc2][..]), ("Datacenter", b"\xa3dc1"), ("Op", &[0]), ("Token", &[0xa0])]
        {
            fields.push(0xa0 | name.len() as u8);
            fields.extend_from_slice(name.as_bytes());
            fields.extend_from_slice(value);
        }
        assert_eq!(request.with(b""), fields, "{:?}", request.with(b""));
        assert!(split_request(&Bytes::from_static(b"\x81\xa2Op\x07")).is_err());
    }
}
