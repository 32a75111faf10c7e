//! `Operator`, and what `Internal` has for operators: the servers, the keyring, events.

use super::super::api::{autopilot, operator};
use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::result::{bytes, nothing};
use super::{Failure, Step, decode, refuse_other_datacenter, refuse_unless_leader, unexpected};
use crate::b64;
use crate::call;
use crate::command::{Command, SetAutopilot};
use crate::gossip::KeyCommand;
use crate::raft::Change;
use crate::rpc::arguments::ReadArguments;
use crate::rpc::operator::{EventArguments, KeyringAnswers, KeyringArguments, Peer};
use crate::store::Applied;
use alloc::boxed::Box;
use alloc::format;
use bytes::Bytes;

/// A question that the leader answers, or with `AllowStale` any server.
fn ask(cx: &Cx<'_>, arguments: &[u8]) -> Result<(), Failure> {
    let asked: ReadArguments = decode(arguments)?;
    refuse_other_datacenter(&asked.datacenter, &cx.view.config.datacenter)?;
    if asked.allow_stale { Ok(()) } else { refuse_unless_leader(cx) }
}

/// A question that only the leader can answer.
fn ask_leader(cx: &Cx<'_>, arguments: &[u8]) -> Result<(), Failure> {
    ask(cx, arguments)?;
    refuse_unless_leader(cx)
}

/// `Operator.AutopilotGetConfiguration`.
pub(super) fn autopilot_configuration(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    ask(cx, arguments)?;
    Ok(Step::Done(bytes(&autopilot::settings(cx))))
}

/// `Operator.AutopilotSetConfiguration`: whether a conditional write took place.
pub(super) fn set_autopilot_configuration(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let set: SetAutopilot = decode(arguments)?;
    refuse_other_datacenter(&set.datacenter, &cx.view.config.datacenter)?;
    let request = call::Request::Write(Command::Autopilot(Box::new(set)));
    Ok(Step::Call(Box::new(request), |reply| match reply {
        call::Reply::Applied { result: Applied::Bool(done), .. } => Ok(bytes(&done)),
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    }))
}

/// `Operator.AutopilotState`.
pub(super) fn autopilot_state(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    ask_leader(cx, arguments)?;
    Ok(Step::Done(bytes(&autopilot::state_of(cx))))
}

/// `Operator.ServerHealth`.
pub(super) fn server_health(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    ask_leader(cx, arguments)?;
    Ok(Step::Done(bytes(&autopilot::health_of(cx))))
}

/// `Operator.RaftGetConfiguration`.
pub(super) fn raft_configuration(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    ask(cx, arguments)?;
    Ok(Step::Done(bytes(&operator::configuration(cx))))
}

/// `Operator.RaftRemovePeerByID`.
pub(super) fn remove_by_id(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    remove(cx, arguments, true)
}

/// `Operator.RaftRemovePeerByAddress`.
pub(super) fn remove_by_address(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    remove(cx, arguments, false)
}

fn remove(cx: &Cx<'_>, arguments: &[u8], by_id: bool) -> Result<Step, Failure> {
    let peer: Peer = decode(arguments)?;
    refuse_other_datacenter(&peer.datacenter, &cx.view.config.datacenter)?;
    refuse_unless_leader(cx)?;
    let id = operator::peer(cx, by_id, if by_id { &peer.id } else { &peer.address })?;
    Ok(done(call::Request::Membership(Change::Remove(id))))
}

/// `Operator.TransferLeader`: our own; Consul has gRPC for it.
pub(super) fn transfer_leader(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let peer: Peer = decode(arguments)?;
    refuse_other_datacenter(&peer.datacenter, &cx.view.config.datacenter)?;
    refuse_unless_leader(cx)?;
    Ok(done(operator::transfer(cx, &peer.id)?))
}

fn done(request: call::Request) -> Step {
    Step::Call(Box::new(request), |reply| match reply {
        call::Reply::Applied { .. } | call::Reply::Done => Ok(nothing()),
        other => Err(unexpected(other)),
    })
}

/// `Internal.EventFire`: any server can.
pub(super) fn event(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let EventArguments { datacenter, name, payload, .. } = decode(arguments)?;
    refuse_other_datacenter(&datacenter, &cx.view.config.datacenter)?;
    Ok(done(call::Request::Shout { name, payload }))
}

/// `Internal.KeyringOperation`.
pub(super) fn keyring(_: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let asked: KeyringArguments = decode(arguments)?;
    let refused = |text: alloc::string::String| Failure::Refused(HttpError::Failed(text));
    if asked.local_only && *asked.operation != *"list" {
        return Err(refused("argument error: LocalOnly can only be used for List operations".into()));
    }
    let key = || {
        let bytes = b64::decode(asked.key.as_bytes());
        bytes.map(Bytes::from).map_err(|why| refused(format!("{why}")))
    };
    let command = match &*asked.operation {
        "list" => KeyCommand::List,
        "install" => KeyCommand::Install(key()?),
        "use" => KeyCommand::Use(key()?),
        "remove" => KeyCommand::Remove(key()?),
        other => return Err(refused(format!("Invalid keyring operation: {other}"))),
    };
    let (relay_factor, local) = (asked.relay_factor, asked.local_only || asked.forwarded);
    let request = call::Request::Keys { command, relay_factor, local };
    Ok(Step::Call(Box::new(request), |reply| match reply {
        call::Reply::Keys(responses) => Ok(bytes(&KeyringAnswers { responses })),
        other => Err(unexpected(other)),
    }))
}
