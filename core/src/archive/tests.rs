//! Archives written, read, damaged and made to lie.

use super::*;
use alloc::vec;
use std::vec::Vec;

fn meta(state: &[u8]) -> Meta {
    let server = Server { suffrage: 0, id: "a".into(), address: "127.0.0.1:8300".into() };
    Meta { size: state.len() as i64, ..Meta::new(2, 40, 1_700_000_000_000, vec![server]) }
}

/// A state that is a few blocks long and does not pack away.
fn state() -> Vec<u8> {
    (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// The gzip stream around a tar file of these members, each with the length that its header says.
fn pack(members: &[(&str, usize, &[u8])], ends: bool) -> Vec<u8> {
    let mut out = gzip::Writer::new(0);
    for (name, len, body) in members {
        let mut block = tar::header(Member::Meta, *len, 0);
        block[..100].fill(0);
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.put(&block);
        out.put(body);
        out.put(&tar::PADDING[..tar::padding(body.len())]);
    }
    if ends {
        out.put(&[0; 1024]);
    }
    out.finish()
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).expect_err("it is refused").to_string()
}

#[test]
fn what_was_written_is_read() {
    for state in [Vec::new(), vec![7; 512], state(), vec![0; 300_000]] {
        let written = write(&meta(&state), &state, 1_700_000_000);
        assert_eq!(read(&written), Ok(Archive { meta: meta(&state), state }));
    }
}

#[test]
fn members_may_come_in_any_order_and_need_no_end() {
    let (state, meta) = (state(), meta(&[]).write(5_000));
    let sums = sums::write(&[("state.bin", &state), ("meta.json", &meta)]);
    let members = [
        ("SHA256SUMS", sums.len(), &*sums),
        ("state.bin", state.len(), &*state),
        ("meta.json", meta.len(), &*meta),
    ];
    for ends in [true, false] {
        assert_eq!(read(&pack(&members, ends)).map(|archive| archive.state), Ok(state.clone()));
    }
}

#[test]
fn a_part_of_an_archive_is_none_whatever_its_length() {
    let state = state();
    let whole = write(&meta(&state), &state, 0);
    for len in 0..whole.len() {
        assert!(read(&whole[..len]).is_err(), "{len}");
    }
    assert_eq!(refusal(&[]), "failed to decompress snapshot: EOF");
    assert_eq!(refusal(b"no snapshot at all"), "failed to decompress snapshot: gzip: invalid header");
    assert_eq!(
        refusal(&whole[..whole.len() / 2]),
        "failed to read snapshot file: failed to read or write snapshot data: unexpected EOF"
    );
    assert_eq!(refusal(&[&whole[..], b"x"].concat()), "unexpected EOF");
    assert_eq!(refusal(&[&whole[..], b"0123456789"].concat()), "gzip: invalid header");
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_matters() {
    let state = state();
    let whole = write(&meta(&state), &state, 0);
    let archive = read(&whole).expect("whole");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        if let Ok(read) = read(&bytes) {
            // Time, hints and system of the gzip header say nothing.
            assert_eq!(read, archive, "{at}");
            assert!((4..10).contains(&at), "{at}");
        }
    }
}

#[test]
fn what_is_not_as_its_sums_say_is_refused_in_words_of_consul() {
    let (state, meta) = (state(), meta(&[]).write(5_000));
    let in_file = |text: &str| format!("failed to read snapshot file: {text}");
    let broken = |text: &str| in_file(&format!("failed checking integrity of snapshot: {text}"));
    let sums = sums::write(&[("state.bin", &state), ("meta.json", &meta)]);
    let of_meta = sums::write(&[("meta.json", &meta)]);
    let more = sums::write(&[("state.bin", &state), ("meta.json", &meta), ("x", b"")]);
    let m = ("meta.json", meta.len(), &*meta);
    let s = ("state.bin", state.len(), &*state);
    let all = |sums: &[u8]| refusal(&pack(&[m, s, ("SHA256SUMS", sums.len(), sums)], true));
    assert_eq!(all(&of_meta), broken("file missing for \"state.bin\""));
    assert_eq!(all(&more), broken("list missing hash for \"x\""));
    assert_eq!(all(b"what?"), broken("input does not match format"));
    let other = pack(&[m, ("state.bin", 1, b"x"), ("SHA256SUMS", sums.len(), &sums)], true);
    assert_eq!(refusal(&other), broken("hash check failed for \"state.bin\""));
    assert_eq!(refusal(&pack(&[m, s], true)), broken("file missing for \"meta.json\""));
    assert_eq!(refusal(&pack(&[m, ("../x", 0, b"")], true)), in_file("unexpected file \"../x\" in snapshot"));
    assert_eq!(refusal(&pack(&[m, m], true)), in_file("file \"meta.json\" is in snapshot twice"));
    let text = "failed to decode snapshot metadata: ";
    assert!(refusal(&pack(&[("meta.json", 1, b"x")], true)).starts_with(&in_file(text)));
}

#[test]
fn sizes_that_lie_and_bombs_cost_no_more_than_the_limits() {
    let huge = pack(&[("state.bin", 6 << 30, b"")], false);
    assert!(refusal(&huge).contains("\"state.bin\" in snapshot is larger than"), "{}", refusal(&huge));
    let lying = pack(&[("state.bin", 1 << 29, b"abc")], false);
    assert_eq!(
        refusal(&lying),
        "failed to read snapshot file: failed to read or write snapshot data: unexpected EOF"
    );
    let state = vec![0; 1 << 20];
    let bomb = write(&meta(&state), &state, 0);
    assert!(bomb.len() < 2_000, "{}", bomb.len());
    let error = read_up_to(&bomb, 100_000).expect_err("too much").to_string();
    assert!(error.contains("\"state.bin\" in snapshot is larger than 100000 bytes"), "{error}");
    // What is behind the end is counted, not kept.
    let mut out = gzip::Writer::new(0);
    out.put(&vec![0; 10 << 20]);
    let end = refusal(&out.finish());
    assert!(end.contains("file missing for"), "{end}");
}

#[test]
fn a_size_or_version_that_does_not_fit_is_refused_before_anything_is_restored() {
    assert_eq!(meta(b"abc").refusal(3), None);
    let size = "failed to write snapshot, size didn't match (4 != 3)";
    assert_eq!(meta(b"abc").refusal(4).as_deref(), Some(size));
    let version = Meta { version: 2, ..meta(b"abc") };
    assert_eq!(version.refusal(3).as_deref(), Some("unsupported snapshot version 2"));
}

#[test]
fn the_metadata_are_those_of_consuls_raft() {
    let text = String::from_utf8(meta(b"abc").write(3)).expect("text");
    let peers = r#""Peers":"ka4xMjcuMC4wLjE6ODMwMA==","#;
    let servers = r#"{"Servers":[{"Suffrage":0,"ID":"a","Address":"127.0.0.1:8300"}]}"#;
    let head = r#"{"Version":1,"ID":"2-40-1700000000000","Index":40,"Term":2,"#;
    let tail = format!("\"Configuration\":{servers},\"ConfigurationIndex\":1,\"Size\":3}}\n");
    assert_eq!(text, format!("{head}{peers}{tail}"));
    let old = Meta::read(br#"{"Version":0,"Index":7,"Peers":null,"New":[1]}"#).expect("read");
    assert_eq!((old.index, old.peers), (7, None));
}
