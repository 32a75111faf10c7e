//! What a machine has done since it began, for metrics: memberlist's and serf's numbers.

use super::effect::Effect;

/// Sums since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of datagrams that came.
    pub packet_bytes_in: u64,
    /// Bytes of datagrams that were sent.
    pub packet_bytes_out: u64,
    /// Connections that others made.
    pub streams_in: u64,
    /// Connections that were made to others.
    pub streams_out: u64,
    /// Bytes that were written to connections.
    pub stream_bytes_out: u64,
    /// Members that were heard to be there, news only.
    pub alive: u64,
    /// Members that came under suspicion.
    pub suspect: u64,
    /// Members that were heard to be gone.
    pub dead: u64,
    /// Probes that were made more slowly because this node is not well.
    pub degraded_probes: u64,
    /// User events that were heard.
    pub events: u64,
    /// Questions that were heard.
    pub queries: u64,
    /// What was not taken, of all kinds.
    pub refused: u64,
}

impl Counts {
    /// What came to it after an earlier look.
    pub fn since(&self, earlier: &Counts) -> Counts {
        Counts {
            packet_bytes_in: self.packet_bytes_in - earlier.packet_bytes_in,
            packet_bytes_out: self.packet_bytes_out - earlier.packet_bytes_out,
            streams_in: self.streams_in - earlier.streams_in,
            streams_out: self.streams_out - earlier.streams_out,
            stream_bytes_out: self.stream_bytes_out - earlier.stream_bytes_out,
            alive: self.alive - earlier.alive,
            suspect: self.suspect - earlier.suspect,
            dead: self.dead - earlier.dead,
            degraded_probes: self.degraded_probes - earlier.degraded_probes,
            events: self.events - earlier.events,
            queries: self.queries - earlier.queries,
            refused: self.refused - earlier.refused,
        }
    }

    /// Counts what one step ordered.
    pub(super) fn ordered(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Packet { bytes, .. } => self.packet_bytes_out += bytes.len() as u64,
                Effect::Open { .. } => self.streams_out += 1,
                Effect::Write { bytes, .. } => self.stream_bytes_out += bytes.len() as u64,
                Effect::UserEvent { .. } => self.events += 1,
                Effect::Query { .. } => self.queries += 1,
                _ => {}
            }
        }
    }
}
