//! Placeholder types until raft lands.
#![allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub struct Change;
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch;
#[derive(Clone, Debug, Default)]
pub struct Image;
#[derive(Clone, Debug, Default)]
pub struct Status;
