//! Goal: what Consul makes of a template, on the same host.
//! Method: a recorded table; heaps of tokens that must be read or refused.

use super::super::addr::Interface;
use super::*;
use alloc::vec;
use proptest::prelude::*;
use std::path::Path;

/// The host of `testdata/templates.txt`.
fn host() -> HostFacts {
    let mut interfaces = Vec::new();
    for (name, kind, addresses) in [
        ("lo", "lo up running", "127.0.0.1/8 ::1/128"),
        ("eth0", "lan default up running", "10.1.2.3/24 10.1.9.9/16 fd00::5/64 fe80::1/64"),
        ("eth1", "lan up running", "8.8.4.4/26 2600::7/48"),
        ("t0", "tunnel up", "192.168.7.1/30"),
        ("t1", "tunnel", "172.20.0.1/16"),
    ] {
        let is = |word| kind.split(' ').any(|w| w == word);
        for address in addresses.split(' ') {
            let (address, length) = address.split_once('/').unwrap();
            interfaces.push(Interface {
                name: name.into(),
                address: address.parse().unwrap(),
                length: length.parse().unwrap(),
                up: is("up"),
                running: is("running"),
                loopback: is("lo"),
                broadcast: is("lan"),
                point_to_point: is("tunnel"),
                multicast: !is("lo"),
                default_route: is("default"),
            });
        }
    }
    HostFacts { hostname: "h".into(), interfaces, ..HostFacts::default() }
}

/// What the table shows of an outcome.
fn shown(text: &str) -> String {
    match evaluate(text, &host()) {
        Ok(out) => format!("= {}", out.split_whitespace().next().unwrap_or("")),
        Err(wrong) => format!("{}{}", if wrong.unread { '?' } else { '!' }, wrong.text),
    }
}

#[test]
fn templates_give_what_consul_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/templates.txt");
    let table = std::fs::read_to_string(path).unwrap();
    let mut lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let (mut count, mut wrong) = (0, Vec::new());
    while let Some(template) = lines.next() {
        let want = lines.next().expect("an outcome").trim_start();
        let got = shown(&format!("x{template}"));
        if got.trim_end() != want {
            wrong.push(format!("{template}\n  consul {want}\n  ours   {got}"));
        }
        count += 1;
    }
    assert!(count > 140, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_there_of_gos_language_is_named() {
    for (template, what) in [
        ("{{ if . }}a{{ end }}", "?template: sockaddr.Parse:1: {{if}} is not supported in addresses"),
        (
            "{{ GetPrivateIP | printf \"%s\" }}",
            "?template: sockaddr.Parse:1: function \"printf\" not defined",
        ),
        ("\n{{ range . }}", "?template: sockaddr.Parse:2: {{range}} is not supported in addresses"),
        ("a {{- \" b\" -}} c", "= a"),
        (
            "{{ GetAllInterfaces | math \"foo\" \"1\" }}",
            concat!(
                "!template: sockaddr.Parse:1:22: executing \"sockaddr.Parse\" at <math \"foo\" \"1\">: error calling math: ",
                "unable to perform an IPMath operation on 127.0.0.1/8 {lo up|loopback|running}: unsupported math ",
                "operation: \"foo\""
            ),
        ),
    ] {
        assert_eq!(shown(template), what, "{template}");
    }
    assert_eq!(expand("no template", &host()).as_deref(), Ok("no template"));
    assert_eq!(expand("{{ \"a\" }} b {{- \" c \" -}} d", &host()).as_deref(), Ok("a b c d"));
}

proptest! {
    #[test]
    fn any_heap_of_tokens_is_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{-", "-}}", "|", "(", ")", ".", "GetAllInterfaces", "include", "exclude", "sort", "attr",
        "join", "limit", "offset", "unique", "math", "\"address\"", "\"network\"", "\"mask\"", "\"+1\"", "\"-9\"",
        "\"size\"", "\"type\"", "\"128\"", "\"10.0.0.0/8\"", "`x", "\"", "-1", "9223372036854775807", "$x", ".y",
        "/*", "*/", "\n", " ", "é",
    ]), 0..24)) {
        for text in [words.concat(), words.join(" ")] {
            let _ = expand(&text, &host());
        }
    }

    #[test]
    fn any_sum_with_an_address_stays_one(by in any::<i64>(), mask in 0u8..130) {
        for (kind, value) in [("address", format!("{by:+}")), ("network", format!("{by:+}")), ("mask", format!("{mask}"))] {
            let _ = shown(&format!("{{{{ . | math \"{kind}\" \"{value}\" | join \"string\" \",\" }}}}"));
        }
    }
}
