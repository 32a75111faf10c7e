//! When sessions with a TTL end that nobody renews.
//!
//! After twice the TTL, as Consul's do: a session is never ended before its TTL is over, and a client gets as much
//! again for slow networks. Each leader begins anew, so that a session outlives a change of leaders.

use crate::Str;
use crate::command::{Command, SessionCommand, SessionOp};
use crate::event::{Event, Level};
use crate::store::Store;
use crate::time::{Duration, Instant};
use crate::types::Session;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// So many TTLs without a renewal.
const TTLS: u32 = 2;
/// How soon the end of a session is proposed again that was not carried out.
const AGAIN: Duration = Duration::from_secs(10);

/// The sessions that are watched, by ID in lower case.
#[derive(Debug, Default)]
pub(super) struct Timers {
    ends: BTreeMap<Str, Instant>,
    order: BTreeSet<(Instant, Str)>,
    /// Those whose end was proposed: it may be carried out at any moment.
    ending: BTreeSet<Str>,
}

impl Timers {
    /// Those of all sessions there are, from now on.
    pub(super) fn of(now: Instant, store: &Store) -> Timers {
        let mut timers = Timers::default();
        for session in store.sessions() {
            timers.renew(now, session);
        }
        timers
    }

    /// A session was created or is to be renewed; `false` if it is too late for that.
    pub(super) fn renew(&mut self, now: Instant, session: &Session) -> bool {
        let id = Str::from(session.id.to_lowercase());
        if self.ending.contains(&id) {
            return false;
        }
        if let Some(ttl) = session.time_to_live() {
            self.set(id, now + ttl * TTLS);
        }
        true
    }

    /// The session of this ID was created or has ended.
    pub(super) fn changed(&mut self, now: Instant, store: &Store, id: &Str) {
        match store.session(id) {
            Some(session) => {
                self.renew(now, session);
            }
            None => {
                self.ending.remove(id);
                self.forget(id);
            }
        }
    }

    /// Any of them may have been created or have ended. Those that are known keep their time.
    pub(super) fn any_changed(&mut self, now: Instant, store: &Store) {
        let gone: Vec<Str> = self.ends.keys().filter(|id| store.session(id).is_none()).cloned().collect();
        gone.iter().for_each(|id| self.changed(now, store, id));
        for session in store.sessions() {
            if !self.ends.contains_key(&*session.id.to_lowercase()) {
                self.renew(now, session);
            }
        }
    }

    fn set(&mut self, id: Str, at: Instant) {
        self.forget(&id);
        self.order.insert((at, id.clone()));
        self.ends.insert(id, at);
    }

    fn forget(&mut self, id: &Str) {
        if let Some(at) = self.ends.remove(id) {
            self.order.remove(&(at, id.clone()));
        }
    }

    /// When the next one ends.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Commands that end those that were not renewed in time.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Option<Event>, Command)> {
        let mut commands = Vec::new();
        while let Some((at, id)) = self.order.first().cloned()
            && at <= now
        {
            let event = Event::new(Level::Debug, "agent.server", "Session TTL expired").with("session", &*id);
            let session = Session { id: id.clone(), ..Session::default() };
            let destroy = SessionCommand { datacenter: Str::new(), op: SessionOp::Destroy, session };
            commands.push((Some(event), Command::Session(Box::new(destroy))));
            // Forgotten once that is applied.
            self.ending.insert(id.clone());
            self.set(id, now + AGAIN);
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, ttl: &str) -> Session {
        Session { id: id.into(), ttl: ttl.into(), ..Session::default() }
    }

    fn ended(timers: &mut Timers, now: Instant) -> Vec<Str> {
        let id = |(_, command)| match command {
            Command::Session(c) if c.op == SessionOp::Destroy => c.session.id.clone(),
            other => panic!("{other:?}"),
        };
        timers.expire(now).into_iter().map(id).collect()
    }

    #[test]
    fn what_may_have_changed_with_everything_else_keeps_its_time() {
        let second = |s| Instant::ZERO + Duration::from_secs(s);
        let mut timers = Timers::default();
        timers.renew(second(0), &session("gone", "10s"));
        let mut store = Store::default();
        let node = crate::command::Register { node: "n".into(), ..Default::default() };
        let there = Session { node: "n".into(), ..session("there", "10s") };
        let create = SessionCommand { datacenter: Str::new(), op: SessionOp::Create, session: there };
        let mut changes = crate::watch::ChangeSet::default();
        store.apply(1, &Command::Register(Box::new(node)), &mut changes);
        store.apply(2, &Command::Session(Box::new(create)), &mut changes);
        timers.any_changed(second(5), &store);
        timers.any_changed(second(15), &store);
        assert_eq!((timers.ends.len(), timers.next_due()), (1, Some(second(25))));
    }

    #[test]
    fn a_session_ends_after_twice_its_ttl_unless_it_is_renewed_and_is_asked_for_until_it_has_ended() {
        let second = |s| Instant::ZERO + Duration::from_secs(s);
        let mut timers = Timers::default();
        for (id, ttl) in [("A", "10s"), ("b", "15s"), ("c", ""), ("d", "0s"), ("e", "nonsense")] {
            timers.renew(second(0), &session(id, ttl));
        }
        assert_eq!((timers.ends.len(), timers.next_due()), (2, Some(second(20))));
        timers.renew(second(19), &session("A", "10s"));
        assert_eq!(ended(&mut timers, second(29)), [] as [Str; 0]);
        assert_eq!(ended(&mut timers, second(38)), ["b"]);
        assert_eq!(ended(&mut timers, second(39)), ["a"]);
        // Too late: its end was proposed.
        assert!(!timers.renew(second(40), &session("A", "10s")));
        // Not carried out: once more.
        assert_eq!(ended(&mut timers, second(48)), ["b"]);
        timers.changed(second(48), &Store::default(), &"b".into());
        timers.changed(second(48), &Store::default(), &"a".into());
        assert_eq!((timers.ends.len(), timers.next_due()), (0, None));
    }
}
