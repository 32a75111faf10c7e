//! Commands about gossip's keys: to the members of both pools, and to the servers of the other datacenters, which
//! pass them on to their members.

use super::Node;
use super::calls::Caller;
use super::remote::Waiting;
use crate::Str;
use crate::call::{CallError, Reply};
use crate::gossip::{Input, KeyCommand, KeyReport};
use crate::ids::{CallId, Pool};
use crate::router::{Ask, Failure, Kind, To};
use crate::rpc::operator::{KeyringAnswer, KeyringAnswers, KeyringArguments};
use crate::time::Now;
use crate::wire::msgpack;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

/// Commands about keys at once.
const MAX_ASKED: usize = 16;

/// A command that not everybody has answered.
#[derive(Debug)]
pub(super) struct KeysAsked {
    from: Caller,
    waits: BTreeSet<CallId>,
    said: Vec<KeyringAnswer>,
}

impl Node {
    /// Asks the members of every pool that this node is in, and other datacenters unless it is a `local` matter. A
    /// client has a server do all of it.
    pub(super) fn keys(
        &mut self,
        now: Now,
        from: Caller,
        command: &KeyCommand,
        relay_factor: u8,
        local: bool,
    ) {
        if self.keys_asked.len() >= MAX_ASKED {
            return self.answer(from, Reply::Failed(CallError::Busy));
        }
        let own = self.config.datacenter.clone();
        let (operation, key) = named(command);
        let arguments = |datacenter: &Str, forwarded| KeyringArguments {
            operation: Str::from(operation),
            key: key.clone(),
            datacenter: datacenter.clone(),
            forwarded,
            relay_factor,
            local_only: local && !forwarded,
        };
        let mut elsewhere: Vec<(Str, KeyringArguments)> = Vec::new();
        let mut pools: Vec<Pool> = Vec::new();
        if !self.config.server {
            elsewhere.push((own.clone(), arguments(&own, false)));
        } else {
            let all = if local { &[Pool::Lan][..] } else { &[Pool::Wan, Pool::Lan] };
            pools.extend(all.iter().copied().filter(|pool| self.pools.get(*pool).is_some()));
            if !local {
                let others = self.router.datacenters();
                elsewhere.extend(others.map(|name| (name.clone(), arguments(name, true))));
            }
        }
        if pools.is_empty() && elsewhere.is_empty() {
            let why = CallError::Refused("gossip is off on this agent".into());
            return self.answer(from, Reply::Failed(why));
        }
        let pools: Vec<(CallId, Pool)> =
            pools.into_iter().map(|pool| (self.calls.for_raft(Caller::Duty), pool)).collect();
        let calls: Vec<(CallId, Ask)> = elsewhere
            .into_iter()
            .map(|(datacenter, arguments)| {
                let body = msgpack::to_vec(&arguments).into();
                let kind = if *command == KeyCommand::List { Kind::Read } else { Kind::Write };
                let to = To::Datacenter(datacenter);
                (
                    self.calls.for_raft(Caller::Duty),
                    Ask { to, method: "Internal.KeyringOperation", body, kind },
                )
            })
            .collect();
        let waits = pools.iter().map(|(call, _)| *call).chain(calls.iter().map(|(call, _)| *call));
        self.keys_asked.push(KeysAsked { from, waits: waits.collect(), said: Vec::new() });
        for (call, pool) in pools {
            self.pools.handle(now.mono, pool, Input::Keys { call, command: command.clone(), relay_factor });
        }
        for (call, ask) in calls {
            self.make_call(now, Waiting::Keys(call), ask);
        }
    }

    /// The members of a pool have said what they had to say.
    pub(super) fn keys_done(&mut self, pool: Pool, call: CallId, report: &KeyReport) {
        let mut report = report.clone();
        if pool == Pool::Wan {
            // Who is to be in the pool and is not cannot have the keys: it counts as one that did not answer.
            report.nodes += self.missing_in_wan().len();
        }
        let said = answer(pool, &self.config.datacenter, &report);
        self.keys_said(call, Vec::from([said]));
    }

    /// A server has said what the members of its datacenter had to say, or has not.
    pub(super) fn keys_there(&mut self, call: CallId, result: Result<Bytes, Failure>) {
        let said = result.map_err(CallError::from).and_then(|body| {
            let unreadable =
                |why| format!("rpc error making call: the server's answer cannot be read: {why}");
            msgpack::from_slice::<KeyringAnswers>(&body).map_err(|why| CallError::Remote(unreadable(why)))
        });
        match said {
            Ok(answers) => self.keys_said(call, answers.responses),
            Err(why) => {
                self.calls.take(call);
                if let Some(at) = self.keys_asked.iter().position(|asked| asked.waits.contains(&call)) {
                    let asked = self.keys_asked.remove(at);
                    self.answer(asked.from, Reply::Failed(why));
                }
            }
        }
    }

    fn keys_said(&mut self, call: CallId, mut said: Vec<KeyringAnswer>) {
        self.calls.take(call);
        let Some(at) = self.keys_asked.iter().position(|asked| asked.waits.contains(&call)) else {
            return;
        };
        let Some(asked) = self.keys_asked.get_mut(at) else { return };
        asked.waits.remove(&call);
        asked.said.append(&mut said);
        if asked.waits.is_empty() {
            let mut asked = self.keys_asked.remove(at);
            let own = &self.config.datacenter;
            asked.said.sort_by_key(|said| (!said.wan, said.datacenter != *own, said.datacenter.clone()));
            self.answer(asked.from, Reply::Keys(asked.said));
        }
    }
}

/// How Consul names a command, and its key in base64.
fn named(command: &KeyCommand) -> (&'static str, Str) {
    let text = |key: &Bytes| Str::from(BASE64_STANDARD.encode(key));
    match command {
        KeyCommand::List => ("list", Str::default()),
        KeyCommand::Install(key) => ("install", text(key)),
        KeyCommand::Use(key) => ("use", text(key)),
        KeyCommand::Remove(key) => ("remove", text(key)),
    }
}

/// A report in Consul's form; what went wrong in its words.
fn answer(pool: Pool, datacenter: &Str, report: &KeyReport) -> KeyringAnswer {
    let nodes = report.nodes;
    let error = match (report.errors, report.responses) {
        (0, answered) if answered == nodes => String::new(),
        (0, answered) => format!("{answered}/{nodes} nodes reported success"),
        (failed, _) => format!("{failed}/{nodes} nodes reported failure"),
    };
    let counted = |keys: &alloc::collections::BTreeMap<String, usize>| {
        keys.iter().map(|(key, n)| (key.clone(), *n as i64)).collect()
    };
    KeyringAnswer {
        wan: pool == Pool::Wan,
        datacenter: datacenter.clone(),
        segment: Str::default(),
        messages: report.messages.iter().map(|(node, text)| (String::from(&**node), text.clone())).collect(),
        keys: counted(&report.keys),
        primary_keys: counted(&report.primary_keys),
        num_nodes: nodes as i64,
        error,
    }
}
