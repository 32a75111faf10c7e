//! `/v1/agent/monitor`: the log as it is written.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::Stream;
use super::super::request::Request;
use super::super::route::Step;
use crate::event::Level;
use alloc::format;

/// `GET /v1/agent/monitor`: an endless answer, which the driver gives.
pub(in crate::front) fn monitor(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let name = match rq.query.get("loglevel") {
        "" => "INFO",
        given => given,
    };
    match Level::parse(name) {
        Some(level) => Ok(Step::Stream(Stream::Log { level, json: rq.query.has("logjson") })),
        None => Err(HttpError::BadRequest(format!("Unknown log level: {name}"))),
    }
}
