//! `docs/compat.md`: what of Consul's surface is there, and what shows it.
//!
//! The statuses are kept in `compat.txt`; the page is made from them, from the scenarios and from the list
//! of known differences, so that none of them can say something else.

use super::home;
use super::run::scenarios;
use super::script::{Action, Script};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of the surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `GET /v1/kv/:key`, `$ kv get`, or words.
    pub what: String,
    /// `done`, `partial` or `not`.
    pub status: String,
    /// Names of scenarios, and paths of test files.
    pub evidence: Vec<String>,
    /// What is missing.
    pub note: String,
}

impl Row {
    /// Verb and path of an HTTP row; the path up to its first parameter.
    pub fn route(&self) -> Option<(&str, &str)> {
        let (verb, path) = self.what.split_once(' ')?;
        path.starts_with("/v1/").then(|| (verb, path.split(':').next().unwrap_or(path)))
    }
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Sections in order, with their rows.
pub fn sections() -> Vec<(String, Vec<Row>)> {
    let text = fs::read_to_string(home().join("compat.txt")).expect("compat.txt is there");
    let mut sections: Vec<(String, Vec<Row>)> = Vec::new();
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            sections.push((title.to_owned(), Vec::new()));
            continue;
        }
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [what, status, evidence, note] = parts[..] else { panic!("four columns, please: {line}") };
        let evidence = evidence.split_whitespace().map(str::to_owned).collect();
        let row = Row { what: what.into(), status: status.into(), evidence, note: note.into() };
        sections.last_mut().expect("a section comes first").1.push(row);
    }
    sections
}

/// Known differences as `(scenario, step, reason)`.
pub fn differences() -> Vec<(String, String, String)> {
    let text = fs::read_to_string(home().join("differences.txt")).expect("the list of differences");
    let entry = |line: &str| {
        let (scenario, rest) = line.split_once(" | ").unwrap_or_else(|| panic!("no scenario: {line}"));
        let (step, reason) = rest.rsplit_once(" | ").unwrap_or_else(|| panic!("no reason: {line}"));
        (scenario.to_owned(), step.to_owned(), reason.to_owned())
    };
    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(entry).collect()
}

/// How many steps of each kind: HTTP exchanges, DNS questions, CLI runs, configurations.
pub fn counts(scenarios: &[(String, Script)]) -> [usize; 4] {
    let mut counts = [0; 4];
    for step in scenarios.iter().flat_map(|(_, s)| &s.steps) {
        let kind = match &step.action {
            Action::Http { .. } => 0,
            Action::Dns { .. } => 1,
            Action::Cli { args, .. } if args.first().is_some_and(|a| a == "validate") => 3,
            Action::Cli { .. } => 2,
            Action::Join | Action::File { .. } | Action::Copy { .. } => continue,
        };
        counts[kind] += 1;
    }
    counts
}

/// The page.
pub fn page() -> String {
    let sections = sections();
    let scenarios = scenarios();
    let count =
        |status: &str| sections.iter().flat_map(|(_, rows)| rows).filter(|r| r.status == status).count();
    let [http, dns, cli, configurations] = counts(&scenarios);
    let mut page = format!(
        "# Compatibility with Consul 1.21\n\n\
         Made by `UPDATE=1 cargo test -p lictor-tests --test compat` from `tests/conformance/compat.txt`; \
         do not edit this page.\n\n\
         {} rows are done, {} partial, {} not there. What is not there says so: 501 and `... is not built \
         yet`, never a made-up answer; `tests/tests/compat.rs` asks each such path.\n\n\
         The evidence is a scenario of `tests/conformance/scenarios/`, whose answers were recorded from a \
         Consul built from the 1.21 line's branch point and reporting itself as 1.21.5, or a test file. \
         Recorded are {http} HTTP exchanges, {dns} DNS questions, {cli} command lines and {configurations} \
         configurations. Two things that 1.21.5 added after the branch point are followed although the \
         recordings do not show them: the charset in `Content-Type`, and the characters allowed in key \
         names.\n",
        count("done"),
        count("partial"),
        count("not")
    );
    for (title, rows) in &sections {
        let _ = write!(page, "\n## {title}\n\n| what | status | shown by | missing |\n|---|---|---|---|\n");
        for row in rows {
            let evidence: Vec<String> = row.evidence.iter().map(|e| link(e)).collect();
            let what = if row.route().is_some() || row.what.starts_with("$ ") {
                format!("`{}`", row.what.trim_start_matches("$ "))
            } else {
                row.what.clone()
            };
            let _ = writeln!(page, "| {what} | {} | {} | {} |", row.status, evidence.join(", "), row.note);
        }
    }
    let mut by_reason: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (scenario, step, reason) in differences() {
        by_reason.entry((reason, scenario)).or_default().push(step);
    }
    page.push_str(
        "\n## Known differences\n\nEach is a step whose answer differs from the recording; the suite fails \
         when one of them stops to differ.\n\n| why | scenario | steps |\n|---|---|---|\n",
    );
    for ((reason, scenario), steps) in by_reason {
        let steps: Vec<String> = steps.iter().map(|s| format!("`{}`", s.replace('|', "\\|"))).collect();
        let _ = writeln!(page, "| {reason} | {} | {} |", link(&scenario), steps.join(", "));
    }
    page
}

fn link(evidence: &str) -> String {
    match evidence.contains('/') {
        true => format!("[{evidence}](../{evidence})"),
        false => format!("[{evidence}](../tests/conformance/scenarios/{evidence}.txt)"),
    }
}
