//! The black-box judge: is there any order of single steps that explains what clients saw?
//!
//! Linearizability (Herlihy and Wing 1990) by search, as Wing and Gong (1993) proposed it and Lowe (2017,
//! "Testing for linearizability", just-in-time) made it fast: walk through the history and keep every
//! configuration, that is a state with the set of open operations that have taken effect in it; when an
//! operation ends, only configurations live on in which it has. Equal configurations are one. When nobody is
//! under way there are few, so that long histories cost what their busiest moments cost.
//!
//! It knows neither log nor raft. Keys that no prefix and no transaction ties together are judged alone, which
//! is sound, because linearizability is local. A `ModifyIndex` is an opaque name of a version: a
//! compare-and-set succeeds if the version in place may have that name. Writes of unknown outcome may take
//! effect at any time after their begin, or never. Stale reads promise nothing here and are left out, as are
//! the catalog and keys that are locked ([`LOCKS`]).

use super::history::*;
use super::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

/// Keys under this are locked: they also change when a session ends, which this judge cannot know.
const LOCKS: &str = "l/";

/// Configurations kept at once, before a group of keys is given up as too busy to judge.
pub const MAX_CONFIGURATIONS: usize = 20_000;

/// How much there was to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Groups of keys that were judged.
    pub groups: usize,
    /// Groups given up: too much was open at once.
    pub undecided: usize,
    /// Operations in the groups judged.
    pub operations: usize,
}

/// Judges the keys of a history.
pub fn check(operations: &[Operation]) -> Result<Summary, Violation> {
    let mut summary = Summary::default();
    let restores =
        |op: &Operation| matches!(op.call, Call::Restore(_)) && !matches!(op.outcome, Outcome::Failed(_));
    if operations.iter().any(restores) {
        // Every key and every name of a version may be another one then, and this judge cannot know which.
        return Ok(summary);
    }
    for group in groups(operations) {
        let names = Names::of(&group, operations);
        match explain(&group, &names) {
            Verdict::Explained => {
                summary.groups += 1;
                summary.operations += group.len();
            }
            Verdict::TooBusy => summary.undecided += 1,
            Verdict::Stuck { at, states } => return Err(report(&group, &names, at, &states)),
        }
    }
    Ok(summary)
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    value: Vec<u8>,
    flags: u64,
    /// Its `ModifyIndex`, once anything has shown it.
    name: Option<u64>,
}

/// The keys that exist.
pub(super) type State = BTreeMap<String, Version>;
type Content = (Vec<u8>, u64);

/// What all answers together tell of the names of versions.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Key and name to content.
    content: BTreeMap<(String, u64), Content>,
    /// Key and content to name, where only one write and one name can be meant.
    sole: BTreeMap<(String, Content), u64>,
}

impl Names {
    /// Stale reads count: they show real versions too.
    pub(super) fn of(group: &[&Operation], all: &[Operation]) -> Names {
        let mut names = Names::default();
        let mut seen: BTreeMap<(String, Content), BTreeSet<u64>> = BTreeMap::new();
        for entry in all.iter().flat_map(entries_read) {
            let content = (entry.value.clone(), entry.flags);
            names.content.insert((entry.key.clone(), entry.modify_index), content.clone());
            seen.entry((entry.key.clone(), content)).or_default().insert(entry.modify_index);
        }
        let mut writers: BTreeMap<(String, Content), usize> = BTreeMap::new();
        for (key, content) in group.iter().flat_map(|op| written(&op.call)) {
            *writers.entry((key, content)).or_default() += 1;
        }
        for (what, named) in seen {
            if named.len() == 1 && writers.get(&what) == Some(&1) {
                names.sole.extend(named.into_iter().map(|name| (what.clone(), name)));
            }
        }
        names
    }

    fn version(&self, key: &str, value: &[u8], flags: u64) -> Version {
        let name = self.sole.get(&(key.to_string(), (value.to_vec(), flags))).copied();
        Version { value: value.to_vec(), flags, name }
    }

    /// Whether `version` is the one named `index`; `None` when nothing tells.
    fn is_named(&self, key: &str, version: &Version, index: u64) -> Option<bool> {
        match (version.name, self.content.get(&(key.to_string(), index))) {
            (Some(name), _) => Some(name == index),
            (None, Some((value, flags))) if *value != version.value || *flags != version.flags => Some(false),
            (None, _) => None,
        }
    }
}

