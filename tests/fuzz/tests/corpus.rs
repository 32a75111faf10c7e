//! What fuzzing has found and what it starts from, through every target again, without a fuzzer.

use lictor_fuzz::{TARGETS, check, seeds};
use std::fs;
use std::path::Path;

/// This build may be so much slower than what is fuzzed, and be disturbed.
const SLACK: u64 = 40;

#[test]
fn every_kept_input_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let (mut files, mut bytes) = (0, 0);
    for target in TARGETS {
        let dir = corpus.join(target.name);
        for entry in fs::read_dir(&dir).unwrap_or_else(|why| panic!("{}: {why}", dir.display())) {
            let path = entry.expect("readable").path();
            let input = fs::read(&path).expect("readable");
            println!("{}", path.display());
            check(target, &input, SLACK);
            files += 1;
            bytes += input.len();
        }
    }
    assert!(files >= TARGETS.len(), "{files} inputs");
    assert!(files <= 600 && bytes <= 500 << 10, "{files} inputs of {bytes} bytes: `run minimize` them");
}

#[test]
fn every_seed_holds() {
    for target in TARGETS {
        for (number, seed) in seeds(target.name).iter().enumerate() {
            println!("{} {number}", target.name);
            check(target, seed, SLACK);
        }
    }
}
