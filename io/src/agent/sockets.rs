//! Unix sockets for HTTP: made at start, removed at the end.

use crate::go_error::cause;
use crate::log::Log;
use lictor_core::config::UnixSockets;
use lictor_core::event::{Event, Level};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};

/// A socket that listens. Its file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: String,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Binds `path` and gives it to whom `access` says. The socket that an agent left behind is replaced; any other
    /// file, and a socket on which somebody listens, stays.
    ///
    /// # Errors
    /// What the system or `access` has against it, in Consul's words.
    pub(super) fn open(path: &str, access: &UnixSockets, log: &Log) -> Result<Socket, String> {
        let left = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        if left && UnixStream::connect(path).is_err() {
            log.write(&Event::new(Level::Warn, "agent", "Replacing socket").with("path", path));
            fs::remove_file(path).map_err(|e| format!("error removing socket file: {}", cause(&e)))?;
        }
        let failed = |e: io::Error| format!("listen unix {path}: bind: {}", cause(&e));
        let listener = UnixListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let socket = Socket { listener, path: path.to_owned() };
        socket.give(access).map_err(|why| format!("Failed setting up socket: {why}"))?;
        Ok(socket)
    }

    /// Another handle of the same listener, for one front.
    pub(super) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }

    fn give(&self, access: &UnixSockets) -> Result<(), String> {
        let path = &self.path;
        let user = Some(&access.user).filter(|name| !name.is_empty()).map(|name| user(name)).transpose()?;
        let group = match access.group.as_str() {
            "" => None,
            number => Some(number.parse().map_err(|_| format!("invalid group specified: {number}"))?),
        };
        if user.is_some() || group.is_some() {
            chown(path, user, group)
                .map_err(|e| format!("failed setting ownership on {path:?}: {}", cause(&e)))?;
        }
        if !access.mode.is_empty() {
            let mode = u32::from_str_radix(&access.mode, 8)
                .map_err(|_| format!("invalid mode specified: {}", access.mode))?;
            let set = fs::set_permissions(path, Permissions::from_mode(mode));
            set.map_err(|e| format!("failed setting permissions to {mode:o} on {path:?}: {}", cause(&e)))?;
        }
        Ok(())
    }
}

/// The number of a user, given by it or by name.
fn user(name: &str) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_name = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    };
    users
        .lines()
        .find_map(of_name)
        .ok_or_else(|| format!("failed to look up user {name}: user: unknown user {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A directory of a test's own, which goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let dir = std::env::temp_dir().join(format!("lictor-socket-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).expect("a directory");
            Place(dir)
        }

        fn socket(&self) -> String {
            self.0.join("s").display().to_string()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(path: &str, mode: &str) -> Result<Socket, String> {
        let access = UnixSockets { mode: mode.into(), ..UnixSockets::default() };
        Socket::open(path, &access, &Log::of_events(|_| {}))
    }

    #[test]
    fn what_was_left_behind_is_replaced_and_nothing_else() {
        let place = Place::new("left");
        let path = place.socket();
        drop(UnixListener::bind(&path).expect("a socket"));
        let socket = open(&path, "").expect("nobody listens there any more");
        let why = open(&path, "").expect_err("somebody listens");
        assert!(why.starts_with(&format!("listen unix {path}: bind: ")), "{why}");
        drop(socket);
        assert!(fs::symlink_metadata(&path).is_err(), "its file is still there");
        fs::write(&path, "mine").expect("a file");
        open(&path, "").expect_err("a file of somebody's");
        assert_eq!(fs::read_to_string(&path).expect("it is still there"), "mine");
    }

    #[test]
    fn the_mode_is_octal_and_users_have_names() {
        let place = Place::new("mode");
        let path = place.socket();
        let socket = open(&path, "0640").expect("it is made");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
        drop(socket);
        assert_eq!(
            open(&path, "9").expect_err("no octal"),
            "Failed setting up socket: invalid mode specified: 9"
        );
        assert_eq!(user("0"), Ok(0));
        assert_eq!(user("root"), Ok(0));
        assert!(user("no such user").is_err());
    }
}
