//! What a query asks for, as metrics name it.

/// The question of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its type; `OTHER` for those that are never answered with records.
    pub kind: &'static str,
    /// The name lies under `arpa`.
    pub reverse: bool,
}

/// The first question of a packet; `None` when it has none that can be read.
pub fn asked(query: &[u8]) -> Option<Asked> {
    let mut at = 12;
    let mut last: &[u8] = &[];
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        // A question has no compressed name; anything else is no label.
        if length > 63 {
            return None;
        }
        last = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
    }
    let kind = match query.get(at + 1..at + 3)? {
        [0, 1] => "A",
        [0, 2] => "NS",
        [0, 5] => "CNAME",
        [0, 6] => "SOA",
        [0, 12] => "PTR",
        [0, 16] => "TXT",
        [0, 28] => "AAAA",
        [0, 33] => "SRV",
        [0, 255] => "ANY",
        _ => "OTHER",
    };
    Some(Asked { kind, reverse: last.eq_ignore_ascii_case(b"arpa") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn packet(labels: &[&str], kind: u16) -> Vec<u8> {
        let mut out = alloc::vec![0; 12];
        for label in labels {
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out
    }

    #[test]
    fn the_type_and_the_tree_are_seen_and_garbage_is_nothing() {
        let web = packet(&["web", "service", "consul"], 33);
        assert_eq!(asked(&web), Some(Asked { kind: "SRV", reverse: false }));
        let reverse = packet(&["1", "in-addr", "ARPA"], 12);
        assert_eq!(asked(&reverse), Some(Asked { kind: "PTR", reverse: true }));
        assert_eq!(asked(&packet(&[], 999)), Some(Asked { kind: "OTHER", reverse: false }));
        for cut in 0..web.len() - 2 {
            assert_eq!(asked(&web[..cut]), None, "{cut}");
        }
        assert_eq!(asked(&[0xff; 40]), None);
    }
}
