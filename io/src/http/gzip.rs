//! gzip for clients that accept it, as Consul does: bodies from 1400 bytes up.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::VecDeque;
use std::io::Write;

/// Smaller bodies are sent as they are.
const LEAST: usize = 1400;

/// Whether `Accept-Encoding` names gzip with a weight above zero. A weight that is no number is none.
pub(super) fn accepted(header: &str) -> bool {
    header.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let coding = words.next().unwrap_or("");
        let mut weights = words.filter_map(|word| word.strip_prefix("q="));
        coding.eq_ignore_ascii_case("gzip")
            && weights.next_back().is_none_or(|weight| weight.parse().is_ok_and(|weight: f64| weight > 0.0))
    })
}

/// The most bodies of which the compressed form is kept, and the most bytes of both together.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 4 << 20;

/// Bodies that are sent to many, with their compressed form: compressing one costs more than everything else
/// about an answer.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// The oldest first. A body that is held here stays where it is, so its place names it.
    kept: VecDeque<(Bytes, Bytes)>,
    bytes: usize,
}

impl Packed {
    /// The compressed body, if compressing is worth it.
    pub(super) fn of(&mut self, body: &Bytes) -> Option<Bytes> {
        if body.len() < LEAST {
            return None;
        }
        let same = |kept: &Bytes| kept.as_ptr() == body.as_ptr() && kept.len() == body.len();
        if let Some((_, packed)) = self.kept.iter().find(|(kept, _)| same(kept)) {
            return Some(packed.clone());
        }
        let packed = compress(body)?;
        // What nobody else holds will not come again.
        if !body.is_unique() {
            self.keep(body.clone(), packed.clone());
        }
        Some(packed)
    }

    fn keep(&mut self, body: Bytes, packed: Bytes) {
        let size = |(body, packed): &(Bytes, Bytes)| body.len() + packed.len();
        let pair = (body, packed);
        self.bytes += size(&pair);
        self.kept.push_back(pair);
        while self.kept.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
    }
}

fn compress(body: &Bytes) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn clients_say_yes_or_no() {
        assert!(accepted("gzip"));
        assert!(accepted("deflate, GZIP;q=0.5"));
        assert!(accepted("gzip;x=1") && accepted("gzip; q=1.0"));
        assert!(!accepted("gzip;q=0") && !accepted("gzip;q=0.000") && !accepted("gzip;q=x"));
        assert!(!accepted("br, deflate"));
    }

    #[test]
    fn small_bodies_stay_and_large_ones_come_back_whole() {
        let mut packed = Packed::default();
        assert!(packed.of(&Bytes::from(vec![b'a'; LEAST - 1])).is_none());
        let body = Bytes::from(vec![b'a'; 5000]);
        let gzip = packed.of(&body).unwrap();
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut out).unwrap();
        assert_eq!(out, body);
    }

    #[test]
    fn what_others_hold_is_compressed_once_and_little_is_kept() {
        let mut packed = Packed::default();
        let body = Bytes::from(vec![b'a'; 5000]);
        assert!(packed.of(&body).is_some() && packed.kept.is_empty(), "kept what nobody shares");
        let shared = body.clone();
        let first = packed.of(&body).unwrap();
        assert_eq!(packed.of(&shared).unwrap().as_ptr(), first.as_ptr(), "compressed again");
        let other = Bytes::from(vec![b'b'; 5000]);
        assert_ne!(packed.of(&other), Some(first));
        let large: Vec<_> = (0..100u8).map(|i| Bytes::from(vec![i; 300 << 10])).collect();
        for body in &large {
            packed.of(&body.clone());
        }
        assert!(packed.kept.len() > 1 && packed.bytes <= KEPT_BYTES);
    }
}
