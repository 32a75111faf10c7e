//! One group of batches in the log: a frame, written whole by one write and flushed by one flush.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | length of the payload, little-endian, never 0 |
//! | 4..8 | CRC-32C of the payload |
//! | 8..12 | the lower half of the frame's number; frames are numbered without gaps |
//! | 12..16 | CRC-32C of the bytes before, begun with the segment's number |
//! | 16.. | the payload; its last byte is [`END`] |
//!
//! Frames begin at multiples of 16 bytes, so a head never lies across two sectors. The segment is zeroed
//! before it is used, and a frame is flushed before the next one is written. So after a crash only the
//! last frame can be incomplete, and what it lacks are whole sectors that still read as zeroes: that is
//! a torn frame, and was never acknowledged. A frame whose checksum fails though none of its sectors is
//! missing was damaged later.

/// Bytes before the payload.
pub(super) const HEAD: usize = 16;
/// Where frames begin.
pub(super) const ALIGN: usize = 16;
/// The payload's last byte, so that a frame's last sector never reads as zeroes.
pub(super) const END: u8 = 0xff;
/// What a disk writes whole at least.
const SECTOR: usize = 512;

/// Makes a frame of a buffer that begins with [`HEAD`] bytes of room, followed by the payload.
pub(super) fn finish(frame: &mut Vec<u8>, segment: u64, number: u64) {
    frame.push(END);
    let length = u32::try_from(frame.len() - HEAD).expect("the disk task bounds what it gathers");
    let sum = crc32c::crc32c(&frame[HEAD..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
    frame[8..12].copy_from_slice(&(number as u32).to_le_bytes());
    let sum = head_sum(&frame[..12], segment);
    frame[12..HEAD].copy_from_slice(&sum.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(ALIGN), 0);
}

/// Bytes that a frame with this many bytes of payload takes, its end byte not counted.
pub(super) fn length(payload: usize) -> u64 {
    (HEAD + payload + 1).next_multiple_of(ALIGN) as u64
}

fn head_sum(head: &[u8], segment: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), head)
}

/// What lies at a place where a frame may begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<'a> {
    /// A frame: its payload without the end byte, and where the next one begins.
    Frame(&'a [u8], usize),
    /// Zeroes, or the end of the segment.
    Nothing,
    /// A frame of which some sectors were never written.
    Torn,
    /// Something else, in words.
    Damage(&'static str),
}

/// Looks at byte `at` of a segment for frame `number`.
pub(super) fn look(bytes: &[u8], at: usize, segment: u64, number: u64) -> Look<'_> {
    let Some(head) = bytes.get(at..at + HEAD) else { return Look::Nothing };
    if head.iter().all(|b| *b == 0) {
        return Look::Nothing;
    }
    if word(head, 12) != head_sum(&head[..12], segment) {
        return Look::Damage("the head of a record fails its checksum");
    }
    if word(head, 8) != number as u32 {
        return Look::Damage("a record is out of order");
    }
    let Some(payload) = payload(bytes, at) else { return Look::Damage("a record reaches beyond the file") };
    let next = (at + HEAD + payload.len()).next_multiple_of(ALIGN);
    if word(head, 4) == crc32c::crc32c(payload) {
        match payload.split_last() {
            Some((&END, payload)) => Look::Frame(payload, next),
            _ => Look::Damage("a record has no end"),
        }
    } else if misses_a_sector(bytes, at, at + HEAD + payload.len()) {
        Look::Torn
    } else {
        Look::Damage("a record fails its checksum")
    }
}

/// The number of the frame at byte `at`, of which the lower half is written: the greatest up to `most`
/// that fits. Where there is no frame, `most`.
pub(super) fn number_near(bytes: &[u8], at: usize, most: u64) -> u64 {
    match bytes.get(at..at + HEAD) {
        Some(head) if word(head, 0) != 0 => {
            most.saturating_sub(u64::from((most as u32).wrapping_sub(word(head, 8))))
        }
        _ => most,
    }
}

/// Whether a whole frame of a number after `number` begins at or after byte `from`: then whatever lies
/// before it had been flushed.
pub(super) fn one_follows(bytes: &[u8], from: usize, segment: u64, number: u64) -> bool {
    (from..bytes.len().saturating_sub(HEAD)).step_by(ALIGN).any(|at| {
        let head = &bytes[at..at + HEAD];
        let ahead = word(head, 8).wrapping_sub(number as u32);
        word(head, 0) != 0
            && ahead < u32::MAX / 2
            && word(head, 12) == head_sum(&head[..12], segment)
            && payload(bytes, at).is_some_and(|payload| word(head, 4) == crc32c::crc32c(payload))
    })
}

fn payload(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = word(&bytes[at..], 0) as usize;
    bytes.get(at + HEAD..)?.get(..length)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Whether what some sector holds of `from..to` is all zeroes.
fn misses_a_sector(bytes: &[u8], from: usize, to: usize) -> bool {
    (from / SECTOR..to.div_ceil(SECTOR)).any(|sector| {
        let part = (sector * SECTOR).max(from)..((sector + 1) * SECTOR).min(to);
        bytes[part].iter().all(|b| *b == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(payload: &[u8], number: u64) -> Vec<u8> {
        let mut frame = vec![0; HEAD];
        frame.extend_from_slice(payload);
        finish(&mut frame, 7, number);
        frame
    }

    /// A segment with the frame behind `before` bytes of older ones.
    fn segment(before: usize, frame: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xaa; before];
        bytes.extend_from_slice(frame);
        bytes.resize(bytes.len() + 2048, 0);
        bytes
    }

    proptest! {
        #[test]
        fn a_frame_is_read_back_and_a_torn_one_is_told_from_a_damaged_one(
            payload in proptest::collection::vec(1u8..=255, 1..3000),
            before in (0..100usize).prop_map(|n| n * ALIGN),
            lost in any::<u16>(),
            flip in any::<(usize, u8)>(),
        ) {
            let frame = frame(&payload, 3);
            prop_assert_eq!(frame.len() as u64, length(payload.len()));
            let whole = segment(before, &frame);
            prop_assert_eq!(look(&whole, before, 7, 3), Look::Frame(&payload, before + frame.len()));
            prop_assert!(one_follows(&whole, before, 7, 2) && !one_follows(&whole, before + ALIGN, 7, 2));
            prop_assert!(matches!(look(&whole, before, 8, 3), Look::Damage(_)), "of another segment");
            prop_assert!(matches!(look(&whole, before, 7, 4), Look::Damage(_)), "of another number");

            let end = before + HEAD + payload.len() + 1;
            let sectors: Vec<usize> = (before / SECTOR..end.div_ceil(SECTOR)).collect();
            let mut torn = whole.clone();
            let mut any = false;
            for (i, sector) in sectors.iter().enumerate() {
                if lost & (1 << i) != 0 {
                    torn[(sector * SECTOR).max(before)..((sector + 1) * SECTOR).min(end)].fill(0);
                    any = true;
                }
            }
            if any {
                let expected = if lost & 1 != 0 { Look::Nothing } else { Look::Torn };
                prop_assert_eq!(look(&torn, before, 7, 3), expected);
                prop_assert!(!one_follows(&torn, before, 7, 3));
            }

            let mut flipped = whole.clone();
            flipped[before + flip.0 % (end - before)] ^= 1 << (flip.1 & 7);
            // Frames without zeroes: a flip can make at most one.
            prop_assert!(matches!(look(&flipped, before, 7, 3), Look::Damage(_)));
        }
    }
}