/// Entries that an answer shows with their value.
fn entries_read(op: &Operation) -> &[Entry] {
    match (&op.call, &op.outcome) {
        (Call::Read { .. }, Outcome::Read(ReadAnswer { found: Found::Keys(found), .. })) => found,
        _ => &[],
    }
}

/// What a call may write.
fn written(call: &Call) -> Vec<(String, Content)> {
    match call {
        Call::Write(Write::Put { key, value, flags } | Write::Cas { key, value, flags, .. }) => {
            vec![(key.clone(), (value.clone(), *flags))]
        }
        Call::Txn { steps, .. } => {
            let sets = steps.iter().filter(|s| matches!(s.verb, Verb::Set | Verb::Cas));
            sets.map(|s| (s.key.clone(), (s.value.clone(), s.flags))).collect()
        }
        Call::Write(_) | Call::Read { .. } | Call::Renew { .. } => vec![],
        Call::Save { .. } | Call::Restore(_) => vec![],
    }
}

/// The same call in terms of a transaction's steps.
fn steps_of(call: &Call) -> Vec<TxnStep> {
    let step = |verb, key: &str, value: &[u8], flags, index| {
        vec![TxnStep { verb, key: key.into(), value: value.into(), flags, index }]
    };
    match call {
        Call::Txn { steps, .. } => steps.clone(),
        Call::Write(Write::Put { key, value, flags }) => step(Verb::Set, key, value, *flags, 0),
        Call::Write(Write::Cas { key, value, flags, index }) => step(Verb::Cas, key, value, *flags, *index),
        Call::Write(Write::Delete { key }) => step(Verb::Delete, key, &[], 0, 0),
        Call::Write(Write::DeleteCas { key, index }) => step(Verb::DeleteCas, key, &[], 0, *index),
        Call::Write(Write::DeleteTree { prefix }) => step(Verb::DeleteTree, prefix, &[], 0, 0),
        Call::Read { target: Target::Prefix(prefix), .. } => step(Verb::GetTree, prefix, &[], 0, 0),
        Call::Read { target: Target::Key(key), .. } => step(Verb::Get, key, &[], 0, 0),
        Call::Read { target: Target::Health(_), .. } | Call::Write(_) | Call::Renew { .. } => vec![],
        Call::Save { .. } | Call::Restore(_) => vec![],
    }
}

/// Every state that may follow when `op` takes effect in `state` and is answered as it was.
pub(super) fn successors(state: &State, op: &Operation, names: &Names) -> Vec<State> {
    if let Call::Read { target, .. } = &op.call {
        let Outcome::Read(ReadAnswer { found: Found::Keys(found), .. }) = &op.outcome else { return vec![] };
        let (prefix, whole) = match target {
            Target::Key(key) => (key, true),
            Target::Prefix(prefix) => (prefix, false),
            Target::Health(_) => return vec![],
        };
        let within = |key: &str| if whole { key == prefix } else { key.starts_with(&**prefix) };
        let mut next = state.clone();
        return see(&mut next, found, within).then_some(next).into_iter().collect();
    }
    let alone = matches!(op.call, Call::Write(_));
    // Every way in which undecided comparisons may go: a state, the steps that failed, what was shown.
    let mut ways = vec![(state.clone(), Vec::new(), Vec::new())];
    for (place, step) in steps_of(&op.call).iter().enumerate() {
        ways = ways
            .into_iter()
            .flat_map(|(state, failed, shown)| {
                take_step(&state, step, names).into_iter().map(move |(state, done, entries)| {
                    let (mut failed, mut shown) = (failed.clone(), shown.clone());
                    failed.extend((!done).then_some(place));
                    shown.extend(entries);
                    (state, failed, shown)
                })
            })
            .collect();
    }
    let outcome = |(after, failed, shown): (State, Vec<usize>, Vec<(String, Version, bool)>)| {
        let rolled_back = !failed.is_empty();
        let said = match &op.outcome {
            Outcome::Unknown => true,
            Outcome::Wrote(done) => alone && *done != rolled_back,
            Outcome::Txn(TxnAnswer::RolledBack(at)) => rolled_back && *at == failed,
            Outcome::Txn(TxnAnswer::Done(entries)) => !rolled_back && shows(entries, &shown),
            Outcome::Read(_) | Outcome::Failed(_) | Outcome::Session(_) | Outcome::Renewed(_) => false,
            Outcome::Saved(_) | Outcome::Restored => false,
        };
        said.then(|| if rolled_back { state.clone() } else { after })
    };
    ways.into_iter().filter_map(outcome).collect()
}

