//! The storage layer on a disk that loses power, fails its flushes, is full, or has gone bad.
//!
//! `MADSIM_TEST_SEED` is the first seed, `MADSIM_TEST_NUM` how many.

use lictor_core::rng::{Rng, Seed};
use lictor_io::storage::redb::RedbStorage;
use lictor_sim::mad::crash::{self, Fault, Seen, comparable};
use lictor_sim::mad::disk::FullOn;
use lictor_sim::mad::seeds;

fn sweep(test: &str, runs: u64, fault: Fault) -> Seen {
    let mut all = Seen::default();
    for seed in seeds::chosen(runs) {
        let seen = crash::run(seed, fault).unwrap_or_else(|why| {
            panic!("{why}\n\nREPRODUCE  {}", seeds::command("mad_storage", test, seed));
        });
        all.acknowledged += seen.acknowledged;
        all.failed_absent += seen.failed_absent;
        all.failed_present += seen.failed_present;
        all.failed_opening += seen.failed_opening;
    }
    println!("{test}: {all:?}");
    all
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_shows_no_part_of_a_batch() {
    let test = "a_power_cut_loses_nothing_acknowledged_and_shows_no_part_of_a_batch";
    let seen = sweep(test, 14, Fault::PowerCut);
    assert!(seen.acknowledged > 0 && seen.failed_absent > 0 && seen.failed_opening > 0, "{seen:?}");
}

#[test]
fn a_kill_loses_nothing_acknowledged_and_shows_no_part_of_a_batch() {
    let test = "a_kill_loses_nothing_acknowledged_and_shows_no_part_of_a_batch";
    let seen = sweep(test, 7, Fault::Kill);
    assert!(seen.acknowledged > 0 && seen.failed_absent > 0 && seen.failed_opening > 0, "{seen:?}");
}

#[test]
fn a_failed_flush_loses_nothing_acknowledged_and_shows_no_part_of_a_batch() {
    let test = "a_failed_flush_loses_nothing_acknowledged_and_shows_no_part_of_a_batch";
    let seen = sweep(test, 7, Fault::SyncFails);
    assert!(seen.acknowledged > 0 && seen.failed_absent > 0, "{seen:?}");
}

#[test]
fn a_full_disk_loses_nothing_acknowledged_and_shows_no_part_of_a_batch() {
    let test = "a_full_disk_loses_nothing_acknowledged_and_shows_no_part_of_a_batch";
    for on in [FullOn::Grow, FullOn::Write] {
        let seen = sweep(test, 3, Fault::Full(on));
        assert!(seen.acknowledged > 0 && seen.failed_absent > 0, "{seen:?}");
    }
}

/// One bit of a file that was closed properly. Where nothing depends on it the file reads as before;
/// everywhere else it is refused, by name and with the way out. It never reads as something else.
#[test]
fn a_bit_that_flips_is_noticed_or_harmless() {
    let test = "a_bit_that_flips_is_noticed_or_harmless";
    let (mut refused, mut harmless) = (0, 0);
    for seed in seeds::chosen(3) {
        let repro = seeds::command("mad_storage", test, seed);
        let (disk, held) = crash::healthy(seed, 60);
        let mut rng = Rng::new(Seed::from_u64(seed)).fork("flips");
        for _ in 0..40 {
            let bad = disk.copy(Seed::from_u64(seed));
            // Half of them near the beginning, where the pages in use are.
            let reach = if rng.ratio(1, 2) { bad.len() } else { bad.len().min(256 << 10) };
            let (byte, bit) = (rng.below(reach as u64) as usize, rng.below(8) as u8);
            bad.flip_bit(byte, bit);
            match RedbStorage::open_backend(bad.file()) {
                Ok((_, image)) => {
                    assert!(
                        comparable(&image) == held,
                        "bit {bit} of byte {byte} changed what is read\n{repro}"
                    );
                    harmless += 1;
                }
                Err(e) => {
                    let text = e.to_string();
                    let clear = text.contains("is damaged") && text.contains("restore a snapshot")
                        || text.contains("has format");
                    assert!(clear, "bit {bit} of byte {byte}: {text}\n{repro}");
                    refused += 1;
                }
            }
        }
    }
    println!("{test}: {refused} refused, {harmless} harmless");
    assert!(refused > 0 && harmless > 0, "{refused} refused, {harmless} harmless");
}

#[test]
fn a_file_that_is_empty_or_cut_short_is_refused() {
    let (disk, _) = crash::healthy(1, 30);
    for len in [0, 100, 4096, disk.len() / 2, disk.len() - 4096] {
        let short = disk.copy(Seed::from_u64(1));
        short.cut_short(len);
        let refused = RedbStorage::open_backend(short.file()).expect_err("it is not whole").to_string();
        assert!(refused.contains("is damaged") && refused.contains("restore a snapshot"), "{len}: {refused}");
    }
}
