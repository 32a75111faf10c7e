//! What is asked, of which catalog.

pub mod catalog;
pub mod closed;
pub mod fan_out;
pub mod scale;

pub use catalog::populate;
