//! Placeholder types until the store lands.
#![allow(missing_docs)]
#[derive(Clone, Debug, Default)]
pub struct Store;
#[derive(Clone, Debug, PartialEq)]
pub struct Applied;
