//! libFuzzer over one target; `tests/fuzz/run` builds and starts it.
//!
//! `FUZZ_TARGET` names the target. The seeds of the target are first written to the directory `FUZZ_SEEDS`,
//! to be named on the command line as one of the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lictor_fuzz::{Target, check, seeds, target};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs};

static CHOSEN: OnceLock<&Target> = OnceLock::new();

fn begin() {
    let name = env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = target(&name) else { panic!("FUZZ_TARGET={name:?} is not the name of a target") };
    CHOSEN.get_or_init(|| target);
    if let Some(dir) = env::var_os("FUZZ_SEEDS").map(PathBuf::from) {
        for (number, seed) in seeds(&name).iter().enumerate() {
            fs::write(dir.join(format!("seed-{number:04}")), seed).expect("FUZZ_SEEDS is a directory");
        }
    }
}

fuzz_target!(
    init: begin(),
    |data: &[u8]| {
        if let Some(target) = CHOSEN.get() {
            check(target, data, 1);
        }
    }
);
