//! The last bytes of an output that may be endless.

/// Keeps the last `max` bytes written and counts all of them.
#[derive(Debug)]
pub(super) struct Tail {
    max: usize,
    bytes: Vec<u8>,
    total: u64,
}

impl Tail {
    pub(super) fn new(max: usize) -> Tail {
        Tail { max: max.max(1), bytes: Vec::new(), total: 0 }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.total += chunk.len() as u64;
        self.bytes.extend_from_slice(&chunk[chunk.len().saturating_sub(self.max)..]);
        // Cut in large steps, so that a long output is copied a few times only.
        if self.bytes.len() > 2 * self.max {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let excess = self.bytes.len().saturating_sub(self.max);
        self.bytes.drain(..excess);
    }

    /// Whether something was lost.
    fn overflowed(&self) -> bool {
        self.total > self.max as u64
    }

    /// What is kept, and how much of how much that is when something was lost.
    pub(super) fn captured(self) -> String {
        let (total, overflowed) = (self.total, self.overflowed());
        let text = self.text();
        match overflowed {
            true => format!("Captured {} of {total} bytes\n...\n{text}", text.len()),
            false => text,
        }
    }

    /// What is kept, as text.
    pub(super) fn text(mut self) -> String {
        self.cut();
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_stay_however_they_arrive() {
        for step in [1, 3, 7, 100] {
            let all: Vec<u8> = (b'a'..=b'z').cycle().take(90).collect();
            let mut tail = Tail::new(10);
            for chunk in all.chunks(step) {
                tail.push(chunk);
            }
            let kept = String::from_utf8(all[80..].to_vec()).unwrap();
            assert_eq!(tail.captured(), format!("Captured 10 of 90 bytes\n...\n{kept}"));
        }
    }
}
