//! `-dev` mode: nothing survives, nothing is flushed.

use super::{Space, Storage, StorageError};
use lictor_core::node::DiskBatch;

/// Forgets everything at once.
#[derive(Debug, Default)]
pub struct Memory;

impl Storage for Memory {
    async fn write(&mut self, _batches: &[DiskBatch]) -> Result<(), StorageError> {
        Ok(())
    }

    fn free_bytes(&self) -> Option<Space> {
        None
    }
}
