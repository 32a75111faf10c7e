//! Questions that we ask, and their answers.

use super::super::wire::ip_bytes;
use super::super::{Effect, Gossip, scale};
use super::conflict::Sides;
use super::filter::{self, encode_filters};
use super::keys::KeyReport;
use super::message::{self, Query, QueryResponse};
use super::query::QueryOptions;
use crate::Str;
use crate::ids::CallId;
use crate::time::Instant;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use bytes::Bytes;

/// Questions of ours that may run at once.
const MAX_ASKED: usize = 1024;
/// The longest time a question may run.
pub(super) const MAX_TIMEOUT: crate::time::Duration = crate::time::Duration::from_secs(3600);

/// Who wants the answers.
#[derive(Debug)]
pub(super) enum Asker {
    /// A call, answer by answer.
    Call(CallId),
    /// A command about keys, which sums them up.
    Keys(CallId, KeyReport),
    /// This node: another has its name.
    Conflict(Sides),
}

/// One question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) asker: Asker,
    id: u32,
    pub(super) until: Instant,
    acks: BTreeSet<Str>,
    answers: BTreeSet<Str>,
}

impl Gossip {
    /// Asks. An error says why the question was not sent, and gives back who asked.
    #[allow(clippy::result_large_err)] // rare, and the caller has to tell the asker
    pub(super) fn ask(
        &mut self,
        asker: Asker,
        name: Str,
        payload: Bytes,
        options: &QueryOptions,
    ) -> Result<(), (Asker, String)> {
        let n = self.table.len();
        let usual =
            scale::query_timeout(self.config.gossip_interval, self.config.query_timeout_mult, n.max(1));
        let timeout = if options.timeout.is_zero() { usual } else { options.timeout.min(MAX_TIMEOUT) };
        let query = Query {
            addr: ip_bytes(self.config.advertise.ip()),
            filters: encode_filters(&options.nodes, &options.tags),
            flags: if options.ack { message::FLAG_ACK } else { 0 },
            // Positive as a Go `int32`, as serf draws it.
            id: self.rng.query.below(1 << 31) as u32,
            ltime: self.serf.query_clock.time(),
            name,
            payload,
            port: self.config.advertise.port(),
            relay_factor: options.relay_factor,
            source_node: self.config.name.clone(),
            timeout: timeout.as_nanos() as i64,
        };
        if filter::are_too_many(&query.filters) {
            return Err((asker, "query has too many filters".to_string()));
        }
        let encoded = message::encode(message::QUERY, &query);
        let limit = self.config.query_bytes;
        if encoded.len() > limit {
            return Err((asker, format!("query exceeds limit of {limit} bytes")));
        }
        if self.serf.asked.len() >= MAX_ASKED {
            return Err((asker, "too many queries are running".to_string()));
        }
        let asked = Asked {
            asker,
            id: query.id,
            until: self.now + timeout,
            acks: BTreeSet::new(),
            answers: BTreeSet::new(),
        };
        self.serf.asked.insert(query.ltime, asked);
        // We are asked as well; that also moves the clock on.
        self.on_query(&query);
        self.queue_query(&encoded);
        Ok(())
    }

    pub(in super::super) fn on_ask(
        &mut self,
        call: CallId,
        name: Str,
        payload: Bytes,
        options: &QueryOptions,
    ) {
        if let Err((_, reason)) = self.ask(Asker::Call(call), name, payload, options) {
            self.effects.push(Effect::QueryDone { call, refused: Some(reason) });
        }
    }

    /// An answer, or an acknowledgement. Each member counts once.
    pub(super) fn on_response(&mut self, answer: &QueryResponse) {
        let Some(asked) = self.serf.asked.get_mut(&answer.ltime).filter(|asked| asked.id == answer.id) else {
            return;
        };
        let from = answer.from.clone();
        if answer.flags & message::FLAG_ACK != 0 {
            if asked.acks.insert(from.clone())
                && let Asker::Call(call) = asked.asker
            {
                self.effects.push(Effect::QueryAck { call, from });
            }
            return;
        }
        if !asked.answers.insert(from.clone()) {
            return;
        }
        let done = match &mut asked.asker {
            Asker::Call(call) => {
                let payload = answer.payload.clone();
                self.effects.push(Effect::QueryResponse { call: *call, from, payload });
                false
            }
            Asker::Keys(_, report) => {
                report.count(from, &answer.payload);
                report.responses >= report.nodes
            }
            Asker::Conflict(sides) => {
                super::conflict::count(sides, &answer.payload);
                false
            }
        };
        if done {
            self.end_asked(answer.ltime);
        }
    }

    /// Ends the questions whose time is over.
    pub(in super::super) fn check_asked(&mut self) {
        while let Some((&ltime, _)) = self.serf.asked.iter().find(|(_, asked)| asked.until <= self.now) {
            self.end_asked(ltime);
        }
    }

    fn end_asked(&mut self, ltime: u64) {
        let Some(asked) = self.serf.asked.remove(&ltime) else { return };
        match asked.asker {
            Asker::Call(call) => self.effects.push(Effect::QueryDone { call, refused: None }),
            Asker::Keys(call, report) => self.effects.push(Effect::KeysDone { call, report }),
            Asker::Conflict(sides) => self.on_conflict_counted(&sides),
        }
    }
}
