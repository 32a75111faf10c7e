//! What survives a crash: vote, log, snapshot and the agent's own records.
//!
//! A [`Storage`] writes a run of batches as one atomic, flushed step. [`redb::RedbStorage`] is the
//! one on disk (over a file, or over a simulated disk that loses and tears writes);
//! [`memory::Memory`] is `-dev` mode's.

mod held;
pub mod memory;
pub mod redb;

use lictor_core::node::DiskBatch;

/// A place for batches.
pub trait Storage: Send + 'static {
    /// Writes all of `batches`, in order, or none of them, and returns once they are flushed.
    ///
    /// # Errors
    /// After an error the outcome is unknown and the storage must not be used any more: the node
    /// halts, and the next start finds either all or none of the batches.
    fn write(&mut self, batches: &[DiskBatch]) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Bytes that may still be written before the disk is full; `None` where there is no such limit.
    fn free_bytes(&self) -> Option<Space>;
}

/// Room on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still write.
    pub free: u64,
    /// The file system's size.
    pub total: u64,
}

/// Why a batch could not be written or a directory not be opened. The text names the file and the
/// way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError(pub String);

impl std::fmt::Display for StorageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StorageError {}
