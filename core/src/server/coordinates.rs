//! Where nodes say they are: gathered for a while, then written together.

use crate::Str;
use crate::command::Command;
use crate::config::Coordinates as Settings;
use crate::event::{Event, Level};
use crate::time::Instant;
use crate::types::NodeCoordinate;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What was said since the last time.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The newest of each node and segment.
    newest: BTreeMap<(Str, Str), NodeCoordinate>,
    due: Option<Instant>,
}

impl Pending {
    /// A node says where it is.
    pub(super) fn add(&mut self, now: Instant, settings: &Settings, said: NodeCoordinate) {
        self.due.get_or_insert(now + settings.update_period);
        self.newest.insert((said.node.clone(), said.segment.clone()), said);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be written now. More than the settings allow is dropped: it will be said again.
    pub(super) fn take(&mut self, now: Instant, settings: &Settings) -> Vec<(Option<Event>, Command)> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.due = None;
        let mut all: Vec<NodeCoordinate> = core::mem::take(&mut self.newest).into_values().collect();
        let size = settings.batch_size.max(1);
        let limit = size * settings.max_batches;
        let dropped = all.len().saturating_sub(limit);
        all.truncate(limit);
        let mut commands: Vec<(Option<Event>, Command)> =
            all.chunks(size).map(|batch| (None, Command::Coordinates(batch.to_vec()))).collect();
        if let (1.., Some((event, _))) = (dropped, commands.first_mut()) {
            let text = "Discarded coordinate updates";
            let warning = Event::new(Level::Warn, "agent.server.coordinate", text);
            *event = Some(warning.with_number("number_discarded", dropped as u64));
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn what_nodes_say_is_written_in_batches_and_too_much_is_dropped() {
        let settings = Settings { batch_size: 2, max_batches: 2, ..Settings::default() };
        let mut pending = Pending::default();
        let said = |name: &str| NodeCoordinate { node: name.into(), ..NodeCoordinate::default() };
        assert_eq!(pending.due(), None);
        for name in ["a", "b", "a", "c"] {
            pending.add(Instant(0), &settings, said(name));
        }
        assert_eq!(pending.take(Instant(1), &settings).len(), 0, "not yet");
        let due = Instant(0) + Duration::from_secs(5);
        assert_eq!(pending.due(), Some(due));
        let sizes = |commands: Vec<(Option<Event>, Command)>| -> Vec<(bool, usize)> {
            let size = |command: &Command| match command {
                Command::Coordinates(batch) => batch.len(),
                _ => 0,
            };
            commands.iter().map(|(event, command)| (event.is_some(), size(command))).collect()
        };
        assert_eq!(sizes(pending.take(due, &settings)), [(false, 2), (false, 1)]);
        for name in ["a", "b", "c", "d", "e"] {
            pending.add(due, &settings, said(name));
        }
        assert_eq!(sizes(pending.take(due + settings.update_period, &settings)), [(true, 2), (false, 2)]);
        assert_eq!(pending.due(), None);
    }
}
