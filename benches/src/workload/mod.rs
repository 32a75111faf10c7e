//! What is asked, of which catalog.

pub mod catalog;
pub mod closed;
pub mod fan_out;
pub mod scale;
pub mod scheduling;

pub use catalog::populate;
