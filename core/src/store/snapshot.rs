//! The store as bytes, and back.

/// Why bytes are not a snapshot of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// The header is missing or is not one.
    Header,
    /// The record that begins at this offset cannot be read.
    Record {
        /// Offset in bytes.
        at: usize,
        /// Why.
        why: alloc::string::String,
    },
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SnapshotError::Header => f.write_str("not a snapshot: the header cannot be read"),
            SnapshotError::Record { at, why } => write!(f, "snapshot record at byte {at}: {why}"),
        }
    }
}

impl core::error::Error for SnapshotError {}
