//! `KVS`: keys.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::result::{bytes, indexed, no_entry};
use super::{Failure, Read, Step, decode, missing, refuse_other_datacenter, unexpected};
use crate::Str;
use crate::call;
use crate::command::{Command, KvCommand};
use crate::store::Applied;
use crate::types::{KvEntry, KvOp};
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use serde::Deserialize;

/// `KVS.Get`: a list of one.
pub(super) static GET: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let index = store.kv_key_index(&args.read.key);
        Ok(match store.kv(&args.read.key) {
            Some(entry) => indexed(cx, index, "Entries", || [entry]),
            None => no_entry(cx, index, "Entries"),
        })
    },
    watch: |args| vec![WatchKey::Kv(Str::from(&*args.read.key))],
    filter: None,
};

/// `KVS.List`: everything under a prefix, which comes as `Key`.
pub(super) static LIST: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let index = store.kv_prefix_index(&args.read.key);
        let mut entries = store.kv_prefix(&args.read.key).peekable();
        Ok(match entries.peek() {
            Some(_) => indexed(cx, index, "Entries", || entries.collect::<Vec<_>>()),
            None => no_entry(cx, index, "Entries"),
        })
    },
    watch: |args| vec![WatchKey::KvPrefix(Str::from(&*args.read.key))],
    filter: None,
};

/// `KVS.ListKeys`.
pub(super) static LIST_KEYS: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let index = store.kv_prefix_index(&args.read.prefix);
        Ok(match store.kv_prefix(&args.read.prefix).next() {
            Some(_) => indexed(cx, index, "Keys", || store.kv_keys(&args.read.prefix, &args.read.seperator)),
            None => no_entry(cx, index, "Keys"),
        })
    },
    watch: |args| vec![WatchKey::KvPrefix(Str::from(&*args.read.prefix))],
    filter: None,
};

/// What a key operation is given.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Arguments {
    datacenter: String,
    op: String,
    dir_ent: KvEntry,
}

/// `KVS.Apply`: whether a conditional write took place; `false` for the others, as Consul answers.
pub(super) fn apply(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let Arguments { datacenter, op, dir_ent } = decode(arguments)?;
    refuse_other_datacenter(&datacenter, &cx.view.config.datacenter)?;
    let Some(op) = KvOp::named(&op).filter(|op| op.writes()) else {
        return Err(HttpError::Failed(alloc::format!("Invalid KVS operation '{op}'")).into());
    };
    if dir_ent.key.is_empty() && op != KvOp::DeleteTree {
        return Err(missing("Must provide key").into());
    }
    let command = Command::Kv(KvCommand { op, dir_ent });
    Ok(Step::Call(Box::new(call::Request::Write(command)), |reply| match reply {
        call::Reply::Applied { result: Applied::Ok, .. } => Ok(bytes(&false)),
        call::Reply::Applied { result: Applied::Bool(done), .. } => Ok(bytes(&done)),
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    }))
}
