//! Dependencies point one way: between the crates, and between the modules of core.
//!
//! A new module of core gets its line in [`LAYERS`]; where it cannot be placed, the design is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of core from the ground up. A module may use those of its own line and of the lines
/// above it, never those below.
const LAYERS: &[&[&str]] = &[
    &["b64", "duration", "event", "ids", "invariant", "map", "mutant", "rng", "time"],
    &["json", "metrics", "pattern", "strconv", "types", "wire"],
    &["archive", "gossip", "plan", "rpc", "user_event"],
    &["command", "config", "filter"],
    &["raft", "router", "store", "subscribe", "watch"],
    &["agent", "cache", "server"],
    &["call", "view"],
    &["dns", "front"],
    &["node"],
];

/// Parts that never know each other, whatever their layers say.
const STRANGERS: &[(&str, &str)] = &[
    ("raft", "store"),
    ("store", "raft"),
    ("raft", "watch"),
    ("raft", "gossip"),
    ("gossip", "rpc"),
    ("rpc", "gossip"),
    ("store", "gossip"),
    ("front", "node"),
    ("node", "front"),
    ("dns", "front"),
    ("front", "dns"),
];

/// What each crate may use of the others.
const CRATES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("io", &["lictor-core"]),
    ("bins", &["lictor-core", "lictor-io"]),
    ("sim", &["lictor-core", "lictor-io"]),
    ("benches", &["lictor-core", "lictor-io", "lictor-sim", "lictor-tests"]),
    ("tests", &["lictor-core"]),
    ("tests/fuzz", &["lictor-core", "lictor-io"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every file of core with the module it belongs to. Test code may look anywhere.
fn files_of_core() -> Vec<(String, PathBuf)> {
    let src = root().join("core/src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut found = Vec::new();
    for path in files {
        let inside = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let is_test = inside.split('/').any(|part| part == "tests" || part == "tests.rs");
        let module = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        if !is_test && module != "lib" {
            found.push((module, path));
        }
    }
    found
}

/// The modules that a file names through `crate::`, outside comments and inline tests.
fn modules_named(text: &str) -> Vec<String> {
    let code: String = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => named.push(word(rest)),
            Some(group) => named.extend(top_level_items(group)),
        }
    }
    named
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first words of a braced list, not of the lists within it.
fn top_level_items(group: &str) -> Vec<String> {
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            c if depth == 0 => item.push(c),
            _ => {}
        }
    }
    items.push(item);
    items.iter().map(|i| word(i.trim())).collect()
}

fn is_module(name: &str) -> bool {
    name.chars().next().is_some_and(|c| c.is_ascii_lowercase())
}

#[test]
fn every_module_of_core_uses_only_what_lies_beneath_it() {
    let layer: BTreeMap<&str, usize> =
        LAYERS.iter().enumerate().flat_map(|(i, names)| names.iter().map(move |n| (*n, i))).collect();
    let mut wrong = Vec::new();
    for (module, path) in files_of_core() {
        let Some(own) = layer.get(&*module) else {
            wrong.push(format!("{module}: has no place in the table of layers"));
            continue;
        };
        let text = fs::read_to_string(&path).expect("a source file");
        for used in modules_named(&text).iter().filter(|used| is_module(used) && **used != module) {
            // Macros and functions at the root have no layer.
            let Some(theirs) = layer.get(&**used) else { continue };
            if theirs > own || STRANGERS.contains(&(&*module, &**used)) {
                wrong.push(format!("{}: `{module}` must not use `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_uses_only_what_its_row_allows() {
    for (dir, allowed) in CRATES {
        let manifest = fs::read_to_string(root().join(dir).join("Cargo.toml")).expect("a manifest");
        for line in manifest.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(
                !name.starts_with("lictor-") || allowed.contains(&name),
                "{dir}/Cargo.toml: `{name}` is not among what it may use: {allowed:?}"
            );
        }
    }
}

#[test]
fn core_is_pure_by_the_compilers_word() {
    let lib = fs::read_to_string(root().join("core/src/lib.rs")).expect("core has a root");
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(lib.lines().any(|line| line == attribute), "core/src/lib.rs does not say {attribute}");
    }
    assert!(
        !lib.replace("#[cfg(test)]\nextern crate std;", "").contains("extern crate std"),
        "std may come in for tests only"
    );
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut files = Vec::new();
    for dir in ["core", "io", "sim", "bins", "benches", "tests"] {
        sources(&root().join(dir), &mut files);
    }
    files.retain(|path| !path.components().any(|c| c.as_os_str() == "target"));
    let silent: Vec<_> = files
        .iter()
        .filter(|path| !fs::read_to_string(path).expect("a source file").starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no opening comment: {silent:#?}");
}

#[test]
fn the_check_sees_what_it_is_meant_to_see() {
    let text = "//! crate::front is only named here\nuse crate::{node::Node, Str, store::{Store, kv}};\nlet x = crate::raft::X;";
    assert_eq!(modules_named(text), ["node", "Str", "store", "raft"]);
}
