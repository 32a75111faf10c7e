//! Data directories that must not be used: each is refused by name, with the way out, and left as
//! it was.

use lictor_tests::scratch::contents;
use lictor_tests::{Scratch, Server, wait};
use redb::{Database, TableDefinition};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A server with something worth keeping, stopped.
fn stopped(name: &str, gracefully: bool) -> Server {
    let mut server = Server::start(name, "");
    for i in 0..200 {
        assert_eq!(server.put(&format!("/v1/kv/kept/{i}"), &format!("value {i}")).status, 200);
    }
    let service = r#"{"Name": "kept", "Port": 1, "Check": {"TTL": "1h"}}"#;
    assert_eq!(server.put("/v1/agent/service/register", service).status, 200);
    if gracefully {
        server.signal("TERM");
        server.wait_for_exit();
    } else {
        server.kill();
    }
    server
}

/// Starts it; it must end with exit code 1, say every one of `words` on standard error, and leave
/// every file as it is.
fn refused(server: &Server, dir: &Path, words: &[&str]) {
    let before = contents(dir);
    let out = server.run_to_end();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&out.stdout));
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    let after = contents(dir);
    let changed: Vec<_> = after.iter().filter(|(path, now)| before.get(*path) != Some(now)).collect();
    let changed: Vec<_> = changed.iter().map(|(path, _)| path.display().to_string()).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "changed on disk: {changed:?}");
}

fn restart_finds_everything(server: &mut Server) {
    server.launch();
    server.wait_for_leader();
    assert_eq!(server.get("/v1/kv/kept/?keys").json().as_array().map(Vec::len), Some(200));
    assert_eq!(server.get("/v1/kv/kept/199?raw").text(), "value 199");
    assert!(server.get("/v1/agent/services").json()["kept"].is_object());
}

#[test]
fn a_directory_in_use_is_refused_and_its_user_goes_on() {
    let mut first = Server::start("in-use", "");
    let extra = format!(r#"{{"data_dir": {:?}}}"#, first.data().display().to_string());
    let second = Server::prepare("in-use-2", &extra);
    let out = second.run_to_end();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1));
    for word in ["in use by another process", "lictor/lock", "its own data_dir"] {
        assert!(text.contains(word), "{text}");
    }
    assert!(first.runs());
    assert_eq!(first.put("/v1/kv/a", "b").text(), "true");
}

#[test]
fn a_newer_format_is_refused() {
    let mut server = stopped("newer", true);
    let state = server.data().join("lictor/state.redb");
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let set_format = |format: u32| {
        let db = Database::open(&state).expect("the state opens");
        let write = db.begin_write().expect("it can be written");
        let value = format.to_be_bytes();
        let sealed = [&crc32c::crc32c(&value).to_be_bytes()[..], &value].concat();
        write.open_table(meta).expect("a table").insert("format", sealed.as_slice()).expect("a value");
        write.commit().expect("it is written");
    };
    set_format(3);
    refused(&server, &server.data(), &["state.redb", "format 3", "newer version", "snapshot"]);
    set_format(2);
    restart_finds_everything(&mut server);
}

/// What the state is made of.
const FILES: [&str; 2] = ["state.redb", "log-0000000001"];

#[test]
fn a_state_file_of_garbage_is_refused() {
    for file in FILES {
        let server = stopped("garbage", false);
        let state = server.data().join("lictor").join(file);
        fs::write(&state, "This is not a database. ".repeat(1000)).expect("the test may");
        refused(&server, &server.data(), &[file, "damaged", "aside"]);
    }
}

#[test]
fn a_truncated_state_file_is_refused() {
    for (file, gracefully) in FILES.into_iter().flat_map(|file| [(file, true), (file, false)]) {
        let server = stopped("truncated", gracefully);
        let state = server.data().join("lictor").join(file);
        let whole = fs::read(&state).expect("there is a state");
        for keep in [whole.len() / 2, 4096, 100, 1, 0] {
            fs::write(&state, &whole[..keep]).expect("the test may");
            refused(&server, &server.data(), &[file, "damaged", "aside"]);
        }
    }
}

#[test]
fn half_of_a_state_is_refused_and_not_begun_anew() {
    for (gone, left) in [(0, 1), (1, 0)] {
        let mut server = stopped("half", true);
        let (path, kept) = (server.data().join("lictor").join(FILES[gone]), server.data().join("kept"));
        fs::rename(&path, &kept).expect("the test may");
        refused(&server, &server.data(), &[FILES[gone], "is missing", "aside"]);
        assert!(server.data().join("lictor").join(FILES[left]).exists());
        fs::rename(&kept, &path).expect("the test may");
        restart_finds_everything(&mut server);
    }
}

