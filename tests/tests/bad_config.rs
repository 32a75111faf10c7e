//! Configurations that no agent starts with: refused by file and key, before anything is made.

use lictor_tests::{Scratch, Server, binary};
use std::process::{Command, Output};

/// Starts an agent on the file and expects it to end at once with these words.
fn refused(dir: &Scratch, arguments: &[String], words: &[&str]) {
    let data = dir.path().join("data");
    let out = Command::new(binary())
        .arg("agent")
        .args(arguments)
        .arg(format!("-data-dir={}", data.display()))
        .output()
        .expect("the binary starts");
    let text = said(&out);
    assert_eq!(out.status.code(), Some(1), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: {word:?} is not in: {text}");
    }
    assert!(!text.contains("panicked") && text.len() < 20_000, "{arguments:?}: {text}");
    assert!(!data.exists(), "{arguments:?}: a data directory was made");
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn broken_files_are_refused_by_name() {
    let dir = Scratch::new("config");
    let deep = format!("{{\"node_meta\": {}", "{\"a\": ".repeat(100_000));
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("nonsense.json", b"{nonsense".to_vec(), vec!["nonsense.json"]),
        ("half.json", b"{\"server\": true".to_vec(), vec!["half.json"]),
        ("list.json", b"[1, 2]".to_vec(), vec!["list.json"]),
        ("unknown.json", b"{\"sever\": true}".to_vec(), vec!["unknown.json", "sever"]),
        ("nested.json", b"{\"ports\": {\"htpp\": 1}}".to_vec(), vec!["nested.json", "ports.htpp"]),
        (
            "cloud.json",
            br#"{"retry_join": ["provider=aws tag_key=x secret_access_key=y"]}"#.to_vec(),
            vec!["retry_join: cloud join (provider=aws) is not built"],
        ),
        ("type.json", b"{\"server\": \"perhaps\"}".to_vec(), vec!["server"]),
        (
            "number.json",
            b"{\"server\": true, \"bootstrap_expect\": \"many\"}".to_vec(),
            vec!["bootstrap_expect"],
        ),
        ("object.json", b"{\"ports\": 5}".to_vec(), vec!["ports"]),
        ("binary.json", b"{\"node_name\": \"\xff\xfe\"}".to_vec(), vec!["binary.json"]),
        ("zeros.json", vec![0; 100_000], vec!["zeros.json"]),
        ("deep.json", deep.into_bytes(), vec!["deep.json"]),
        ("duration.json", b"{\"server\": true, \"check_update_interval\": \"soon\"}".to_vec(), vec!["soon"]),
        ("name.txt", b"{}".to_vec(), vec!["name.txt", "unknown extension"]),
        (
            "address.json",
            b"{\"server\": true, \"bind_addr\": \"not an address\"}".to_vec(),
            vec!["bind_addr"],
        ),
        ("port.json", b"{\"server\": true, \"ports\": {\"http\": 70000}}".to_vec(), vec!["70000"]),
    ];
    for (name, content, words) in cases {
        let path = dir.write(name, content);
        refused(&dir, &[format!("-config-file={}", path.display())], &words);
    }
}

#[test]
fn files_in_hcl_that_nest_without_end_or_never_end_are_refused_by_name_and_place() {
    let dir = Scratch::new("hcl");
    let cases = [
        ("blocks.hcl", "ports {\n".repeat(100_000), "At 129:7: nested deeper than 128 levels"),
        ("brackets.hcl", format!("a = {}", "[".repeat(100_000)), "At 1:133: nested deeper than 128 levels"),
        ("objects.hcl", format!("a = {}", "{a = ".repeat(100_000)), "nested deeper than 128 levels"),
        ("comment.hcl", "/* never ends".into(), "At 1:14: comment not terminated"),
        ("heredoc.hcl", format!("a = <<X\n{}", "x\n".repeat(100_000)), "heredoc not terminated"),
        ("inner.hcl", format!("a = \"{}", "${\"".repeat(50_000)), "literal not terminated"),
        ("quote.hcl", "node_name = \"never closed".into(), "At 1:26: literal not terminated"),
        ("zeros.hcl", "\0".repeat(100_000), "At 1:1: unexpected null character (0x00)"),
        ("repeated.hcl", "node_meta { a = \"b\" }\n".repeat(20_000), "'node_meta' expected type"),
    ];
    for (name, content, words) in cases {
        let path = dir.write(name, content);
        refused(&dir, &[format!("-config-file={}", path.display())], &[name, words]);
    }
}

#[test]
fn files_that_are_not_there_and_flags_that_do_not_exist_are_refused() {
    let dir = Scratch::new("missing");
    let missing = dir.path().join("missing.json").display().to_string();
    refused(&dir, &[format!("-config-file={missing}")], &[&missing]);
    refused(&dir, &[format!("-config-dir={missing}")], &[&missing]);
    refused(&dir, &["-no-such-flag".into()], &["no-such-flag"]);
    refused(&dir, &["-bootstrap-expect=many".into()], &["bootstrap-expect"]);
    refused(&dir, &["-server".into(), "-http-port=99999999999".into()], &["99999999999"]);
}

#[test]
fn a_directory_is_read_file_by_file_and_the_bad_one_is_named() {
    let dir = Scratch::new("directory");
    dir.write("a.json", "{\"server\": true}");
    dir.write("ignored.txt", "not looked at");
    dir.write("z.json", "{broken");
    refused(&dir, &[format!("-config-dir={}", dir.path().display())], &["z.json"]);
}

#[test]
fn validate_says_the_same_and_starts_nothing() {
    let dir = Scratch::new("validate");
    let good =
        dir.write("good.json", "{\"server\": true, \"bootstrap_expect\": 1, \"data_dir\": \"/nonexistent\"}");
    let out = Command::new(binary()).arg("validate").arg(&good).output().expect("it starts");
    assert!(out.status.success() && said(&out).contains("Configuration is valid!"), "{}", said(&out));
    let bad = dir.write("bad.json", "{\"sever\": true}");
    let out = Command::new(binary()).arg("validate").arg(&bad).output().expect("it starts");
    assert_eq!(out.status.code(), Some(1));
    assert!(said(&out).contains("bad.json") && said(&out).contains("sever"), "{}", said(&out));
}

#[test]
fn a_taken_port_is_refused_by_number_before_anything_is_made() {
    let first = Server::start("port", "");
    let second = Server::prepare("port-2", &format!(r#"{{"ports": {{"http": {}}}}}"#, first.http));
    let out = second.run_to_end();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        said(&out).contains(&first.http.to_string()) && said(&out).contains("ports.http"),
        "{}",
        said(&out)
    );
    assert!(!second.data().exists());
}
