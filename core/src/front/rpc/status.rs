//! `Status`, and the methods that have nothing to do yet.

use super::super::api::acl::DISABLED;
use super::super::api::status::voters;
use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::result::bytes;
use super::{Failure, Step, decode, refuse_other_datacenter};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Deserialize;

/// The leader's address, or an empty string.
pub(super) fn leader(cx: &Cx<'_>) -> Bytes {
    bytes(&cx.view.raft.leader_addr)
}

/// The addresses of all voters.
pub(super) fn peers(cx: &Cx<'_>) -> Bytes {
    bytes(&voters(cx).collect::<Vec<String>>())
}

/// Where a call goes.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Addressed {
    datacenter: String,
}

/// There are no ACLs.
pub(super) fn without_acls(_: &Cx<'_>, _: &[u8]) -> Result<Step, Failure> {
    Err(HttpError::Failed(String::from(DISABLED)).into())
}

/// There are no prepared queries yet, so none has the name.
pub(super) fn prepared_query(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let to: Addressed = decode(arguments)?;
    refuse_other_datacenter(&to.datacenter, &cx.view.config.datacenter)?;
    Err(HttpError::Failed("Query not found".into()).into())
}