/// Whether the state shows exactly `found` of the keys within; names the versions seen.
fn see(state: &mut State, found: &[Entry], within: impl Fn(&str) -> bool) -> bool {
    if state.keys().filter(|key| within(key)).count() != found.len() {
        return false;
    }
    found.iter().all(|entry| match state.get_mut(&entry.key) {
        Some(version) if version.value == entry.value && version.flags == entry.flags => {
            *version.name.get_or_insert(entry.modify_index) == entry.modify_index
        }
        _ => false,
    })
}

/// Whether a transaction's results are these; a write shows no value.
fn shows(results: &[Entry], shown: &[(String, Version, bool)]) -> bool {
    results.len() == shown.len()
        && results.iter().zip(shown).all(|(entry, (key, version, with_value))| {
            let value: &[u8] = if *with_value { &version.value } else { &[] };
            entry.key == *key
                && entry.value == value
                && entry.flags == version.flags
                && version.name.is_none_or(|name| name == entry.modify_index)
        })
}

type Way = (State, bool, Vec<(String, Version, bool)>);

/// The ways in which one step may go.
fn take_step(state: &State, step: &TxnStep, names: &Names) -> Vec<Way> {
    let key = &step.key;
    let held = state.get(key);
    let with = |value: bool, version: &Version| vec![(key.clone(), version.clone(), value)];
    let failed = || (state.clone(), false, vec![]);
    let set = |state: &State| {
        let mut next = state.clone();
        let same = |old: &Version| old.value == step.value && old.flags == step.flags;
        if !next.get(key).is_some_and(same) {
            next.insert(key.clone(), names.version(key, &step.value, step.flags));
        }
        let shown = with(false, &next[key]);
        (next, true, shown)
    };
    let remove = |state: &State, tree: bool| {
        let mut next = state.clone();
        next.retain(|k, _| if tree { !k.starts_with(&**key) } else { k != key });
        (next, true, vec![])
    };
    // The version in place has the name asked for, or has not, or both must be tried.
    let compare = |then: &dyn Fn(&State) -> Way| -> Vec<Way> {
        let Some(version) = held else { return vec![failed()] };
        match names.is_named(key, version, step.index) {
            Some(true) => vec![then(state)],
            Some(false) => vec![failed()],
            None => {
                let mut named = state.clone();
                named.insert(key.clone(), Version { name: Some(step.index), ..version.clone() });
                vec![then(&named), failed()]
            }
        }
    };
    match step.verb {
        Verb::Set => vec![set(state)],
        Verb::Cas if step.index == 0 => vec![if held.is_none() { set(state) } else { failed() }],
        Verb::Cas => compare(&set),
        Verb::Delete => vec![remove(state, false)],
        Verb::DeleteTree => vec![remove(state, true)],
        // What is gone already counts as deleted.
        Verb::DeleteCas if held.is_none() => vec![(state.clone(), true, vec![])],
        Verb::DeleteCas => compare(&|state| remove(state, false)),
        Verb::CheckIndex => compare(&|state| (state.clone(), true, with(false, &state[key]))),
        Verb::CheckNotExists => vec![(state.clone(), held.is_none(), vec![])],
        Verb::Get => vec![held.map_or_else(failed, |version| (state.clone(), true, with(true, version)))],
        Verb::GetTree => {
            let under = state.iter().filter(|(k, _)| k.starts_with(&**key));
            let shown = under.map(|(k, version)| (k.clone(), version.clone(), true)).collect();
            vec![(state.clone(), true, shown)]
        }
    }
}

/// What came of the search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Explained,
    TooBusy,
    /// Nothing explains this operation, given all that ended before it.
    Stuck {
        at: usize,
        /// The states that were possible before.
        states: Vec<State>,
    },
}

/// A state, and which of the open operations have taken effect in it.
type Configuration = (State, BTreeSet<usize>);

