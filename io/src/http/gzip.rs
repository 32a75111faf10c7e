//! gzip for clients that accept it, as Consul does: bodies from 1400 bytes up (surface.md R17).

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Smaller bodies are sent as they are.
const LEAST: usize = 1400;

/// Whether `Accept-Encoding` names gzip with a weight above zero.
pub(super) fn accepted(header: &str) -> bool {
    header.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let coding = words.next().unwrap_or("");
        let refused =
            words.any(|w| matches!(w.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        coding.eq_ignore_ascii_case("gzip") && !refused
    })
}

/// The compressed body, if compressing is worth it.
pub(super) fn compress(body: &Bytes) -> Option<Bytes> {
    if body.len() < LEAST {
        return None;
    }
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
        assert!(!accepted("gzip;q=0"));
        assert!(!accepted("br, deflate"));
    }

    #[test]
    fn small_bodies_stay_and_large_ones_come_back_whole() {
        assert!(compress(&Bytes::from(vec![b'a'; LEAST - 1])).is_none());
        let body = Bytes::from(vec![b'a'; 5000]);
        let packed = compress(&body).unwrap();
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
        assert_eq!(out, body);
    }
}
