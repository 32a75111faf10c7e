//! What operators do with gossip: user events and the keys that it is encrypted with.

use lictor_tests::{Server, wait};

const FIRST: &str = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=";
const SECOND: &str = "MTIzNDU2Nzg5MDEyMzQ1Ng==";

fn said(server: &Server, args: &[&str]) -> (i32, String) {
    let out = server.cli(args);
    let text = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn an_event_is_listed_and_wakes_who_waits_for_news() {
    let server = Server::start("events", "");
    assert_eq!(server.get("/v1/event/list").text(), "[]");
    let (code, text) = said(&server, &["event", "-name=deploy", "v2"]);
    assert!(code == 0 && text.starts_with("Event ID: "), "{code} {text}");
    let mut index = String::new();
    assert!(wait(|| {
        let listed = server.get("/v1/event/list?name=deploy");
        index = listed.header("x-consul-index").unwrap_or_default().to_owned();
        let text = listed.text();
        text.contains(r#""Name":"deploy","Payload":"djI=","#) && text.contains(r#""Version":1,"#)
    }));
    assert!(index.parse::<u64>().is_ok_and(|index| index > 1), "{index:?}");
    assert_eq!(server.get("/v1/event/list?name=other").text(), "[]");
    // Not for this node.
    server.put("/v1/event/fire/deploy?node=elsewhere", "v3");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get(&format!("/v1/event/list?index={index}&wait=60s")).text());
        server.put("/v1/event/fire/restart", "");
        let text = waiting.join().expect("it is answered");
        assert!(text.contains(r#""Name":"restart","Payload":null,"#) && !text.contains("djM="), "{text}");
    });
    for (target, text) in [
        ("/v1/event/fire/", "Missing name"),
        ("/v1/event/fire/x?tag=y", "Cannot provide tag filter without service filter"),
        ("/v1/event/fire/x?node=(", "Invalid node filter: error parsing regexp: missing closing ): `(`"),
    ] {
        assert_eq!(server.put(target, "").text(), text);
    }
}

#[test]
fn keys_are_installed_used_and_removed_and_outlive_a_restart() {
    let mut server = Server::start("keyring", &format!(r#"{{"encrypt": "{FIRST}"}}"#));
    // Taken out of the files it stays, and another one there is not used.
    for extra in ["{}".to_owned(), format!(r#"{{"encrypt": "{SECOND}"}}"#)] {
        server.kill();
        server.set_extra(&extra);
        server.launch();
        server.wait_for_leader();
    }
    assert!(server.log().contains("keyring doesn't include key provided with -encrypt, using keyring"));
    let (code, text) = said(&server, &["keyring", "-list"]);
    assert_eq!((code, text.contains(&format!("dc1 (LAN):\n  {FIRST} [1/1]"))), (0, true), "{text}");
    for (flag, key) in [("-install", SECOND), ("-use", SECOND), ("-remove", FIRST)] {
        let (code, text) = said(&server, &["keyring", &format!("{flag}={key}")]);
        assert_eq!(code, 0, "{flag}: {text}");
    }
    let (code, text) = said(&server, &["keyring", "-remove", SECOND]);
    assert!(code == 1 && text.contains("Removing the primary key is not allowed"), "{code} {text}");
    server.kill();
    server.launch();
    server.wait_for_leader();
    let listed = server.get("/v1/operator/keyring?local-only=true").text();
    let keys = format!(r#""Keys":{{"{SECOND}":1}},"PrimaryKeys":{{"{SECOND}":1}},"NumNodes":1"#);
    assert!(listed.contains(&keys) && !server.log().contains(SECOND), "{listed}");
}

#[test]
fn without_encryption_there_are_no_keys() {
    let server = Server::start("no-keyring", "");
    let (code, text) = said(&server, &["keyring", "-list"]);
    assert!(code == 1 && text.contains("n1: Keyring is empty (encryption not enabled)"), "{code} {text}");
}

#[test]
fn an_agent_joins_by_command_and_is_forced_out_when_it_is_gone() {
    // Found dead within a second or two instead of ten.
    let quick = r#""gossip_lan": {"probe_interval": "200ms", "probe_timeout": "100ms", "suspicion_mult": 2}"#;
    let server = Server::start("joined", &format!("{{{quick}}}"));
    let lone = format!(r#"{{"server": false, "bootstrap_expect": 0, "node_name": "edge-1", {quick}}}"#);
    let mut agent = Server::prepare("joining", &lone);
    agent.launch();
    assert!(wait(|| agent.is_there()), "the agent is there");

    let (code, text) = said(&agent, &["join", "127.0.0.1:1"]);
    assert!(code == 1 && text.contains("Failed to join any nodes."), "{code} {text}");
    let (code, text) = said(&agent, &["join", &format!("127.0.0.1:{}", server.serf)]);
    assert_eq!((code, text.trim()), (0, "Successfully joined cluster by contacting 1 nodes."));
    let status =
        |wanted: &str| said(&server, &["members", &format!("-status={wanted}")]).1.contains("edge-1");
    assert!(wait(|| status("alive")));
    assert!(wait(|| server.get("/v1/catalog/nodes").text().contains("\"edge-1\"")));

    agent.kill();
    assert!(wait(|| status("failed")));
    let (code, text) = said(&server, &["force-leave", "nobody"]);
    assert!(code == 1 && text.contains("No node found with name 'nobody'"), "{code} {text}");
    assert_eq!(said(&server, &["force-leave", "edge-1"]).0, 0);
    assert!(wait(|| status("left")));
    assert!(wait(|| !server.get("/v1/catalog/nodes").text().contains("\"edge-1\"")));
    assert_eq!(said(&server, &["force-leave", "-prune", "edge-1"]).0, 0);
    assert!(wait(|| !status(".*")), "nobody remembers it");
}
