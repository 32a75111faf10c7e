//! Answers that are given again: the packets of recent questions, as they were sent.
//!
//! Most questions are asked over and over, byte for byte. An answer that names every instance there is
//! only differs in their order the next time, so a few orders are kept and drawn from. An answer that had
//! to leave instances out is given a few times only and then drawn anew, or the same few instances would
//! get all the work: every single answer is still as likely to name one instance as another.

use super::{Outcome, Transport, answer_from};
use crate::config::RuntimeConfig;
use crate::rng::Rng;
use crate::store::Store;
use crate::time::Now;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Packets kept for each question.
const PACKETS: usize = 16;
/// How often a packet that leaves instances out is sent.
const USES: u32 = 8;
/// The most questions kept; beyond, it starts over.
const MAX_QUESTIONS: usize = 1024;
/// The most bytes of questions and packets kept; beyond, it starts over. Clients choose how a question is spelled.
const MAX_BYTES: usize = 4 << 20;
/// Longer questions are not looked up: what resolvers ask is shorter.
const MAX_QUESTION: usize = 512;
/// Longer answers are not kept.
const MAX_ANSWER: usize = 4096;

/// The answers of one responder, valid as long as catalog and configuration are the same.
#[derive(Debug, Default)]
pub struct Cache {
    of: Option<Stamp>,
    /// Whole queries without their ID, with the transport in front.
    kept: BTreeMap<Vec<u8>, Vec<Packet>>,
    /// Bytes in `kept`.
    bytes: usize,
    key: Vec<u8>,
}

/// How long an answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lasting {
    /// For this question only.
    Once,
    /// It names some of several, drawn by chance.
    Drawn,
    /// As long as store and configuration stay: another one would differ in nothing but order.
    Whole,
}

#[derive(Debug)]
struct Packet {
    /// Without the ID.
    bytes: Vec<u8>,
    /// Only [`Lasting::Drawn`] ones wear out.
    left: u32,
}

/// What answers are made from.
#[derive(Debug)]
struct Stamp {
    config: Arc<RuntimeConfig>,
    /// Of nodes, services and checks: every change of the catalog moves one of them.
    indexes: [u64; 3],
}

impl Stamp {
    fn is_of(&self, store: &Store, config: &Arc<RuntimeConfig>) -> bool {
        Arc::ptr_eq(&self.config, config) && self.indexes == indexes(store)
    }
}

fn indexes(store: &Store) -> [u64; 3] {
    [store.nodes_index(), store.services_index(), store.checks_index()]
}

impl Cache {
    /// [`super::answer_from`], from what is kept where that is as good.
    #[expect(clippy::too_many_arguments, reason = "the whole of what an answer depends on")]
    pub fn answer(
        &mut self,
        store: &Store,
        config: &Arc<RuntimeConfig>,
        now: Now,
        rng: &mut Rng,
        query: &[u8],
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Outcome {
        if !self.of.as_ref().is_some_and(|stamp| stamp.is_of(store, config)) {
            self.clear();
            self.of = Some(Stamp { config: config.clone(), indexes: indexes(store) });
        }
        let Some((id, asked)) = query.split_first_chunk::<2>() else { return Outcome::Drop };
        if query.len() > MAX_QUESTION {
            return answer_from(store, config, now, rng, query, transport, out).0;
        }
        self.key.clear();
        self.key.push(u8::from(transport == Transport::Tcp));
        self.key.extend_from_slice(asked);
        let mut worn = None;
        if let Some(packets) = self.kept.get_mut(&self.key)
            && packets.len() == PACKETS
        {
            let at = rng.below(PACKETS as u64) as usize;
            if let Some(packet) = packets.get_mut(at) {
                if packet.left > 0 {
                    packet.left -= u32::from(packet.left != u32::MAX);
                    out.clear();
                    out.extend_from_slice(id);
                    out.extend_from_slice(&packet.bytes);
                    return Outcome::Reply;
                }
                worn = Some(at);
            }
        }
        let (outcome, lasting) = answer_from(store, config, now, rng, query, transport, out);
        let left = match lasting {
            Lasting::Once => return outcome,
            Lasting::Drawn => USES - 1,
            Lasting::Whole => u32::MAX,
        };
        if outcome == Outcome::Reply && out.len() <= MAX_ANSWER {
            self.keep(worn, Packet { bytes: out.get(2..).unwrap_or(&[]).into(), left });
        }
        outcome
    }

    /// Bytes of questions and packets kept, for checkers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    fn keep(&mut self, worn: Option<usize>, packet: Packet) {
        let many = self.kept.len() >= MAX_QUESTIONS && !self.kept.contains_key(&self.key);
        if many || self.bytes + self.key.len() + packet.bytes.len() > MAX_BYTES {
            self.clear();
        }
        let packets = self.kept.entry(self.key.clone()).or_default();
        if packets.is_empty() {
            self.bytes += self.key.len();
        }
        self.bytes += packet.bytes.len();
        match worn.and_then(|at| packets.get_mut(at)) {
            Some(place) => self.bytes -= core::mem::replace(place, packet).bytes.len(),
            None => packets.push(packet),
        }
    }
}
