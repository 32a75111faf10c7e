//! `/v1/session/create`: its body, with what it says nothing of filled in, and what Consul's endpoint has against it.

use super::super::errors::HttpError;
use crate::Str;
use crate::duration;
use crate::json::{self, Struct, Unknown};
use crate::time::Duration;
use crate::types::{ServiceCheck, Session};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// The check that a session depends on unless it says otherwise.
const SERF_HEALTH: &str = "serfHealth";
/// Unless it says otherwise.
const LOCK_DELAY: Duration = Duration::from_secs(15);
/// A number below this means seconds, from here on nanoseconds: long ago the field was given in seconds.
const SECONDS_BELOW: i64 = 1000;

/// The session that a body asks for, on this node unless it names another. No body is an empty one.
pub(in crate::front) fn session(body: &[u8], node: &Str) -> Result<Session, HttpError> {
    let mut session = Session {
        node: node.clone(),
        node_checks: Some(vec![SERF_HEALTH.into()]),
        checks: Some(vec![SERF_HEALTH.into()]),
        lock_delay: LOCK_DELAY.as_nanos() as i64,
        behavior: Session::RELEASE.into(),
        ..Session::default()
    };
    if !body.is_empty() {
        let value = json::parse_body(body).map_err(HttpError::Decode)?;
        json::decode(&value, Struct::ALIAS, Unknown::Ignore, |f| {
            for (name, field) in [
                ("ID", &mut session.id),
                ("Name", &mut session.name),
                ("Node", &mut session.node),
                ("Behavior", &mut session.behavior),
                ("TTL", &mut session.ttl),
            ] {
                let kind = if name == "Behavior" { "structs.SessionBehavior" } else { "string" };
                if f.value(name).is_some() {
                    *field = f.string_of(name, kind).into();
                }
            }
            if f.value("LockDelay").is_some() {
                let delay = f.duration("LockDelay");
                let seconds = delay < SECONDS_BELOW;
                session.lock_delay = if seconds { delay.saturating_mul(1_000_000_000) } else { delay };
            }
            if f.has("NodeChecks") {
                session.node_checks = f.opt_strings("NodeChecks");
            }
            if f.has("ServiceChecks") {
                let check = |f: &mut json::Fields<'_>| ServiceCheck {
                    id: f.str("ID"),
                    namespace: f.str("Namespace"),
                };
                let listed = f.value("ServiceChecks").is_some();
                let checks = f.objects("ServiceChecks", Struct::new("ServiceCheck"), check);
                session.service_checks = listed.then_some(checks);
            }
            if f.has("Checks") {
                session.checks = f.opt_strings_of("Checks", "types.CheckID");
            }
        })
        .map_err(HttpError::Decode)?;
    }
    reconcile(&mut session);
    Ok(session)
}

/// Checks have two names, the old one and the new one: which of them were meant.
fn reconcile(session: &mut Session) {
    let checks: &[Str] = session.checks.as_deref().unwrap_or_default();
    if checks.is_empty() {
        session.node_checks = Some(Vec::new());
    } else if matches!(checks, [only] if **only == *SERF_HEALTH)
        || session.node_checks.as_deref().unwrap_or_default().is_empty()
    {
        session.checks = None;
    }
}

/// What Consul's servers have against a session, whoever asks for it.
pub(in crate::front) fn vet(session: &mut Session, ttl_min: Duration) -> Result<(), HttpError> {
    let refuse = |text| Err(HttpError::Failed(text));
    if session.node.is_empty() {
        return Err(HttpError::Failed("Must provide Node".into()));
    }
    match &*session.behavior {
        "" => session.behavior = Session::RELEASE.into(),
        Session::RELEASE | Session::DELETE => {}
        other => return refuse(format!("Invalid Behavior setting '{other}'")),
    }
    if session.ttl.is_empty() {
        return Ok(());
    }
    let ttl_min = if ttl_min.is_zero() { Session::TTL_MIN } else { ttl_min };
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let (least, most) = (nanos(ttl_min), nanos(Session::TTL_MAX));
    match duration::parse(&session.ttl) {
        Err(why) => refuse(format!("Session TTL '{}' invalid: {why}", session.ttl)),
        Ok(ttl) if ttl != 0 && !(least..=most).contains(&ttl) => {
            let (least, most) = (duration::format(least), duration::format(most));
            refuse(format!("Invalid Session TTL '{ttl}', must be between [{least}={most}]"))
        }
        Ok(_) => Ok(()),
    }
}
