//! Network errors in Go's words, which Consul's users read and search for.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

/// The operating system's error as Go prints it: `connection refused`.
pub(super) fn cause(e: &Error) -> String {
    let known = match e.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "connection reset by peer",
        ErrorKind::BrokenPipe => "broken pipe",
        ErrorKind::NetworkUnreachable => "network is unreachable",
        ErrorKind::HostUnreachable => "no route to host",
        ErrorKind::AddrNotAvailable => "cannot assign requested address",
        ErrorKind::TimedOut => "connection timed out",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::NotFound => "no such file or directory",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    // "Too many open files (os error 24)" without the number and the capital.
    let text = e.to_string();
    let bare = text.split_once(" (os error").map_or(text.as_str(), |(bare, _)| bare);
    match e.raw_os_error() {
        Some(_) => bare.to_lowercase(),
        None => bare.to_owned(),
    }
}

/// `dial tcp 127.0.0.1:1: connect: connection refused` and its relatives.
pub(super) fn dial(network: &str, address: &str, e: &Error) -> String {
    format!("dial {network} {address}: connect: {}", cause(e))
}

/// A failure on an open connection: `read tcp 127.0.0.1:2->127.0.0.1:1: read: connection refused`.
pub(super) fn on(
    call: &str,
    network: &str,
    ends: (std::io::Result<SocketAddr>, std::io::Result<SocketAddr>),
    e: &Error,
) -> String {
    match (e.kind(), ends) {
        (ErrorKind::UnexpectedEof, _) => "EOF".to_owned(),
        (_, (Ok(local), Ok(peer))) => format!("{call} {network} {local}->{peer}: {call}: {}", cause(e)),
        _ => format!("{call} {network}: {call}: {}", cause(e)),
    }
}

/// What a probe says that has run out of time.
pub(super) const DEADLINE: &str = "context deadline exceeded";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_gos_words_and_no_numbers() {
        let refused = Error::from_raw_os_error(111);
        assert_eq!(dial("tcp", "h:1", &refused), "dial tcp h:1: connect: connection refused");
        assert_eq!(cause(&Error::from_raw_os_error(24)), "too many open files");
        let ends = || (Ok("127.0.0.1:2".parse().unwrap()), Ok("127.0.0.1:1".parse().unwrap()));
        assert_eq!(
            on("read", "udp", ends(), &refused),
            "read udp 127.0.0.1:2->127.0.0.1:1: read: connection refused"
        );
        assert_eq!(on("read", "tcp", ends(), &Error::from(ErrorKind::UnexpectedEof)), "EOF");
    }
}
