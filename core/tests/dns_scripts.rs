//! Our DNS answers against recordings of Consul 1.21.
//!
//! Each file in `testdata/dns` holds the configuration, the catalog as registered, and questions
//! with the answers a real Consul gave. A case is compared by its mode: `exact` means the same
//! records and the same size in bytes, `sample` (instances drawn at random, all of one size) the
//! same number of records of each type and the same size, `counts` the numbers alone.

use hickory_proto::op::Message;
use lictor_core::command::{Command, Register};
use lictor_core::config::RuntimeConfig;
use lictor_core::dns::{Cache, Outcome, Transport};
use lictor_core::rng::{Rng, Seed};
use lictor_core::store::{Applied, Store};
use lictor_core::time::{Instant, Now, WallTime};
use lictor_core::watch::ChangeSet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

const NOW: Now = Now { mono: Instant(5), wall: WallTime(1_700_000_000_000_000_000) };

fn script(file: &str) {
    let path = format!("{}/testdata/dns/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let script: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let config = Arc::new(config(&script["config"]));
    let mut cache = Cache::default();
    let store = store(script["catalog"].as_array().unwrap());
    let mut rng = Rng::new(Seed::from_u64(1));
    let mut wrong = String::new();
    let mut compared = 0;
    for case in script["cases"].as_array().unwrap() {
        let transport = if case["tcp"].as_bool().unwrap() { Transport::Tcp } else { Transport::Udp };
        let mut out = Vec::new();
        let query = bytes(case["query"].as_str().unwrap());
        // Often enough that the last answer is one that was kept, where answers are.
        let mut outcome = Outcome::Drop;
        for _ in 0..20 {
            outcome = cache.answer(&store, &config, NOW, &mut rng, &query, transport, &mut out);
        }
        let Some(want) = case["reply"].as_array() else {
            assert_eq!(outcome, Outcome::Drop, "{}", case["ask"]);
            compared += 1;
            continue;
        };
        Message::from_vec(&out).unwrap_or_else(|e| panic!("{}: {e}", case["ask"]));
        let mut want: Vec<String> = want.iter().map(|line| line.as_str().unwrap().to_owned()).collect();
        let mut got = show(&out);
        let mode = case["mode"].as_str().unwrap();
        if mode != "exact" {
            let counts = case["counts"].as_object().unwrap();
            want.extend(counts.iter().map(|(what, n)| format!("{what}: {n}")));
            let mut counts = BTreeMap::new();
            for line in got.drain(2.min(got.len())..) {
                let words: Vec<_> = line.split(' ').collect();
                *counts.entry(format!("{} {}", words[0], words[4])).or_insert(0) += 1;
            }
            got.extend(counts.iter().map(|(what, n)| format!("{what}: {n}")));
        }
        if mode != "counts" {
            want.push(format!("size {}", case["size"]));
            got.push(format!("size {}", out.len()));
        }
        want.sort();
        got.sort();
        if want != got {
            writeln!(wrong, "{}\n  want {want:#?}\n  got {got:#?}", case["ask"]).unwrap();
        }
        compared += 1;
    }
    assert!(compared > 5, "{file} has cases");
    assert!(wrong.is_empty(), "{file}:\n{wrong}");
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(#[test] fn $name() { script($file); })*
    };
}

scripts! {
    every_form_of_name_and_packet_is_answered_as_consul_does = "main";
    answers_with_the_configuration_as_shipped_are_consuls = "plain";
    answers_with_changed_limits_are_consuls = "tight";
    answers_in_another_domain_are_consuls = "wide";
    answers_of_a_thousand_instances_are_consuls = "huge";
    answers_about_many_servers_are_consuls = "servers";
    answers_about_odd_servers_are_consuls = "servers_mixed";
    answers_with_recursors_configured_are_consuls = "recursor";
}

fn config(given: &Value) -> RuntimeConfig {
    let mut config = RuntimeConfig::default();
    for (key, value) in given.as_object().unwrap() {
        match key.as_str() {
            "domain" => config.domain = format!("{}.", value.as_str().unwrap()),
            "alt_domain" => config.alt_domain = value.as_str().unwrap().to_owned(),
            "recursors" => config.recursors = vec![value[0].as_str().unwrap().to_owned()],
            "dns_config" => dns_config(&mut config.dns, value),
            other => panic!("{other}"),
        }
    }
    config
}

fn dns_config(config: &mut lictor_core::config::DnsConfig, given: &Value) {
    let seconds = |v: &Value| Duration::from_secs(v.as_str().unwrap().trim_end_matches('s').parse().unwrap());
    let number = |v: &Value| v.as_u64().unwrap();
    for (key, value) in given.as_object().unwrap() {
        match key.as_str() {
            "node_ttl" => config.node_ttl = seconds(value),
            "service_ttl" => {
                let ttls = value.as_object().unwrap();
                config.service_ttl = ttls.iter().map(|(k, v)| (k.clone(), seconds(v))).collect();
            }
            "enable_truncate" => config.enable_truncate = value.as_bool().unwrap(),
            "only_passing" => config.only_passing = value.as_bool().unwrap(),
            "a_record_limit" => config.a_record_limit = number(value) as usize,
            "udp_answer_limit" => config.udp_answer_limit = number(value) as usize,
            "enable_additional_node_meta_txt" => {
                config.enable_additional_node_meta_txt = value.as_bool().unwrap();
            }
            "disable_compression" => config.disable_compression = value.as_bool().unwrap(),
            "soa" => {
                for (i, key) in ["refresh", "retry", "expire", "min_ttl"].iter().enumerate() {
                    config.soa[i] = number(&value[key]) as u32;
                }
            }
            // How long to wait for recursors: not the responder's business.
            "recursor_timeout" => {}
            other => panic!("{other}"),
        }
    }
}

fn store(catalog: &[Value]) -> Store {
    let mut store = Store::default();
    let mut index = 0;
    for entry in catalog {
        let bodies = match entry.get("Repeat") {
            None => vec![entry.clone()],
            Some(n) => (0..n.as_u64().unwrap()).map(|i| repeat(&entry["Register"], i)).collect(),
        };
        for body in bodies {
            let register: Register = serde_json::from_value(body).unwrap();
            index += 1;
            let command = Command::Register(Box::new(register));
            let applied = store.apply(index, &command, &mut ChangeSet::default());
            assert_eq!(applied, Applied::Ok, "{entry}");
        }
    }
    store
}

fn repeat(body: &Value, i: u64) -> Value {
    let text = body.to_string();
    let text = text
        .replace("{i}", &i.to_string())
        .replace("{pad}", &format!("{i:04}"))
        .replace("{hi}", &(i / 250).to_string())
        .replace("{lo}", &(i % 250 + 1).to_string())
        .replace("\"PORT\"", &(1000 + i).to_string());
    serde_json::from_str(&text).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A packet as the recordings show it: the header, the question, one line for each record.
fn show(packet: &[u8]) -> Vec<String> {
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let bits = word(2);
    let flags: Vec<_> = [("qr", 15), ("aa", 10), ("tc", 9), ("rd", 8), ("ra", 7), ("ad", 5), ("cd", 4)]
        .iter()
        .filter(|(_, bit)| bits >> bit & 1 == 1)
        .map(|(name, _)| *name)
        .collect();
    let mut lines = vec![format!(
        "id={:04x} opcode={} rcode={} {}",
        word(0),
        bits >> 11 & 15,
        bits & 15,
        flags.join(" ")
    )];
    let mut at = 12;
    for _ in 0..word(4) {
        let name = name(packet, &mut at);
        lines.push(format!("QD {name} {} {}", word(at + 2), kind(word(at))));
        at += 4;
    }
    for (section, n) in [("AN", word(6)), ("NS", word(8)), ("AR", word(10))] {
        for _ in 0..n {
            let owner = name(packet, &mut at);
            let (code, class) = (word(at), word(at + 2));
            let ttl = u32::from(word(at + 4)) << 16 | u32::from(word(at + 6));
            let len = usize::from(word(at + 8));
            at += 10;
            let data = data(packet, at, len, code);
            lines.push(format!("{section} {owner} {class} {ttl} {} {data}", kind(code)));
            at += len;
        }
    }
    assert_eq!(at, packet.len(), "nothing after the last record");
    lines
}

fn data(packet: &[u8], at: usize, len: usize, code: u16) -> String {
    let raw = &packet[at..at + len];
    let word = |i: usize| u16::from_be_bytes([raw[i], raw[i + 1]]);
    match code {
        1 => raw.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        2 | 5 | 12 => name(packet, &mut { at }),
        6 => {
            let mut at = at;
            let (server, keeper) = (name(packet, &mut at), name(packet, &mut at));
            let number =
                |i: usize| u32::from_be_bytes(packet[at + 4 * i..at + 4 * i + 4].try_into().unwrap());
            assert_eq!(i64::from(number(0)), NOW.wall.seconds(), "the serial is the time");
            let rest: Vec<_> = (1..5).map(|i| number(i).to_string()).collect();
            format!("{server} {keeper} SERIAL {}", rest.join(" "))
        }
        16 => {
            let (mut texts, mut i) = (Vec::new(), 0);
            while i < len {
                let n = usize::from(raw[i]);
                texts.push(format!("\"{}\"", std::str::from_utf8(&raw[i + 1..i + 1 + n]).unwrap()));
                i += 1 + n;
            }
            texts.join(" ")
        }
        33 => format!("{} {} {} {}", word(0), word(2), word(4), name(packet, &mut { at + 6 })),
        _ => hex(raw),
    }
}

fn name(packet: &[u8], at: &mut usize) -> String {
    let (mut text, mut place, mut jumped) = (String::new(), *at, false);
    loop {
        let len = usize::from(packet[place]);
        if len >= 0xc0 {
            if !jumped {
                *at = place + 2;
            }
            let target = (len & 0x3f) << 8 | usize::from(packet[place + 1]);
            assert!(target < place, "pointers lead back");
            (place, jumped) = (target, true);
            continue;
        }
        place += 1;
        if len == 0 {
            break;
        }
        for byte in &packet[place..place + len] {
            match byte {
                b'.' | b'\\' | b'(' | b')' | b';' | b'"' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(*byte));
                }
                33..=126 => text.push(char::from(*byte)),
                _ => write!(text, "\\{byte:03}").unwrap(),
            }
        }
        text.push('.');
        place += len;
    }
    if !jumped {
        *at = place;
    }
    if text.is_empty() { String::from(".") } else { text }
}

fn kind(code: u16) -> String {
    let known = [
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (12, "PTR"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (33, "SRV"),
        (41, "OPT"),
        (43, "DS"),
        (65, "HTTPS"),
        (251, "IXFR"),
        (252, "AXFR"),
        (255, "ANY"),
        (257, "CAA"),
    ];
    let name = known.iter().find(|(c, _)| *c == code);
    name.map_or_else(|| format!("TYPE{code}"), |(_, name)| (*name).to_owned())
}
