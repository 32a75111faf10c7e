//! `docs/compat.md` says what is so.

use lictor_tests::Server;
use lictor_tests::conformance::compat::{page, repository, sections};
use lictor_tests::conformance::run::scenarios;
use lictor_tests::conformance::script::Action;
use std::fs;

#[test]
fn the_page_is_up_to_date() {
    let path = repository().join("docs/compat.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, page()).expect("the page is written");
    }
    let is = fs::read_to_string(&path).expect("docs/compat.md is there");
    assert!(is == page(), "run UPDATE=1 cargo test -p lictor-tests --test compat, and read the diff");
}

/// A row that is done or partly done names what shows it; a scenario named for an endpoint or a command
/// has at least one step on it.
#[test]
fn every_claim_names_evidence_that_exists() {
    let scenarios = scenarios();
    let mut wrong = Vec::new();
    for row in sections().iter().flat_map(|(_, rows)| rows) {
        if !["done", "partial", "not"].contains(&&*row.status) {
            wrong.push(format!("{}: the status {} does not exist", row.what, row.status));
        }
        if row.status != "not" && row.evidence.is_empty() {
            wrong.push(format!("{}: nothing shows it", row.what));
        }
        if row.status == "partial" && row.note.is_empty() {
            wrong.push(format!("{}: what is missing?", row.what));
        }
        let mut shown = row.evidence.is_empty();
        for evidence in &row.evidence {
            if evidence.contains('/') {
                shown = true;
                if !repository().join(evidence).exists() {
                    wrong.push(format!("{}: {evidence} does not exist", row.what));
                }
                continue;
            }
            let Some((_, script)) = scenarios.iter().find(|(name, _)| name == evidence) else {
                wrong.push(format!("{}: there is no scenario {evidence}", row.what));
                continue;
            };
            shown |= script.steps.iter().any(|step| match (&step.action, row.route()) {
                (Action::Http { method, target, .. }, Some((verb, path))) => {
                    method == verb && target.starts_with(path)
                }
                (Action::Cli { args, .. }, None) => {
                    row.what.strip_prefix("$ ").is_none_or(|c| args.join(" ").starts_with(c))
                }
                (_, route) => route.is_none() && !row.what.starts_with("$ "),
            });
        }
        if !shown {
            wrong.push(format!("{}: no step of {} is about it", row.what, row.evidence.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every path of the route table has a row.
#[test]
fn no_route_is_left_out() {
    let table = fs::read_to_string(repository().join("core/src/front/route/table.rs")).expect("the table");
    let sections = sections();
    let rows = || sections.iter().flat_map(|(_, rows)| rows).filter_map(|r| r.route());
    for pattern in table.split('"').filter(|s| s.starts_with("/v1/")) {
        assert!(rows().any(|(_, path)| path == pattern), "{pattern} has no row");
    }
}

#[test]
fn what_is_not_there_says_so() {
    let server = Server::start("compat", "");
    for row in sections().iter().flat_map(|(_, rows)| rows).filter(|r| r.status == "not") {
        let Some((verb, path)) = row.route() else { continue };
        let target = if path.ends_with('/') { format!("{path}x") } else { path.to_owned() };
        let answer = server.ask(verb, &target, "");
        assert!(
            answer.status == 501 && answer.text().contains("is not built yet"),
            "{}: {} {}",
            row.what,
            answer.status,
            answer.text()
        );
    }
}
