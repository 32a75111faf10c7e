//! The keyring of the whole pool: commands are questions, and every member must answer.
//!
//! A rotation installs the new key everywhere, then uses it everywhere, then removes the old one. At
//! each step all members can still read each other.

use super::super::wire::{Key, Keyring};
use super::super::{Effect, Gossip, Status};
use super::asked::Asker;
use super::message::{self, KeyRequest, KeyResponse};
use super::query::{INTERNAL, Incoming, QueryOptions};
use crate::Str;
use crate::ids::CallId;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

const INSTALL: &str = "install-key";
const USE: &str = "use-key";
const REMOVE: &str = "remove-key";
const LIST: &str = "list-keys";

/// Changes of the keyring that may wait to be kept; more are refused.
const MAX_UNKEPT: usize = 64;

/// What to do with the keys of all members.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyCommand {
    /// Let all read messages of this key: its bytes.
    Install(Bytes),
    /// Let all seal with this key.
    Use(Bytes),
    /// Let all forget this key.
    Remove(Bytes),
    /// Say which keys there are.
    List,
}

impl core::fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.parts().0)
    }
}

impl KeyCommand {
    fn parts(&self) -> (&'static str, Bytes) {
        match self {
            KeyCommand::Install(key) => (INSTALL, key.clone()),
            KeyCommand::Use(key) => (USE, key.clone()),
            KeyCommand::Remove(key) => (REMOVE, key.clone()),
            KeyCommand::List => (LIST, Bytes::new()),
        }
    }
}

/// What the members said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyReport {
    /// How many members there are, but for those that left.
    pub nodes: usize,
    /// How many answered. Fewer than `nodes`: the command is to be repeated.
    pub responses: usize,
    /// How many could not do it.
    pub errors: usize,
    /// What members had to say, by their name.
    pub messages: BTreeMap<Str, String>,
    /// How many members have each key, in base64.
    pub keys: BTreeMap<String, usize>,
    /// How many members seal with each key, in base64.
    pub primary_keys: BTreeMap<String, usize>,
}

impl KeyReport {
    /// Takes in one member's answer.
    pub(super) fn count(&mut self, from: Str, payload: &[u8]) {
        self.responses += 1;
        let answer: Option<KeyResponse> = match payload.split_first() {
            Some((&message::KEY_RESPONSE, body)) => message::decode(body).ok(),
            _ => None,
        };
        let Some(answer) = answer else {
            self.errors += 1;
            self.messages.insert(from, "Invalid key query response".to_string());
            return;
        };
        if !answer.result {
            self.errors += 1;
        }
        if !answer.result || !answer.message.is_empty() {
            self.messages.insert(from, answer.message);
        }
        for key in answer.keys {
            *self.keys.entry(key).or_default() += 1;
        }
        *self.primary_keys.entry(answer.primary_key).or_default() += 1;
    }
}

/// Whether a question of serf's is about keys.
pub(super) fn is_command(name: &str) -> bool {
    [INSTALL, USE, REMOVE, LIST].contains(&name)
}

impl Gossip {
    /// Has all members do it.
    pub(in super::super) fn command_keys(&mut self, call: CallId, command: &KeyCommand, relay_factor: u8) {
        let (name, key) = command.parts();
        let payload = message::encode(message::KEY_REQUEST, &KeyRequest { key });
        // Who has left will not come back without the key: it joins as a new node does.
        let asked = self.serf.members.values().filter(|known| known.member.status != Status::Left);
        let report = KeyReport { nodes: asked.count(), ..KeyReport::default() };
        let name: Str = format!("{INTERNAL}{name}").as_str().into();
        let options = QueryOptions { relay_factor, ..QueryOptions::default() };
        let asker = Asker::Keys(call, report);
        if let Err((Asker::Keys(call, mut report), reason)) =
            self.ask(asker, name, Bytes::from(payload), &options)
        {
            report.errors = report.nodes;
            report.messages.insert(self.config.name.clone(), reason);
            self.effects.push(Effect::KeysDone { call, report });
        }
    }

    /// Does it here, and says how it went; if keys changed, once they are kept.
    pub(super) fn answer_key_command(&mut self, incoming: &Incoming, command: &str, payload: &[u8]) {
        let before = self.envelope.keyring.clone();
        let answer = if command == LIST { self.list_keys() } else { self.change_keys(command, payload) };
        let kept = self.envelope.keyring == before;
        if !kept {
            let keys = self.envelope.keyring.keys().to_vec();
            self.effects.push(Effect::PersistKeys { keys });
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(message) => KeyResponse { message, ..KeyResponse::default() },
        };
        let answer = self.cut_to_fit(incoming, answer);
        let payload = Bytes::from(message::encode(message::KEY_RESPONSE, &answer));
        match kept {
            true => self.send_answer(incoming, 0, payload),
            false => self.serf.unkept.push_back((incoming.clone(), payload)),
        }
    }

    /// The keys of the oldest [`Effect::PersistKeys`] are kept: who asked for the change may count on it now.
    pub(in super::super) fn on_keys_kept(&mut self) {
        if let Some((incoming, payload)) = self.serf.unkept.pop_front() {
            self.send_answer(&incoming, 0, payload);
        }
    }

    fn list_keys(&self) -> Result<KeyResponse, String> {
        let keys: Vec<String> =
            self.envelope.keyring.keys().iter().map(|key| BASE64_STANDARD.encode(key.bytes())).collect();
        let primary_key =
            keys.first().cloned().ok_or("Keyring is empty (encryption not enabled)".to_string())?;
        Ok(KeyResponse { keys, primary_key, result: true, message: String::new() })
    }

    fn change_keys(&mut self, command: &str, payload: &[u8]) -> Result<KeyResponse, String> {
        let request: KeyRequest = match payload.split_first() {
            Some((&message::KEY_REQUEST, body)) => message::decode(body).map_err(|e| e.to_string())?,
            _ => return Err("the request holds no key".to_string()),
        };
        if self.serf.unkept.len() >= MAX_UNKEPT {
            return Err("too many changes of the keyring wait for the disk".to_string());
        }
        if self.envelope.keyring.is_empty() {
            return Err("No keyring to modify (encryption not enabled)".to_string());
        }
        let ring = &mut self.envelope.keyring;
        match command {
            INSTALL => Key::new(&request.key).and_then(|key| ring.install(key)),
            USE => ring.use_key(&request.key),
            _ => ring.remove(&request.key),
        }
        .map_err(|error| error.to_string())?;
        if mutant!(self, UseForgetsKeys) && command == USE {
            *ring = Keyring::new(ring.keys().first().cloned()).map_err(|error| error.to_string())?;
        }
        Ok(KeyResponse { result: true, ..KeyResponse::default() })
    }

    /// Leaves out keys until the answer fits into a packet.
    fn cut_to_fit(&self, incoming: &Incoming, mut answer: KeyResponse) -> KeyResponse {
        let all = answer.keys.len();
        loop {
            let payload = Bytes::from(message::encode(message::KEY_RESPONSE, &answer));
            if answer.keys.is_empty() || self.fits(incoming, &payload) {
                return answer;
            }
            answer.keys.pop();
            let shown = answer.keys.len();
            answer.message = format!("truncated key list response, showing first {shown} of {all} keys");
        }
    }
}
