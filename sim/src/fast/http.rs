//! Requests as clients write them, and answers as clients read them.

use super::archives;
use crate::oracle::{
    Call, Deregistration, Entry, Found, Instance, Mode, NewSession, Outcome, ReadAnswer, Registration,
    Target, TxnAnswer, TxnStep, Verb, Wait, Write,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use core::net::SocketAddr;
use lictor_core::front::{HttpReply, HttpRequest};
use lictor_core::json::{self, Kind, Value};
use std::fmt::Write as _;
use std::sync::Arc;

const CLIENT: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 1);

/// The request that asks for `call`, in that datacenter if it is another.
pub(super) fn request(call: &Call, datacenter: Option<&str>) -> HttpRequest {
    let (method, mut target, body) = match call {
        Call::Read { target, mode, wait } => ("GET", read_target(target, *mode, *wait), Bytes::new()),
        Call::Save { stale } => {
            ("GET", format!("/v1/snapshot{}", if *stale { "?stale" } else { "" }), Bytes::new())
        }
        Call::Restore(saved) => ("PUT", "/v1/snapshot".into(), saved.archive.clone()),
        Call::Renew { session } => ("PUT", format!("/v1/session/renew/{session}"), Bytes::new()),
        Call::Write(write) => write_parts(write, datacenter.unwrap_or_default()),
        Call::Txn { steps, mode } => {
            let mut target = String::from("/v1/txn");
            match mode {
                Mode::Default => {}
                Mode::Stale => target.push_str("?stale"),
                Mode::Consistent => target.push_str("?consistent"),
            }
            ("PUT", target, txn_body(steps))
        }
    };
    // Registrations name it in their body, and nowhere else.
    let in_body = matches!(call, Call::Write(Write::Register(_) | Write::Deregister(_)));
    if let Some(name) = datacenter.filter(|_| !in_body) {
        let _ = write!(target, "{}dc={name}", if target.contains('?') { '&' } else { '?' });
    }
    HttpRequest { method: method.into(), target, headers: Vec::new(), body, remote: Some(CLIENT) }
}

fn read_target(target: &Target, mode: Mode, wait: Option<Wait>) -> String {
    let mut out = match target {
        Target::Key(key) => format!("/v1/kv/{key}?"),
        Target::Prefix(prefix) => format!("/v1/kv/{prefix}?recurse&"),
        Target::Health(name) => format!("/v1/health/service/{name}?"),
    };
    match mode {
        Mode::Default => {}
        Mode::Stale => out.push_str("stale&"),
        Mode::Consistent => out.push_str("consistent&"),
    }
    if let Some(Wait { index, ns }) = wait {
        let _ = write!(out, "index={index}&wait={}ms&", ns / 1_000_000);
    }
    out.pop();
    out
}

fn write_parts(write: &Write, datacenter: &str) -> (&'static str, String, Bytes) {
    match write {
        Write::Put { key, value, flags } => {
            ("PUT", format!("/v1/kv/{key}?flags={flags}"), Bytes::copy_from_slice(value))
        }
        Write::Cas { key, value, flags, index } => {
            ("PUT", format!("/v1/kv/{key}?cas={index}&flags={flags}"), Bytes::copy_from_slice(value))
        }
        Write::Delete { key } => ("DELETE", format!("/v1/kv/{key}"), Bytes::new()),
        Write::DeleteCas { key, index } => ("DELETE", format!("/v1/kv/{key}?cas={index}"), Bytes::new()),
        Write::DeleteTree { prefix } => ("DELETE", format!("/v1/kv/{prefix}?recurse"), Bytes::new()),
        Write::Acquire { key, value, session } => {
            ("PUT", format!("/v1/kv/{key}?acquire={session}"), Bytes::copy_from_slice(value))
        }
        Write::Release { key, value, session } => {
            ("PUT", format!("/v1/kv/{key}?release={session}"), Bytes::copy_from_slice(value))
        }
        Write::CreateSession(new) => ("PUT", "/v1/session/create".into(), session_body(new)),
        Write::DestroySession { session } => ("PUT", format!("/v1/session/destroy/{session}"), Bytes::new()),
        Write::CreateQuery { name } => {
            let body = format!("{{\"Name\":\"{name}\",\"Service\":{{\"Service\":\"web\"}}}}");
            ("POST", "/v1/query".into(), Bytes::from(body))
        }
        Write::Register(r) => ("PUT", "/v1/catalog/register".into(), register_body(r, datacenter)),
        Write::Deregister(d) => ("PUT", "/v1/catalog/deregister".into(), deregister_body(d, datacenter)),
    }
}

fn register_body(r: &Registration, datacenter: &str) -> Bytes {
    let mut out =
        format!("{{\"Datacenter\":\"{datacenter}\",\"Node\":\"{}\",\"Address\":\"{}\"", r.node, r.address);
    if !r.service_id.is_empty() {
        let _ = write!(
            out,
            ",\"Service\":{{\"ID\":\"{}\",\"Service\":\"{}\",\"Port\":{}}}",
            r.service_id, r.service, r.port
        );
    }
    if !r.check_id.is_empty() {
        let _ = write!(
            out,
            ",\"Check\":{{\"CheckID\":\"{}\",\"Name\":\"{}\",\"Status\":\"{}\",\"ServiceID\":\"{}\"}}",
            r.check_id, r.check_id, r.status, r.service_id
        );
    }
    out.push('}');
    Bytes::from(out)
}

