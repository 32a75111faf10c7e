//! `Status`, and what is refused without ACLs.

use super::super::api::acl::DISABLED;
use super::super::api::status::voters;
use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::result::bytes;
use super::{Failure, Step};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// The leader's address, or an empty string.
pub(super) fn leader(cx: &Cx<'_>) -> Bytes {
    bytes(&cx.view.raft.leader_addr)
}

/// The addresses of all voters.
pub(super) fn peers(cx: &Cx<'_>) -> Bytes {
    bytes(&voters(cx).collect::<Vec<String>>())
}

/// There are no ACLs.
pub(super) fn without_acls(_: &Cx<'_>, _: &[u8]) -> Result<Step, Failure> {
    Err(HttpError::Failed(String::from(DISABLED)).into())
}
