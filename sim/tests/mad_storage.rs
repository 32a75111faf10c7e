//! The storage layer on a disk that loses power, fails its flushes, is full, or has gone bad.
//!
//! `MADSIM_TEST_SEED` is the first seed, `MADSIM_TEST_NUM` how many.

use lictor_core::rng::{Rng, Seed};
use lictor_io::storage::log::LogStorage;
use lictor_sim::mad::batches::comparable;
use lictor_sim::mad::crash::{self, Fault, SEGMENT_BYTES, Seen};
use lictor_sim::mad::disk::{FullOn, SimDisk};
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

#[test]
fn killed_and_then_without_power_it_loses_nothing_that_was_read() {
    let test = "killed_and_then_without_power_it_loses_nothing_that_was_read";
    let seen = sweep(test, 14, Fault::KillOrPowerCut);
    assert!(seen.failed_absent > 0 && seen.failed_present > 0, "{seen:?}");
}

/// Not a sample: every operation of one script.
#[test]
fn a_power_cut_at_every_single_operation_leaves_all_or_nothing_of_a_batch() {
    let test = "a_power_cut_at_every_single_operation_leaves_all_or_nothing_of_a_batch";
    let mut cuts = 0;
    for seed in seeds::chosen(1) {
        let mut stop = 0;
        while crash::run_until(1, seed, stop).unwrap_or_else(|why| {
            panic!(
                "before operation {stop}: {why}\n\nREPRODUCE  {}",
                seeds::command("mad_storage", test, seed)
            );
        }) {
            stop += 1;
        }
        cuts += stop;
    }
    println!("{test}: {cuts} cuts");
    assert!(cuts > 100, "{cuts}");
}

#[test]
fn a_directory_of_the_version_before_is_taken_over_whole_whenever_the_power_goes() {
    let test = "a_directory_of_the_version_before_is_taken_over_whole_whenever_the_power_goes";
    for seed in seeds::chosen(1) {
        let mut stop = 0;
        while crash::run_taking_over(seed, stop).unwrap_or_else(|why| {
            panic!(
                "before operation {stop}: {why}\n\nREPRODUCE  {}",
                seeds::command("mad_storage", test, seed)
            );
        }) {
            stop += 1;
        }
        println!("{test}: {stop} cuts");
        assert!(stop > 20, "{stop}");
    }
}

#[test]
fn a_disk_that_lies_about_flushes_is_refused_or_is_behind_and_never_something_else() {
    let test = "a_disk_that_lies_about_flushes_is_refused_or_is_behind_and_never_something_else";
    let (mut refused, mut behind) = (0, 0);
    for seed in seeds::chosen(40) {
        match crash::run_lying(seed) {
            Ok(None) => refused += 1,
            Ok(Some(age)) => behind += usize::from(age > 0),
            Err(why) => panic!("{why}\n\nREPRODUCE  {}", seeds::command("mad_storage", test, seed)),
        }
    }
    println!("{test}: {refused} refused, {behind} behind");
    assert!(refused > 0 && behind > 0, "{refused} refused, {behind} behind");
}

/// One bit of a file that was closed properly. Where nothing depends on it the directory reads as before;
/// everywhere else it is refused, by name and with the way out. It never reads as something else.
#[test]
fn a_bit_that_flips_is_noticed_or_harmless() {
    let test = "a_bit_that_flips_is_noticed_or_harmless";
    let (mut refused, mut harmless) = (0, 0);
    for seed in seeds::chosen(3) {
        let repro = seeds::command("mad_storage", test, seed);
        let (disk, held) = crash::healthy(seed, 60);
        let files: Vec<(String, Vec<u8>)> = disk.contents().into_iter().collect();
        let mut rng = Rng::new(Seed::from_u64(seed)).fork("flips");
        for _ in 0..40 {
            let bad = disk.copy(Seed::from_u64(seed));
            let (name, mut content) = files[rng.below(files.len() as u64) as usize].clone();
            let (byte, bit) = (rng.below(content.len() as u64) as usize, rng.below(8) as u8);
            content[byte] ^= 1 << bit;
            bad.put(&name, content);
            let before = bad.contents();
            let what = format!("bit {bit} of byte {byte} of {name}");
            match LogStorage::open(bad.directory(), SEGMENT_BYTES) {
                Ok((_, image)) => {
                    assert!(comparable(&image) == held, "{what} changed what is read\n{repro}");
                    harmless += 1;
                }
                Err(e) => {
                    let text = e.to_string();
                    let clear = text.contains("is damaged") && text.contains("restore a snapshot")
                        || text.contains("has format");
                    assert!(clear && text.contains("/"), "{what}: {text}\n{repro}");
                    assert!(bad.contents() == before, "{what}: refused and changed\n{repro}");
                    refused += 1;
                }
            }
        }
    }
    println!("{test}: {refused} refused, {harmless} harmless");
    assert!(refused > 0 && harmless > 0, "{refused} refused, {harmless} harmless");
}

#[test]
fn a_file_that_is_empty_cut_short_or_gone_is_refused() {
    let (disk, _) = crash::healthy(1, 60);
    for (name, content) in disk.contents() {
        for len in [0, 100, 4096, content.len() / 2, content.len() - 512] {
            let short = disk.copy(Seed::from_u64(1));
            short.put(&name, content[..len].to_vec());
            refused(&short, &format!("{name} of {len} bytes"));
        }
    }
    let names: Vec<String> = disk.contents().into_keys().collect();
    assert!(names.len() > 2, "{names:?}");
    // The last segment may be an empty one that nobody would miss.
    for name in names.iter().filter(|name| *name != &names[names.len() - 2]) {
        let less = SimDisk::new(Seed::from_u64(1));
        disk.contents().into_iter().filter(|(n, _)| n != name).for_each(|(n, content)| less.put(&n, content));
        refused(&less, &format!("without {name}"));
    }
}

fn refused(disk: &SimDisk, what: &str) {
    let refused = LogStorage::open(disk.directory(), SEGMENT_BYTES).err().map(|e| e.to_string());
    let refused = refused.unwrap_or_else(|| panic!("{what} is taken"));
    assert!(refused.contains("is damaged") && refused.contains("restore a snapshot"), "{what}: {refused}");
}