fn session_body(new: &NewSession) -> Bytes {
    let checks = if new.check.is_empty() { String::new() } else { format!("\"{}\"", new.check) };
    let ttl = if new.ttl == 0 { String::new() } else { format!("{}ms", new.ttl / 1_000_000) };
    let behavior = if new.deletes { "delete" } else { "release" };
    Bytes::from(format!(
        "{{\"Name\":\"{}\",\"Node\":\"{}\",\"NodeChecks\":[{checks}],\"TTL\":\"{ttl}\",\"Behavior\":\"{behavior}\",\
         \"LockDelay\":\"0s\"}}",
        new.name, new.node
    ))
}

fn deregister_body(d: &Deregistration, datacenter: &str) -> Bytes {
    Bytes::from(format!(
        "{{\"Datacenter\":\"{datacenter}\",\"Node\":\"{}\",\"ServiceID\":\"{}\",\"CheckID\":\"{}\"}}",
        d.node, d.service_id, d.check_id
    ))
}

fn txn_body(steps: &[TxnStep]) -> Bytes {
    let mut out = String::from("[");
    for step in steps {
        let _ = write!(out, "{{\"KV\":{{\"Verb\":\"{}\",\"Key\":\"{}\"", step.verb.name(), step.key);
        if matches!(step.verb, Verb::Set | Verb::Cas) {
            let _ = write!(out, ",\"Value\":\"{}\",\"Flags\":{}", BASE64.encode(&step.value), step.flags);
        }
        if matches!(step.verb, Verb::Cas | Verb::DeleteCas | Verb::CheckIndex) {
            let _ = write!(out, ",\"Index\":{}", step.index);
        }
        out.push_str("}},");
    }
    out.pop();
    out.push(']');
    Bytes::from(out)
}

/// What the answer says about `call`. `Err` is an answer that no client could make sense of.
pub(super) fn outcome(call: &Call, reply: &HttpReply) -> Result<Outcome, String> {
    let text = || String::from_utf8_lossy(&reply.body).into_owned();
    let writes = call.writes();
    match (call, reply.status) {
        (Call::Read { target, .. }, 200 | 404) => read_answer(target, reply).map(Outcome::Read),
        (Call::Txn { .. }, 200 | 409) => txn_answer(reply).map(Outcome::Txn),
        (Call::Save { .. }, 200) => {
            let index = index(reply).ok_or("an archive without X-Consul-Index")?;
            archives::read(&reply.body, index).map(|saved| Outcome::Saved(Arc::new(saved)))
        }
        (Call::Restore(_), 200) => Ok(Outcome::Restored),
        (Call::Renew { .. }, 200) => Ok(Outcome::Renewed(true)),
        (Call::Renew { .. }, 404) => Ok(Outcome::Renewed(false)),
        (Call::Write(Write::CreateSession(_)), 200) => {
            let value = json::parse(&reply.body).map_err(|e| e.to_string())?;
            string(&value, "ID").map(Outcome::Session)
        }
        (Call::Write(Write::CreateQuery { .. }), 200) => Ok(Outcome::Wrote(true)),
        // A session that has ended locks nothing, which the log shows as it shows that another holds it.
        (Call::Write(Write::Acquire { .. }), 500) if text().contains("invalid session") => {
            Ok(Outcome::Wrote(false))
        }
        (Call::Write(_), 200) => match &reply.body[..] {
            b"true" | b"true\n" => Ok(Outcome::Wrote(true)),
            b"false" | b"false\n" => Ok(Outcome::Wrote(false)),
            _ => Err(format!("a write was answered {:?}", text())),
        },
        (_, 500) if writes && reply.body.starts_with(b"leadership lost while committing log") => {
            Ok(Outcome::Unknown)
        }
        (_, 500) if writes && !is_refusal(&text()) => Ok(Outcome::Unknown),
        (_, 429 | 500 | 503) => Ok(Outcome::Failed(text())),
        (_, status) => Err(format!("status {status}: {}", text())),
    }
}

/// Whether an agent's answer to a write says that no server has done it. A server's own words say so otherwise.
fn is_refusal(text: &str) -> bool {
    let Some(said) = text.strip_prefix("rpc error making call: ") else { return true };
    ["No cluster leader", "rate limit exceeded", "nearly full", "too large", "apply failed: "]
        .iter()
        .any(|why| said.contains(why))
}

fn header<'a>(reply: &'a HttpReply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| &**v)
}

/// `X-Consul-Index`.
pub(super) fn index(reply: &HttpReply) -> Option<u64> {
    header(reply, "X-Consul-Index")?.parse().ok()
}

