//! `/v1/operator/keyring`: the keys that gossip is encrypted with.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::{Request, parse_bool};
use super::super::respond;
use super::super::route::{Finish, Step};
use super::{decode, unexpected};
use crate::b64;
use crate::call;
use crate::gossip::KeyCommand;
use crate::json::Struct;
use crate::rpc::operator::KeyringAnswer;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// `GET`: which members have which keys.
pub(in crate::front) fn list(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let relay_factor = relay_factor(rq)?;
    let (command, local) = (KeyCommand::List, local_only(rq)?);
    Ok(Step::Call(Box::new(call::Request::Keys { command, relay_factor, local }), answer))
}

/// `POST`: a new key for all.
pub(in crate::front) fn install(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    change(cx, rq, KeyCommand::Install)
}

/// `PUT`: the key to seal with.
pub(in crate::front) fn select(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    change(cx, rq, KeyCommand::Use)
}

/// `DELETE`: a key that is no longer wanted.
pub(in crate::front) fn remove(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    change(cx, rq, KeyCommand::Remove)
}

fn change(cx: &Cx<'_>, rq: &Request, command: fn(Bytes) -> KeyCommand) -> Result<Step, HttpError> {
    let key = decode(&rq.body, Struct::of("agent", "keyringArgs"), |f| f.string("Key"))?;
    let relay_factor = relay_factor(rq)?;
    if local_only(rq)? {
        let text = "Invalid use of local-only: local-only can only be set for list requests";
        return Err(HttpError::BadRequest(text.into()));
    }
    let key = b64::decode(key.as_bytes()).map_err(|why| {
        let config = &cx.view.config;
        // A client agent does not know whether its servers have a WAN pool; as a rule they do.
        let wan = !config.server || config.ports.serf_wan.is_some();
        let errors = wan.then(|| format!("WAN error: {why}")).into_iter();
        failed(&errors.chain([format!("{} (LAN) error: {why}", config.datacenter)]).collect::<Vec<_>>())
    })?;
    let finish: Finish = |_, _, reply| match reply {
        call::Reply::Keys(said) => match errors(&said) {
            errors if errors.is_empty() => Ok(respond::done()),
            errors => Err(failed(&errors)),
        },
        other => Err(refused(other)),
    };
    let command = command(Bytes::from(key));
    Ok(Step::Call(Box::new(call::Request::Keys { command, relay_factor, local: false }), finish))
}

fn relay_factor(rq: &Request) -> Result<u8, HttpError> {
    let text = rq.query.get("relay-factor");
    if text.is_empty() {
        return Ok(0);
    }
    let number: i64 = text.parse().map_err(|_| {
        let text = format!("Error parsing relay factor: strconv.Atoi: parsing \"{text}\": invalid syntax");
        HttpError::BadRequest(text)
    })?;
    u8::try_from(number).ok().filter(|n| *n <= 5).ok_or_else(|| {
        HttpError::BadRequest("Invalid relay-factor: Relay factor must be in range: [0, 5]".into())
    })
}

fn local_only(rq: &Request) -> Result<bool, HttpError> {
    match rq.query.get("local-only") {
        "" => Ok(false),
        text => parse_bool(text).ok_or_else(|| {
            let why = format!("strconv.ParseBool: parsing \"{text}\": invalid syntax");
            HttpError::BadRequest(format!("Error parsing local-only: {why}"))
        }),
    }
}

fn answer(cx: &Cx<'_>, rq: &Request, reply: call::Reply) -> Result<HttpReply, HttpError> {
    let call::Reply::Keys(said) = reply else { return Err(refused(reply)) };
    let errors = errors(&said);
    if !errors.is_empty() {
        return Err(failed(&errors));
    }
    Ok(respond::json(cx.view, rq, |w| {
        w.array(|w| {
            for said in &said {
                w.object(|w| {
                    w.field_bool("WAN", said.wan);
                    w.field_str("Datacenter", &said.datacenter);
                    w.field_str("Segment", &said.segment);
                    if !said.messages.is_empty() {
                        w.field_str_map("Messages", &said.messages);
                    }
                    for (name, keys) in [("Keys", &said.keys), ("PrimaryKeys", &said.primary_keys)] {
                        w.field(name, |w| {
                            w.object(|w| keys.iter().for_each(|(key, n)| w.field_i64(key, *n)));
                        });
                    }
                    w.field_i64("NumNodes", said.num_nodes);
                });
            }
        });
    }))
}

/// What went wrong, pool by pool, in the words of Consul.
fn errors(said: &[KeyringAnswer]) -> Vec<String> {
    let mut errors = Vec::new();
    for said in said.iter().filter(|said| !said.error.is_empty()) {
        let name = if said.wan { "WAN".into() } else { format!("{} (LAN)", said.datacenter) };
        errors.push(format!("{name} error: {}", said.error));
        errors.extend(said.messages.iter().map(|(node, text)| format!("{node}: {text}")));
    }
    errors
}

fn failed(errors: &[String]) -> HttpError {
    let mut text = match errors.len() {
        1 => String::from("1 error occurred:"),
        n => format!("{n} errors occurred:"),
    };
    errors.iter().for_each(|error| text.push_str(&format!("\n\t* {error}")));
    text.push_str("\n\n");
    HttpError::Failed(text)
}

fn refused(reply: call::Reply) -> HttpError {
    match reply {
        call::Reply::Failed(call::CallError::Refused(why)) => HttpError::Failed(why),
        other => unexpected(other),
    }
}