/// Flips a run of bytes at many places, one place after the other. What lies there decides: either the
/// directory is refused and left alone, or the place was not in use and everything is there.
#[test]
fn flipped_bytes_are_refused_or_lay_where_nothing_was() {
    for (file, gracefully) in FILES.into_iter().flat_map(|file| [(file, true), (file, false)]) {
        let mut server = stopped("flipped", gracefully);
        let state = server.data().join("lictor").join(file);
        let whole = fs::read(&state).expect("there is a state");
        let (mut refusals, mut places) = (0, 0);
        // The file is sparse: flip where something is written.
        let written: Vec<usize> =
            (0..whole.len() / 512).filter(|b| whole[b * 512..][..512].iter().any(|x| *x != 0)).collect();
        for block in written.iter().step_by((written.len() / 24).max(1)) {
            places += 1;
            let mut flipped = whole.clone();
            for byte in &mut flipped[block * 512 + 200..][..8] {
                *byte = !*byte;
            }
            fs::write(&state, &flipped).expect("the test may");
            let from = server.log().len();
            server.launch();
            let ended = wait(|| !server.runs() || server.has_leader());
            assert!(ended, "block {block}: neither starts nor ends");
            if server.runs() {
                let kept = server.get("/v1/kv/kept/?recurse").json();
                assert_eq!(kept.as_array().map(Vec::len), Some(200), "block {block}: lost keys in silence");
                server.kill();
            } else {
                refusals += 1;
                assert_eq!(server.wait_for_exit().code(), Some(1), "block {block}");
                let log = server.log()[from..].to_owned();
                assert!(log.contains(file) && log.contains("damaged"), "block {block}: {log}");
                assert!(fs::read(&state).expect("still there") == flipped, "block {block}: changed on disk");
            }
        }
        println!("{file}: {places} places flipped, {refusals} refused (stopped gracefully: {gracefully})");
        assert!(refusals > 0, "no flip was noticed");
    }
}

#[test]
fn a_node_id_that_is_none_is_refused() {
    let mut server = stopped("node-id", true);
    let path = server.data().join("node-id");
    let good = fs::read(&path).expect("there is an identity");
    for bad in [&b"not a uuid"[..], b"", b"\xff\xfe\x00", &[b'a'; 100_000]] {
        fs::write(&path, bad).expect("the test may");
        refused(&server, &server.data(), &["node-id", "remove it"]);
    }
    fs::remove_file(&path).expect("the test may");
    fs::create_dir(&path).expect("the test may");
    refused(&server, &server.data(), &["node-id"]);
    fs::remove_dir(&path).expect("the test may");
    fs::write(&path, good).expect("the test may");
    restart_finds_everything(&mut server);
}

#[test]
fn a_consul_servers_directory_is_refused() {
    let server = Server::prepare("consul-raft", "");
    fs::create_dir_all(server.data().join("raft")).expect("the test may");
    fs::write(server.data().join("raft/raft.db"), "bolt").expect("the test may");
    refused(&server, &server.data(), &["raft/raft.db", "Consul", "snapshot"]);
}

#[test]
fn a_data_dir_that_is_a_file_is_refused() {
    let scratch = Scratch::new("file");
    let file = scratch.write("data", "precious");
    let server = Server::prepare("file-2", &format!(r#"{{"data_dir": {:?}}}"#, file.display().to_string()));
    refused(&server, scratch.path(), &[&file.display().to_string(), "data_dir"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    // Root writes everywhere but where the file system says no.
    let dir = Path::new("/proc/lictor-test");
    let server = Server::prepare("proc", &format!(r#"{{"data_dir": {:?}}}"#, dir.display().to_string()));
    refused(&server, &server.data(), &["/proc/lictor-test", "data_dir"]);

    let scratch = Scratch::new("read-only");
    let data = scratch.path().join("data");
    fs::create_dir(&data).expect("the test may");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).expect("the test may");
    if fs::write(data.join("probe"), "").is_ok() {
        println!("SKIPPED: this user may write into read-only directories");
        return;
    }
    let server =
        Server::prepare("read-only-2", &format!(r#"{{"data_dir": {:?}}}"#, data.display().to_string()));
    refused(&server, scratch.path(), &[&data.display().to_string(), "data_dir"]);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("the test may");
}
