//! The files that the log is made of.
//!
//! A segment is zeroed and flushed before it is used, so that a later flush has data to write and nothing
//! else: no blocks to allocate, no length to change. It gets its name when it is whole. Its first bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `LICTORLG` |
//! | 8..12 | format |
//! | 16..24 | the segment's number |
//! | 24..32 | its length in bytes |
//! | 32..36 | CRC-32C of the bytes before |
//! | 64.. | frames |

use super::directory::Directory;
use super::frame::{self, Look};
use super::record;
use super::trouble::Trouble;
use bytes::Bytes;
use redb::StorageBackend;
use std::io;

/// Where the first frame begins.
pub(super) const FRAMES: u64 = 64;
/// Under this name until it is whole.
pub(super) const UNFINISHED: &str = "log-new";

const MAGIC: &[u8; 8] = b"LICTORLG";
const FORMAT: u32 = 1;
const HEAD: usize = 32;
/// Zeroed with one write. A page at a time, so that the system keeps pages and not the much larger pieces that
/// it would have to go through, and count as written, for every small frame later.
const PIECE: usize = 4096;

/// The file name of a segment.
pub(super) fn name(number: u64) -> String {
    format!("log-{number:010}")
}

/// The numbers of the segments among file names, in order.
pub(super) fn numbers(names: &[String]) -> Vec<u64> {
    let number = |file: &String| {
        let number = file.strip_prefix("log-")?.parse().ok()?;
        (name(number) == *file).then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Makes an empty segment of `size` bytes: whole under its name and flushed, or not there.
pub(super) fn make<D: Directory>(dir: &D, number: u64, size: u64) -> io::Result<D::File> {
    let fill = || {
        let file = dir.create(UNFINISHED)?;
        file.set_len(size)?;
        let mut piece = vec![0; PIECE];
        head(&mut piece, number, size);
        let mut at = 0;
        while at < size {
            let length = (size - at).min(PIECE as u64) as usize;
            file.write(at, &piece[..length])?;
            piece[..HEAD + 4].fill(0);
            at += length as u64;
        }
        file.sync_data()?;
        dir.rename(UNFINISHED, &name(number))?;
        dir.sync()?;
        Ok(file)
    };
    fill().inspect_err(|_| {
        // Its room is needed more than what is in it.
        let _ = dir.remove(UNFINISHED);
    })
}

fn head(bytes: &mut [u8], number: u64, size: u64) {
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..24].copy_from_slice(&number.to_le_bytes());
    bytes[24..32].copy_from_slice(&size.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..HEAD]);
    bytes[HEAD..HEAD + 4].copy_from_slice(&sum.to_le_bytes());
}

/// A segment that was read.
#[derive(Debug)]
pub(super) struct Read<F> {
    pub(super) number: u64,
    pub(super) file: F,
    pub(super) size: u64,
    /// The number of its first frame, or of the one that will be its first.
    pub(super) first_frame: u64,
    /// Behind its last frame.
    pub(super) end: u64,
    /// The number of the frame that comes next.
    pub(super) next_frame: u64,
    /// It ends with the mark that the log goes on in the next one.
    pub(super) closed: bool,
    /// There is something behind `end` that was never acknowledged.
    pub(super) rest: bool,
}

/// Where the frames of a segment begin to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    /// Its first frame has this number.
    From(u64),
    /// It has this number at most: nothing says which.
    AtMost(u64),
}

/// Reads a segment from its first frame to its last one, which it hands to `each` with their numbers.
pub(super) fn read<D: Directory>(
    dir: &D,
    number: u64,
    count: Count,
    mut each: impl FnMut(Bytes, u64) -> Result<(), &'static str>,
) -> Result<Read<D::File>, Trouble> {
    let path = dir.path(&name(number));
    let io = |e| Trouble::Io(path.clone(), e);
    let damage = |at: usize, what: &str| Trouble::damage(&path, format!("{what}, at byte {at}"));
    let file = dir.open(&name(number)).map_err(io)?;
    let size = file.len().map_err(io)?;
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| damage(0, "it is too long"))?];
    file.read(0, &mut bytes).map_err(io)?;
    check_head(&bytes, number).map_err(|what| damage(0, what))?;

    let mut at = FRAMES as usize;
    let first_frame = match count {
        Count::From(frame) => frame,
        Count::AtMost(most) => frame::number_near(&bytes, at, most),
    };
    let mut next_frame = first_frame;
    let closed = loop {
        match frame::look(&bytes, at, number, next_frame) {
            Look::Frame(payload, next) => {
                if record::is_turn(payload) {
                    at = next;
                    next_frame += 1;
                    break true;
                }
                each(Bytes::copy_from_slice(payload), next_frame).map_err(|what| damage(at, what))?;
                at = next;
                next_frame += 1;
            }
            Look::Damage(what) => return Err(damage(at, what)),
            Look::Nothing | Look::Torn => break false,
        }
    };
    let zeroes = [0; PIECE];
    let rest = !closed && bytes[at..].chunks(PIECE).any(|piece| piece != &zeroes[..piece.len()]);
    if rest && frame::one_follows(&bytes, at, number, next_frame) {
        return Err(damage(at, "a record is lost, but others follow it"));
    }
    Ok(Read { number, file, size, first_frame, end: at as u64, next_frame, closed, rest })
}

fn check_head(bytes: &[u8], number: u64) -> Result<(), &'static str> {
    let Some(head) = bytes.get(..HEAD + 4).filter(|_| bytes.len() >= FRAMES as usize) else {
        return Err("it is cut short");
    };
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    if head[HEAD..] != crc32c::crc32c(&head[..HEAD]).to_le_bytes() || &head[..8] != MAGIC {
        return Err("its head fails its checksum");
    }
    if head[8..12] != FORMAT.to_le_bytes() {
        return Err("it is of a format that this version does not read");
    }
    if long(16) != number {
        return Err("it has the name of another segment");
    }
    if long(24) != bytes.len() as u64 {
        return Err("it is not as long as it was made");
    }
    Ok(())
}

/// Zeroes everything behind the last frame.
pub(super) fn clear_rest<F: StorageBackend>(read: &Read<F>) -> io::Result<()> {
    let zeroes = vec![0; PIECE];
    let mut at = read.end;
    while at < read.size {
        let length = (read.size - at).min(PIECE as u64) as usize;
        read.file.write(at, &zeroes[..length])?;
        at += length as u64;
    }
    Ok(())
}