/// Searches an explanation of one group.
pub(super) fn explain(group: &[&Operation], names: &Names) -> Verdict {
    let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(group.len() * 2);
    for (i, op) in group.iter().enumerate() {
        events.push((op.begin, false, i));
        if op.outcome != Outcome::Unknown {
            events.extend(op.end.map(|end| (end, true, i)));
        }
    }
    events.sort();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut possible: BTreeSet<Configuration> = BTreeSet::from([(State::new(), BTreeSet::new())]);
    for (_, ends, i) in events {
        if !ends {
            open.insert(i);
            continue;
        }
        let mut living = BTreeSet::new();
        let mut seen = possible.clone();
        let mut todo: Vec<Configuration> = possible.iter().cloned().collect();
        while let Some((state, done)) = todo.pop() {
            if done.contains(&i) {
                let mut done = done;
                done.remove(&i);
                living.insert((state, done));
                continue;
            }
            for next in open.iter().filter(|next| !done.contains(next)) {
                for state in successors(&state, group[*next], names) {
                    let mut done = done.clone();
                    done.insert(*next);
                    if seen.insert((state.clone(), done.clone())) {
                        todo.push((state, done));
                    }
                }
            }
            if seen.len() > MAX_CONFIGURATIONS {
                return Verdict::TooBusy;
            }
        }
        if living.is_empty() {
            let states: BTreeSet<State> = possible.into_iter().map(|(state, _)| state).collect();
            return Verdict::Stuck { at: i, states: states.into_iter().collect() };
        }
        open.remove(&i);
        possible = living;
    }
    Verdict::Explained
}

/// The smallest part of the history that is still impossible: up to the operation that nothing explains,
/// without the reads that are not needed for that.
fn report(group: &[&Operation], names: &Names, at: usize, states: &[State]) -> Violation {
    let last = group[at];
    let mut kept: Vec<&Operation> = group.iter().copied().filter(|o| Some(o.begin) <= last.end).collect();
    let reads: Vec<&Operation> = kept.iter().copied().filter(|o| !o.call.writes()).collect();
    for read in reads {
        let fewer: Vec<&Operation> = kept.iter().copied().filter(|o| !std::ptr::eq(*o, read)).collect();
        if matches!(explain(&fewer, names), Verdict::Stuck { .. }) {
            kept = fewer;
        }
    }
    let shown: Vec<String> = states.iter().take(3).map(|state| format!("{state:?}")).collect();
    let what = format!(
        "no order explains the answer {:?}; before it {} states were possible, such as {}",
        last.outcome,
        states.len(),
        shown.join(" or ")
    );
    Violation::new("not linearizable", what, kept)
}

/// Operations on keys whose answers bind, in groups that share no key, each in order of begin.
fn groups(operations: &[Operation]) -> Vec<Vec<&Operation>> {
    let binding: Vec<&Operation> = operations.iter().filter(|op| binds(op)).collect();
    let steps: Vec<Vec<TxnStep>> = binding.iter().map(|op| steps_of(&op.call)).collect();
    let keys: BTreeSet<&str> = steps.iter().flatten().map(|s| &*s.key).collect();
    // Every key points to one of its group; the one that points to itself stands for it.
    let mut group: BTreeMap<&str, &str> = keys.iter().map(|key| (*key, *key)).collect();
    for steps in &steps {
        let is_tree = |s: &TxnStep| matches!(s.verb, Verb::GetTree | Verb::DeleteTree);
        let of = |s: &TxnStep| {
            let (prefix, tree) = (s.key.clone(), is_tree(s));
            keys.iter()
                .copied()
                .filter(move |key| if tree { key.starts_with(&*prefix) } else { *key == prefix })
        };
        let mut touched = steps.iter().flat_map(of);
        let Some(first) = touched.next() else { continue };
        for key in touched {
            let (a, b) = (root(&group, first), root(&group, key));
            group.insert(b, a);
        }
    }
    let mut found: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for (op, steps) in binding.iter().zip(&steps) {
        if let Some(first) = steps.first() {
            let key = keys.get(&*first.key).copied().unwrap_or_default();
            found.entry(root(&group, key)).or_default().push(op);
        }
    }
    found
        .into_values()
        .map(|mut ops| {
            ops.sort_by_key(|o| (o.begin, o.end));
            ops
        })
        .collect()
}

fn root<'a>(group: &BTreeMap<&'a str, &'a str>, key: &'a str) -> &'a str {
    let mut key = key;
    while let Some(next) = group.get(key).copied().filter(|next| *next != key) {
        key = next;
    }
    key
}

/// Whether an operation says, or may have done, anything.
fn binds(op: &Operation) -> bool {
    match (&op.call, &op.outcome) {
        (Call::Read { target: Target::Key(key), .. }, _) if key.starts_with(LOCKS) => false,
        (_, Outcome::Failed(_)) => false,
        (Call::Restore(_), _) => false,
        (call, Outcome::Unknown) => call.writes(),
        (Call::Read { mode, .. }, _) => *mode != Mode::Stale,
        (Call::Txn { mode, .. }, _) => op.call.writes() || *mode != Mode::Stale,
        (Call::Write(_), _) => true,
        (Call::Renew { .. } | Call::Save { .. }, _) => false,
    }
}
