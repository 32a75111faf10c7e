//! Answers as a real Consul 1.21.5 gave them: `tests/conformance/`.
//!
//! `SCENARIO=kv` runs one scenario; `SUBJECT_BIN=/path/to/consul RECORD=1` rewrites the recordings.

use lictor_tests::conformance::compat::{counts, differences};
use lictor_tests::conformance::home;
use lictor_tests::conformance::run::{Outcome, read, run, scenarios, write};
use lictor_tests::conformance::script::Script;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs every scenario, two at a time, and returns what came out by name.
fn run_all(scenarios: &[(String, Script)]) -> BTreeMap<String, Vec<Outcome>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, script)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcomes = run(script);
                    done.lock().expect("no runner panicked").insert(name.clone(), outcomes);
                }
            });
        }
    });
    done.into_inner().expect("no runner panicked")
}

#[test]
fn answers_are_as_recorded_from_consul_except_for_the_listed_differences() {
    let only = std::env::var("SCENARIO").ok();
    let mut scenarios = scenarios();
    scenarios.retain(|(name, _)| only.as_ref().is_none_or(|o| o == name));
    let results = run_all(&scenarios);
    let mut listed: BTreeMap<_, _> =
        differences().into_iter().map(|(s, step, why)| ((s, step), why)).collect();
    listed.retain(|(scenario, _), _| scenarios.iter().any(|(name, _)| name == scenario));
    let mut complaints = Vec::new();
    for (name, script) in &scenarios {
        let outcomes = &results[name];
        let path = home().join("recordings").join(format!("{name}.txt"));
        if std::env::var_os("RECORD").is_some() {
            fs::write(path, write(&script.about, outcomes)).expect("the recording is written");
            continue;
        }
        let recorded = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let recorded = read(&recorded);
        let ours = read(&write(&script.about, outcomes));
        let steps = |o: &[Outcome]| o.iter().map(|o| o.step.clone()).collect::<Vec<_>>();
        if steps(&recorded) != steps(&ours) {
            complaints
                .push(format!("{name}: the recording is of another version of the scenario: record again"));
            continue;
        }
        for (want, got) in recorded.iter().zip(&ours) {
            let known = listed.remove(&(name.clone(), want.step.clone()));
            match (want.answer == got.answer, known) {
                (true, None) | (false, Some(_)) => {}
                (true, Some(_)) => complaints.push(format!(
                    "{name} | {} | is as recorded now: take it off differences.txt",
                    want.step
                )),
                (false, None) => complaints.push(format!(
                    "{name} | {}\n--- recorded\n{}--- answered\n{}",
                    want.step, want.answer, got.answer
                )),
            }
        }
    }
    if std::env::var_os("RECORD").is_none() {
        complaints.extend(
            listed.keys().map(|(s, step)| format!("{s} | {step} | is listed, but no step is named so")),
        );
    }
    assert!(complaints.is_empty(), "{} differ:\n\n{}", complaints.len(), complaints.join("\n\n"));
}

#[test]
fn there_is_enough_recorded_to_speak_of_fidelity() {
    let scenarios = scenarios();
    let [http, dns, cli, configurations] = counts(&scenarios);
    println!("{http} HTTP exchanges, {dns} DNS questions, {cli} CLI runs, {configurations} configurations");
    assert!(http >= WANTED[0] && dns >= WANTED[1] && cli >= WANTED[2] && configurations >= WANTED[3]);
}

/// HTTP exchanges, DNS questions, CLI runs, configurations: never fewer than these.
const WANTED: [usize; 4] = [400, 120, 80, 60];
