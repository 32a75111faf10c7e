//! The settings of autopilot: one record.

use super::Store;
use crate::Str;
use crate::command::SetAutopilot;
use crate::types::AutopilotConfig;
use alloc::sync::Arc;

/// Its name in the index table of a snapshot.
const TABLE: &str = "autopilot-config";

impl Store {
    /// The settings, if they were ever written.
    pub fn autopilot(&self) -> Option<&Arc<AutopilotConfig>> {
        self.autopilot.as_ref()
    }

    /// Whether they were written: not if `cas` is asked for and another index is there.
    pub(super) fn set_autopilot(&mut self, index: u64, command: &SetAutopilot) -> bool {
        let (created, modified) =
            self.autopilot.as_ref().map_or((index, 0), |old| (old.create_index, old.modify_index));
        if command.cas && modified != command.config.modify_index {
            return false;
        }
        let mut config = command.config.clone();
        (config.create_index, config.modify_index) = (created, index);
        self.autopilot = Some(Arc::new(config));
        self.index.other.insert(Str::from(TABLE), index);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::store::Applied;
    use crate::watch::ChangeSet;
    use alloc::boxed::Box;

    fn set(store: &mut Store, index: u64, min_quorum: u64, cas: Option<u64>) -> Applied {
        let config =
            AutopilotConfig { min_quorum, modify_index: cas.unwrap_or(0), ..AutopilotConfig::default() };
        let command = SetAutopilot { datacenter: "dc1".into(), config, cas: cas.is_some() };
        let command =
            Command::decode(&Command::Autopilot(Box::new(command)).encode()).expect("it reads back");
        store.apply(index, &command, &mut ChangeSet::default())
    }

    #[test]
    fn settings_are_written_unless_another_index_is_there_and_survive_a_snapshot() {
        let mut store = Store::default();
        assert_eq!(set(&mut store, 1, 3, Some(9)), Applied::Bool(false));
        assert!(store.autopilot().is_none());
        assert_eq!(set(&mut store, 2, 3, Some(0)), Applied::Bool(true));
        assert_eq!(set(&mut store, 3, 5, Some(1)), Applied::Bool(false));
        assert_eq!(set(&mut store, 4, 5, None), Applied::Bool(true));
        let config = store.autopilot().expect("it is written");
        assert_eq!((config.min_quorum, config.create_index, config.modify_index), (5, 2, 4));
        assert_eq!(Store::decode_snapshot(&store.encode_snapshot()), Ok(store));
    }
}
