//! The snapshot archive that operators keep: what `GET /v1/snapshot` gives and `PUT` takes.
//!
//! One gzip stream around a tar file of three members: `meta.json` (where in raft's log the snapshot stands),
//! `state.bin` (the store, [`crate::store::Store::encode_snapshot`]) and `SHA256SUMS` (both of their hashes). Form and
//! error texts are those of Consul 1.21.
//!
//! Whatever is read has limits: nothing is kept but the three members, each up to a size of its own, and what the gzip
//! stream unfolds to is looked at piece by piece, so that neither a lying size nor a bomb takes more than that.

mod gzip;
mod meta;
mod records;
mod sums;
mod tar;
#[cfg(test)]
mod tests;

pub use meta::{Configuration, Meta, Server};
pub use records::{Record, name, records};

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use tar::Member;

/// The largest `state.bin` that is read or written.
pub const MAX_STATE: usize = 1 << 30;
/// The largest archive that is read.
pub const MAX_ARCHIVE: usize = 128 << 20;

/// An archive that was read whole: its members are what its sums say.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    /// `meta.json`.
    pub meta: Meta,
    /// `state.bin`, not looked at.
    pub state: Vec<u8>,
}

/// Why bytes are not an archive: Consul's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

/// Reads an archive and checks everything but what `state.bin` means. Never panics.
///
/// # Errors
/// It is none, is not whole, or is larger than the limits.
pub fn read(bytes: &[u8]) -> Result<Archive, Error> {
    read_up_to(bytes, MAX_STATE)
}

fn read_up_to(bytes: &[u8], max_state: usize) -> Result<Archive, Error> {
    if bytes.len() > MAX_ARCHIVE {
        return Err(Error(format!(
            "the snapshot is larger than {MAX_ARCHIVE} bytes, the most that is taken"
        )));
    }
    let packed = gzip::body(bytes).map_err(|why| Error(format!("failed to decompress snapshot: {why}")))?;
    let in_file = |why: String| Error(format!("failed to read snapshot file: {why}"));
    let mut members = tar::Reader::new(max_state);
    let unread = gzip::unpack(packed, |piece| members.take(piece)).map_err(|failure| match failure {
        gzip::Failure::Sink(why) => in_file(why),
        gzip::Failure::Stream(why) if members.is_over() => Error(why.into()),
        gzip::Failure::Stream(why) => in_file(members.broken_off(why)),
    })?;
    if !members.may_end() {
        return Err(in_file(members.broken_off("unexpected EOF")));
    }
    let surplus = members.surplus();
    let [meta, state, listed] =
        [Member::Meta, Member::State, Member::Sums].map(|member| members.remove(member).unwrap_or_default());
    // Consul reads the metadata as they come by, before it looks at any hash.
    let found =
        Meta::read(&meta).map_err(|why| in_file(format!("failed to decode snapshot metadata: {why}")));
    let found = if meta.is_empty() { Ok(Meta::default()) } else { found }?;
    let of = [(Member::Meta.name(), &*meta), (Member::State.name(), &*state)];
    sums::check(&listed, &of)
        .map_err(|why| in_file(format!("failed checking integrity of snapshot: {why}")))?;
    if surplus > 0 {
        return Err(Error(format!("{surplus} unread uncompressed bytes remain")));
    }
    match unread {
        0 => Ok(Archive { meta: found, state }),
        // Go looks for another member.
        1..gzip::HEADER => Err(Error("unexpected EOF".to_string())),
        _ => Err(Error("gzip: invalid header".to_string())),
    }
}

/// Writes an archive. `time` stands in it as the time of its members, in seconds since 1970.
pub fn write(meta: &Meta, state: &[u8], time: u64) -> Vec<u8> {
    let described = meta.write(state.len());
    let listed = sums::write(&[(Member::Meta.name(), &*described), (Member::State.name(), state)]);
    let mut out = gzip::Writer::new(state.len() / 4);
    for (member, body) in [(Member::Meta, &*described), (Member::State, state), (Member::Sums, &*listed)] {
        out.put(&tar::header(member, body.len(), time));
        out.put(body);
        out.put(&tar::PADDING[..tar::padding(body.len())]);
    }
    // Where a header would be: the end.
    out.put(&[0; 2 * tar::BLOCK]);
    out.finish()
}
