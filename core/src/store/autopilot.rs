//! The settings of autopilot: one record.

use super::Store;
use crate::command::SetAutopilot;
use crate::types::AutopilotConfig;
use alloc::sync::Arc;

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
        true
    }
}