fn read_answer(target: &Target, reply: &HttpReply) -> Result<ReadAnswer, String> {
    let index = index(reply).ok_or("an answer without X-Consul-Index")?;
    let known_leader = header(reply, "X-Consul-Knownleader") == Some("true");
    let contact = header(reply, "X-Consul-Lastcontact").and_then(|v| v.parse().ok());
    let last_contact_ms = contact.ok_or("an answer without X-Consul-Lastcontact")?;
    let found = match target {
        Target::Key(_) | Target::Prefix(_) if reply.status == 404 => Found::Keys(Vec::new()),
        Target::Key(_) | Target::Prefix(_) => {
            let value = json::parse(&reply.body).map_err(|e| e.to_string())?;
            Found::Keys(array(&value)?.iter().map(entry).collect::<Result<_, _>>()?)
        }
        Target::Health(_) => {
            let value = json::parse(&reply.body).map_err(|e| e.to_string())?;
            Found::Instances(array(&value)?.iter().map(instance).collect::<Result<_, _>>()?)
        }
    };
    Ok(ReadAnswer { index, found, known_leader, last_contact_ms })
}

fn txn_answer(reply: &HttpReply) -> Result<TxnAnswer, String> {
    let value = json::parse(&reply.body).map_err(|e| e.to_string())?;
    if reply.status == 409 {
        let errors = array(field(&value, "Errors")?)?;
        let places = errors.iter().map(|e| number(e, "OpIndex").map(|n| n as usize));
        return places.collect::<Result<_, _>>().map(TxnAnswer::RolledBack);
    }
    let results = field(&value, "Results")?;
    if results.is_null() {
        return Ok(TxnAnswer::Done(Vec::new()));
    }
    let entries = array(results)?.iter().map(|item| entry(field(item, "KV")?));
    entries.collect::<Result<_, _>>().map(TxnAnswer::Done)
}

/// The keys of one pool, as an agent lists them.
#[derive(Clone, Debug)]
pub(super) struct PoolKeys {
    /// How many members have each key.
    pub(super) keys: Vec<(String, u64)>,
    /// How many members seal with each key.
    pub(super) primary: Vec<(String, u64)>,
    /// How many members there are.
    pub(super) nodes: u64,
}

/// What an agent lists of all pools.
pub(super) fn keyring(reply: &HttpReply) -> Result<Vec<PoolKeys>, String> {
    let value = json::parse(&reply.body).map_err(|e| e.to_string())?;
    array(&value)?.iter().map(pool_keys).collect()
}

fn pool_keys(pool: &Value<'_>) -> Result<PoolKeys, String> {
    let counts = |name| {
        let Kind::Object(fields) = &field(pool, name)?.kind else {
            return Err(format!("{name}: not an object"));
        };
        fields.iter().map(|(key, _)| Ok((key.to_string(), number(field(pool, name)?, key)?))).collect()
    };
    Ok(PoolKeys { keys: counts("Keys")?, primary: counts("PrimaryKeys")?, nodes: number(pool, "NumNodes")? })
}

fn entry(value: &Value<'_>) -> Result<Entry, String> {
    let bytes = match &field(value, "Value")?.kind {
        Kind::Null => Vec::new(),
        Kind::String(text) => BASE64.decode(text.as_bytes()).map_err(|e| e.to_string())?,
        _ => return Err("a value that is no string".into()),
    };
    Ok(Entry {
        key: string(value, "Key")?,
        value: bytes,
        flags: number(value, "Flags")?,
        session: string(value, "Session").unwrap_or_default(),
        lock_index: number(value, "LockIndex")?,
        create_index: number(value, "CreateIndex")?,
        modify_index: number(value, "ModifyIndex")?,
    })
}

fn instance(value: &Value<'_>) -> Result<Instance, String> {
    let service = field(value, "Service")?;
    let check = |c: &Value<'_>| Ok((string(c, "CheckID")?, string(c, "Status")?));
    let checks = array(field(value, "Checks")?)?.iter().map(check).collect::<Result<_, String>>()?;
    Ok(Instance {
        node: string(field(value, "Node")?, "Node")?,
        service_id: string(service, "ID")?,
        port: number(service, "Port")? as u16,
        modify_index: number(service, "ModifyIndex")?,
        checks,
    })
}

fn field<'v, 'a>(value: &'v Value<'a>, name: &str) -> Result<&'v Value<'a>, String> {
    let Kind::Object(fields) = &value.kind else { return Err(format!("{name}: not an object")) };
    let found = fields.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    found.ok_or_else(|| format!("the answer lacks {name}"))
}

fn array<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Value<'a>], String> {
    match &value.kind {
        Kind::Array(items) => Ok(items),
        _ => Err("the answer is no list".into()),
    }
}

fn string(value: &Value<'_>, name: &str) -> Result<String, String> {
    match &field(value, name)?.kind {
        Kind::String(text) => Ok(text.clone().into_owned()),
        _ => Err(format!("{name} is no string")),
    }
}

fn number(value: &Value<'_>, name: &str) -> Result<u64, String> {
    match &field(value, name)?.kind {
        Kind::Number(text) => text.parse().map_err(|_| format!("{name} is {text}")),
        _ => Err(format!("{name} is no number")),
    }
}
