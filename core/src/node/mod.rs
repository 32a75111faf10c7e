//! The composition: one [`Node`] routes inputs to the parts and their effects between them.

mod input;
mod output;

pub use input::{CallError, Input, Reply, Request, StopKind};
pub use output::{DiskBatch, DiskImage, HaltReason, LocalWrite, Output};
