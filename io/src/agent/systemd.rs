//! Tells systemd that the agent is ready, as units of `Type=notify` wait for. Consul says so whenever it has joined
//! a LAN pool, and never says anything else.

use std::io;
use std::os::unix::net::UnixDatagram;

/// Sends `READY=1` to the socket that `NOTIFY_SOCKET` names; nothing without it.
pub(super) fn ready() -> io::Result<()> {
    match std::env::var("NOTIFY_SOCKET") {
        Ok(name) if !name.is_empty() => send(&name, b"READY=1"),
        _ => Ok(()),
    }
}

fn send(name: &str, state: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match name.strip_prefix('@') {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(name)?,
    }
    socket.send(state).map(drop)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    #[test]
    fn both_kinds_of_sockets_are_reached() {
        let own = std::process::id();
        let path = std::env::temp_dir().join(format!("lictor-notify-{own}"));
        let _ = std::fs::remove_file(&path);
        let hidden = format!("lictor-notify-{own}");
        let hidden_address = SocketAddr::from_abstract_name(&hidden).expect("a name");
        for (socket, name) in [
            (UnixDatagram::bind(&path).expect("a socket"), path.display().to_string()),
            (UnixDatagram::bind_addr(&hidden_address).expect("a socket"), format!("@{hidden}")),
        ] {
            send(&name, b"READY=1").expect("it is sent");
            let mut buffer = [0; 16];
            let length = socket.recv(&mut buffer).expect("it has come");
            assert_eq!(&buffer[..length], b"READY=1", "{name}");
        }
        std::fs::remove_file(&path).expect("it was there");
        assert!(send(&path.display().to_string(), b"READY=1").is_err(), "nobody is there");
    }
}
