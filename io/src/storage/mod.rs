//! What survives a crash: vote, log, snapshot and the agent's own records.
//!
//! A [`Storage`] writes a run of batches as one atomic, flushed step. [`log::LogStorage`] is the one on
//! disk (in a directory, or on a simulated disk that loses and tears writes); [`memory::Memory`] is
//! `-dev` mode's.
//!
//! | module | what it is |
//! |---|---|
//! | [`directory`] | the seam to the disk |
//! | `frame`, `record` | the bytes of one write, and what they say |
//! | `segment` | the files of the log |
//! | [`checkpoint`] | the redb file: snapshots, and what removed segments said |
//! | `held` | a redb file that stays as it is until it is believed |
//! | `format1` | directories of the version before |
//! | [`log`] | all of it together |
//! | `trouble` | what goes wrong, in words |

pub mod checkpoint;
pub mod directory;
mod format1;
mod frame;
mod held;
pub mod log;
pub mod memory;
mod record;
mod segment;
mod trouble;

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
