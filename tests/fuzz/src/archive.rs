//! Archives of snapshots: their gzip stream, and the tar file in it.

use crate::catalog;
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use lictor_core::archive::{self, Meta};
use std::io::Read;

/// The first byte says whether an archive follows, or only the tar file of one.
pub(crate) fn archive(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let packed = match which % 2 {
        0 => rest.to_vec(),
        _ => pack(rest),
    };
    let Ok(read) = archive::read(&packed) else { return };
    let again = archive::read(&archive::write(&read.meta, &read.state, 0)).expect("what we write, we read");
    let meta = Meta { size: read.state.len() as i64, ..read.meta.clone() };
    assert_eq!((&again.meta, &again.state), (&meta, &read.state));
    // Up to the first that cannot be read, and never further than the end.
    let sizes = archive::records(&read.state).map_while(Result::ok).map(|record| record.size);
    assert!(sizes.sum::<usize>() <= read.state.len());
}

fn pack(tar: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(tar, Compression::none()).read_to_end(&mut packed).expect("memory takes it");
    packed
}

/// An archive of a small store, whole and as its tar file.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let state = catalog::store().encode_archive();
    [&state[..], &state[..200], b""]
        .into_iter()
        .flat_map(|state| {
            let packed = archive::write(&Meta::new(2, 7, 0, Vec::new()), state, 0);
            let mut tar = vec![1];
            GzDecoder::new(&*packed).read_to_end(&mut tar).expect("our own");
            [[&[0], &*packed].concat(), tar]
        })
        .collect()
}
