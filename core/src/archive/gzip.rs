//! One gzip member (RFC 1952), unpacked piece by piece and packed as a whole. Error texts are Go's.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Bytes unpacked or packed at a time.
const PIECE: usize = 64 << 10;
/// How hard is packed: Go's default.
const LEVEL: i32 = 6;
/// The least that a header has.
pub(super) const HEADER: usize = 10;
/// CRC and length, behind the packed data.
const TRAILER: usize = 8;

const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const HEADER_CRC: u8 = 1 << 1;

/// Why something was not unpacked to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is damaged or breaks off.
    Stream(&'static str),
    /// Whoever took the pieces refused one.
    Sink(String),
}

/// What is behind the header.
pub(super) fn body(bytes: &[u8]) -> Result<&[u8], &'static str> {
    if bytes.is_empty() {
        return Err("EOF");
    }
    let (head, rest) = bytes.split_first_chunk::<HEADER>().ok_or("unexpected EOF")?;
    let [0x1f, 0x8b, 8, flags, ..] = *head else { return Err("gzip: invalid header") };
    let mut rest = rest;
    if flags & EXTRA != 0 {
        let (len, after) = rest.split_first_chunk::<2>().ok_or("unexpected EOF")?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..).ok_or("unexpected EOF")?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or("unexpected EOF")?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HEADER_CRC != 0 {
        let (crc, after) = rest.split_first_chunk::<2>().ok_or("unexpected EOF")?;
        let head = &bytes[..bytes.len() - rest.len()];
        if crc32fast::hash(head) as u16 != u16::from_le_bytes(*crc) {
            return Err("gzip: invalid header");
        }
        rest = after;
    }
    Ok(rest)
}

/// Hands what `packed` unfolds to, to `sink`; says how many bytes are behind the member.
pub(super) fn unpack(
    packed: &[u8],
    mut sink: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<usize, Failure> {
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let (mut crc, mut len) = (crc32fast::Hasher::new(), 0_u32);
    let mut piece = vec![0; PIECE];
    let mut rest = packed;
    loop {
        let step = inflate(&mut state, rest, &mut piece, MZFlush::None);
        rest = &rest[step.bytes_consumed..];
        let made = &piece[..step.bytes_written];
        crc.update(made);
        len = len.wrapping_add(made.len() as u32);
        if !made.is_empty() {
            sink(made).map_err(Failure::Sink)?;
        }
        match step.status {
            Ok(MZStatus::StreamEnd) => break,
            Ok(_) if step.bytes_consumed > 0 || step.bytes_written > 0 => {}
            Ok(_) | Err(MZError::Buf) if rest.is_empty() => return Err(Failure::Stream("unexpected EOF")),
            Ok(_) | Err(_) => return Err(Failure::Stream("flate: corrupt input")),
        }
    }
    let (trailer, behind) = rest.split_first_chunk::<TRAILER>().ok_or(Failure::Stream("unexpected EOF"))?;
    let mut said = [0; TRAILER];
    said[..4].copy_from_slice(&crc.finalize().to_le_bytes());
    said[4..].copy_from_slice(&len.to_le_bytes());
    if said != *trailer {
        return Err(Failure::Stream("gzip: invalid checksum"));
    }
    Ok(behind.len())
}

/// Packs what is put into it.
pub(super) struct Writer {
    packer: Box<CompressorOxide>,
    crc: crc32fast::Hasher,
    len: u32,
    out: Vec<u8>,
}

impl Writer {
    /// `about`: how much may come of it.
    pub(super) fn new(about: usize) -> Writer {
        let mut out = Vec::with_capacity(about + PIECE);
        // Deflate, no flags, no time, no hint, an unknown system: what Go writes.
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        // Without zlib's own header, as the negative window says.
        let flags = create_comp_flags_from_zip_params(LEVEL, -15, 0);
        Writer { packer: Box::new(CompressorOxide::new(flags)), crc: crc32fast::Hasher::new(), len: 0, out }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.len = self.len.wrapping_add(bytes.len() as u32);
        self.pack(bytes, MZFlush::None);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.pack(&[], MZFlush::Finish);
        self.out.extend_from_slice(&self.crc.finalize().to_le_bytes());
        self.out.extend_from_slice(&self.len.to_le_bytes());
        self.out
    }

    fn pack(&mut self, mut bytes: &[u8], flush: MZFlush) {
        loop {
            let at = self.out.len();
            self.out.resize(at + PIECE, 0);
            let step = deflate(&mut self.packer, bytes, &mut self.out[at..], flush);
            self.out.truncate(at + step.bytes_written);
            bytes = &bytes[step.bytes_consumed..];
            let over = match flush {
                MZFlush::Finish => step.status == Ok(MZStatus::StreamEnd),
                _ => bytes.is_empty() && step.bytes_written < PIECE,
            };
            if over {
                return;
            }
            invariant!(step.bytes_consumed > 0 || step.bytes_written > 0, "packing goes on to its end");
        }
    }
}
