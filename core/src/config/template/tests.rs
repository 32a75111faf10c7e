//! Goal: what Consul makes of a template, on the same host.
//! Method: a recorded table; heaps of tokens that must be read or refused.

use super::super::addr::Interface;
use super::*;
use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use std::path::Path;

/// The host of `testdata/templates.txt`.
fn host() -> HostFacts {
    let mut interfaces = Vec::new();
    for (index, name, kind, addresses) in [
        (1, "lo", "lo up running", "127.0.0.1/8 ::1/128"),
        (3, "eth0", "lan default up running", "10.1.2.3/24 10.1.9.9/16 fd00::5/64 fe80::1/64"),
        (5, "eth1", "lan up running", "8.8.4.4/26 2600::7/48"),
        (6, "t0", "tunnel up", "192.168.7.1/30"),
        (7, "t1", "tunnel", "172.20.0.1/16"),
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
                index,
                mtu: if is("lo") { 65536 } else { 1500 },
                hardware: if is("lan") { format!("02:00:00:00:00:1{}", &name[3..]) } else { String::new() },
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
fn gos_language_is_carried_out_as_by_go() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/template_language.txt");
    let table = std::fs::read_to_string(path).unwrap();
    let read = |literal: &str| String::from_utf8(crate::strconv::unquote(literal).expect(literal)).unwrap();
    let mut lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let (mut count, mut wrong) = (0, Vec::new());
    while let Some(template) = lines.next() {
        let (mark, want) = lines.next().expect("an outcome").trim_start().split_at(1);
        let want = format!("{mark}{}", read(want.trim_start()));
        let got = match evaluate(&format!("x{}", read(template)), &host()) {
            Ok(out) => format!("={out}"),
            Err(why) => format!("{}{}", if why.unread { '?' } else { '!' }, why.text),
        };
        if got != want {
            wrong.push(format!("{template}\n  consul {want}\n  ours   {got}"));
        }
        count += 1;
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_there_of_gos_language_is_named() {
    for (template, what) in [
        ("{{ define \"a\" }}a{{ end }}", "{{define}} is not supported in addresses"),
        ("{{ template \"a\" }}", "{{template}} is not supported in addresses"),
        ("{{ block \"a\" . }}a{{ end }}", "{{block}} is not supported in addresses"),
        ("{{ 1i }}", "complex numbers are not supported in addresses: 1i"),
        ("{{ 1+2i }}", "complex numbers are not supported in addresses: 1+2i"),
    ] {
        assert_eq!(shown(template), format!("?template: sockaddr.Parse:1: {what}"), "{template}");
    }
    assert_eq!(expand("no template", &host()).as_deref(), Ok("no template"));
}

/// Loops in loops, texts of texts, lists of lists: each ends soon with an error.
#[test]
fn no_template_takes_more_than_its_share() {
    let twice = "{{ $x = printf \"%s%s\" $x $x }}".repeat(64);
    let nested = "{{ range $ }}".repeat(12) + &"{{ end }}".repeat(12);
    let many = format!("{{{{ . {} | len }}}}", "| include \"type\" \"ip|ip|ip|ip|ip|ip|ip|ip\"".repeat(20));
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    let chain = "{{ if false }}a".to_owned() + &"{{ else if false }}b".repeat(50_000) + "{{ end }}";
    let half = "| include \"type\" \"ip|ip|ip|ip|ip|ip|ip|ip\"".repeat(3);
    let wide = format!("{{{{ . {half} | printf \"%999999q\" }}}}");
    let long = "a".repeat(1 << 20);
    let copies = format!("{{{{ range 999999 }}}}{{{{ $x := {long:?} }}}}{{{{ $y := $x }}}}{{{{ end }}}}");
    let joined = format!("{{{{ . {half} | join \"address\" {long:?} }}}}");
    for (template, why) in [
        (format!("{{{{ $x := \"a\" }}}}{twice}"), "a text of more than 16384 bytes"),
        (nested, "the template takes too much work"),
        (many, "more than 16384 addresses"),
        (deep, "max expression depth exceeded"),
        (chain, "max expression depth exceeded"),
        ("{{ range 9223372036854775807 }}{{ end }}".into(), "the template takes too much work"),
        ("{{ range 9999999 }}aaaaaaaaaaaa{{ end }}".into(), "the template gives more than 16384 bytes"),
        ("{{ printf \"%999999d%999999d\" 1 2 }}".into(), "a text of more than 16384 bytes"),
        ("{{ printf \"%.999999f\" 1.5 }}".into(), "a text of more than 16384 bytes"),
        ("{{ printf \"%.999999e\" 1.5 }}".into(), "a text of more than 16384 bytes"),
        (wide, "a text of more than 16384 bytes"),
        (copies, "the template takes too much work"),
        (joined, "the template takes too much work"),
    ] {
        let got = shown(&template);
        assert!(got.ends_with(why), "{}", got.chars().rev().take(300).collect::<String>());
    }
}

proptest! {
    #[test]
    fn any_heap_of_tokens_is_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{-", "-}}", "|", "(", ")", ".", "GetAllInterfaces", "include", "exclude", "sort", "attr",
        "join", "limit", "offset", "unique", "math", "\"address\"", "\"network\"", "\"mask\"", "\"+1\"", "\"-9\"",
        "\"size\"", "\"type\"", "\"128\"", "\"10.0.0.0/8\"", "`x", "\"", "-1", "9223372036854775807", "$x", ".y",
        "/*", "*/", "\n", " ", "é", "{{ if true }}", "{{ else }}", "{{ end }}", "{{ range . }}", "{{ with . }}",
        "{{ break }}", "$x := 1", "$", ":=", "=", ",", "index", "len", "slice", "printf", "eq", "lt", "and", "nil",
        "'a'", "1.5", "0x", "\"%s%d%v\"", "\"%5.2f%*q%[2]x\"", ".Name", ".SockAddr", ".Octets",
    ]), 0..32)) {
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
