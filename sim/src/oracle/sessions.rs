//! The judge of sessions: who was created and who has ended, and whether anybody had the right to it.
//!
//! - every session in the log was asked for, by one operation, after that began;
//! - a session is destroyed because somebody asked for it, or because it was not renewed for its whole TTL: between
//!   the begin of the last renewal that was answered well and the end lies at least that, whatever the leaders did;
//! - a session that an archive brought back begins anew, and one that was there all along goes on;
//! - a session that is there, and stays until the answer, is never said not to be found.

use super::history::*;
use super::model::{Life, Model};
use super::violation::Violation;
use lictor_core::command::{Command, SessionCommand, SessionOp};
use lictor_core::types::Session;
use std::collections::BTreeMap;

/// Judges the sessions of `run`, whose log `model` has played.
pub(super) fn check(run: &Run, model: &Model) -> Result<(), Violation> {
    let mut created: BTreeMap<&str, &Session> = BTreeMap::new();
    for Committed { index, at, command } in &run.log {
        let Command::Session(c) = command else { continue };
        let SessionCommand { op, session, .. } = &**c;
        match op {
            SessionOp::Create => {
                if !run.operations.iter().any(|op| asked_for(op, session, *at, model)) {
                    let what = format!("index {index} creates {session:?}, for which nobody had asked");
                    return Err(Violation::new("a session has an operation", what, []));
                }
                created.insert(&session.id, session);
            }
            SessionOp::Destroy => {
                let asks = |op: &&Operation| destroys(op, &session.id, *at);
                let life = model.lives(&session.id).iter().find(|life| life.to == Some(*index));
                if let Some(life) = life
                    && !run.operations.iter().any(|op| asks(&op))
                {
                    let known = created.get(&*session.id).copied();
                    let known = known.map(|session| (time_of(run, life.from), session));
                    not_renewed(run, &session.id, known, *at)?;
                }
            }
        }
    }
    living_are_found(run, model)
}

fn asked_for(op: &Operation, session: &Session, at: u64, model: &Model) -> bool {
    let Call::Write(Write::CreateSession(new)) = &op.call else { return false };
    let mine = match &op.outcome {
        Outcome::Session(id) => **id == *session.id,
        // The catalog did not let it be.
        Outcome::Failed(_) => model.lives(&session.id).is_empty(),
        outcome => *outcome == Outcome::Unknown,
    };
    *new.name == *session.name && op.begin <= at && mine
}

fn destroys(op: &Operation, id: &str, at: u64) -> bool {
    matches!(&op.call, Call::Write(Write::DestroySession { session }) if session == id)
        && op.begin <= at
        && !matches!(op.outcome, Outcome::Failed(_))
}

fn renews(op: &Operation, id: &str) -> bool {
    matches!(&op.call, Call::Renew { session } if session == id)
}

/// A leader has ended it.
fn not_renewed(run: &Run, id: &str, known: Option<(u64, &Session)>, at: u64) -> Result<(), Violation> {
    let rule = "a session lives for its TTL";
    let Some((born, session)) = known else {
        return Err(Violation::new(rule, format!("{id} is ended and was never created"), []));
    };
    let Some(ttl) = session.time_to_live() else {
        return Err(Violation::new(rule, format!("{session:?} has no TTL and is ended"), []));
    };
    let renewals = run.operations.iter().filter(|op| renews(op, id) && op.outcome == Outcome::Renewed(true));
    let last = renewals.filter(|op| op.end.is_some_and(|end| end <= at)).max_by_key(|op| op.begin);
    let alive = last.map_or(born, |op| op.begin.max(born));
    if u128::from(at - alive) < ttl.as_nanos() {
        let after = (at - alive) as f64 / 1e6;
        let what = format!("{session:?} is ended {after:.3} ms after the last sign of life");
        return Err(Violation::new(rule, what, last));
    }
    Ok(())
}

/// When the first server applied the command at this index.
fn time_of(run: &Run, index: u64) -> u64 {
    let place = run.log.partition_point(|c| c.index < index);
    run.log.get(place).map_or(u64::MAX, |c| c.at)
}

fn living_are_found(run: &Run, model: &Model) -> Result<(), Violation> {
    let born = |op: &Operation| match &op.outcome {
        Outcome::Session(id) => Some((id.clone(), op.end?)),
        _ => None,
    };
    let born: BTreeMap<String, u64> = run.operations.iter().filter_map(born).collect();
    for op in run.operations.iter().filter(|op| op.outcome == Outcome::Renewed(false)) {
        let (Call::Renew { session }, Some(end)) = (&op.call, op.end) else { continue };
        let lives = |(nth, life): (usize, &Life)| {
            // Of the first one its client knows from when on it lived.
            let since = if nth == 0 { born.get(session).copied() } else { Some(time_of(run, life.from)) };
            since.is_some_and(|since| since <= op.begin) && life.to.is_none_or(|to| time_of(run, to) > end)
        };
        if model.lives(session).iter().enumerate().any(lives) {
            let what = format!("{session} is not found, and had not ended by then");
            return Err(Violation::new("a living session is found", what, [op]));
        }
    }
    Ok(())
}
