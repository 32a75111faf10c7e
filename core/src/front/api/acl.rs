//! `/v1/acl`: there are no ACLs, and Consul without them says so.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::Request;

/// Every endpoint that is about tokens, policies, roles and their like.
pub(in crate::front) fn disabled(_: &Cx<'_>, _: &Request) -> Result<HttpReply, HttpError> {
    Err(HttpError::Disabled(DISABLED))
}

/// What is said over HTTP and RPC.
pub(in crate::front) const DISABLED: &str = "ACL support disabled";
