//! Memberlist's own bytes, both ways; then whatever a peer might send instead.

mod golden;
mod hostile;
mod property;

use crate::rng::{Rng, Seed};
use std::vec::Vec;

fn rng() -> Rng {
    Rng::new(Seed::from_u64(1))
}

/// The recorded bytes of `name`.
fn vector(name: &str) -> Vec<u8> {
    let text = include_str!("tests/memberlist.txt");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    unhex(line.unwrap_or_else(|| panic!("no vector {name}")))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
