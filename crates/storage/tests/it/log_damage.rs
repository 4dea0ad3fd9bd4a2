//! Damage to every block and every bit of segments and indexes: found and named, or harmless; never served.

use std::sync::Arc;

use tallymq_model::{LeaderEpoch, Offset, RaftGroup};
use tallymq_storage::{
    disk::MemoryDisk,
    log::{
        LogOptions, LogPosition, LogStore, PartitionLog, PartitionOptions, ReadError, ScanSummary,
        scan::{self, Finding},
    },
};

use crate::log_world::{Model, append, batch, tp, write_all};

struct Written {
    disk: MemoryDisk,
    position: LogPosition,
    model: Model,
}

/// A log in several segments with epochs, whole on disk.
fn written(batches: u64, value_bytes: usize, segment_bytes_max: u32) -> Written {
    let disk = MemoryDisk::new();
    let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), LogOptions::default());
    let options =
        PartitionOptions { segment_bytes_max, index_interval_bytes: 300, ..PartitionOptions::default() };
    let log = store.open(tp(0), RaftGroup(1), options, LogPosition::default());
    let mut model = Model::default();
    for number in 0..batches {
        let timestamps = [number as i64 * 10, number as i64 * 10 + 5];
        let raw = batch(&timestamps, value_bytes, number);
        append(&log, model.push(raw, &timestamps, LeaderEpoch((number / 7) as i32)));
        if number % 3 == 0 {
            write_all(&mut writer);
        }
    }
    write_all(&mut writer);
    Written { disk, position: log.written_position(), model }
}

fn open(disk: &MemoryDisk, position: &LogPosition) -> (Arc<LogStore>, Arc<PartitionLog>) {
    let (store, _writer) = LogStore::new(Arc::new(disk.clone()), LogOptions::default());
    let log = store.open(tp(0), RaftGroup(1), PartitionOptions::default(), position.clone());
    (store, log)
}

/// Reads from every batch: what comes is right; what does not come names the file. Returns how many did not come.
fn read_everywhere(written: &Written, disk: &MemoryDisk, file: &str) -> usize {
    let (_store, log) = open(disk, &written.position);
    let mut lost = Vec::new();
    for (number, stored) in written.model.batches.iter().enumerate() {
        match log.read(stored.base, 1, true) {
            Ok(fetched) => written.model.check_read(stored.base, 1, true, &fetched),
            Err(ReadError::Corrupt(damage)) => {
                assert_eq!(damage.file, file, "{damage}");
                lost.push(number);
            }
            Err(other) => panic!("{other}"),
        }
        if let Ok(fetched) = log.read(stored.base, 4_000, true) {
            written.model.check_read(stored.base, 4_000, true, &fetched);
        }
    }
    for (number, stored) in written.model.batches.iter().enumerate() {
        let at = tallymq_model::Timestamp(stored.timestamps[0] + 1);
        match log.find_timestamp(at, Offset::ZERO) {
            Ok(found) => assert_eq!(&found.unwrap().bytes[..], stored.bytes),
            Err(ReadError::Corrupt(damage)) => assert_eq!(damage.file, file),
            Err(other) => panic!("{other}"),
        }
        let searched = log.search_timestamp(at, Offset::ZERO).unwrap();
        let whole = (number..written.model.batches.len()).find(|number| !lost.contains(number));
        let found = searched.found.as_ref().map(|found| &found.bytes[..]);
        assert_eq!(found, whole.map(|whole| &written.model.batches[whole].bytes[..]), "from {number} on");
        if whole != Some(number) {
            assert_eq!(searched.damaged.unwrap().1.file, file);
        }
    }
    lost.len()
}

fn scanned(written: &Written, disk: &MemoryDisk) -> (ScanSummary, usize) {
    let mut index_damages = 0;
    let mut sink = |finding: Finding<'_>| {
        if let Finding::IndexDamage(_) = finding {
            index_damages += 1;
        }
    };
    let summary = scan::partition(disk, tp(0), Some(&written.position), &mut sink).unwrap();
    (summary, index_damages)
}

/// Returns how many batches are lost.
fn check(written: &Written, disk: &MemoryDisk, file: &str, what: &str) -> usize {
    let changed = disk.bytes(file).ok() != written.disk.bytes(file).ok();
    let (summary, index_damages) = scanned(written, disk);
    let lost = read_everywhere(written, disk, file);
    let taken = scan::lost(disk, tp(0), &written.position).unwrap();
    let is_taken = |at: Offset| taken.iter().any(|(from, to)| (*from..*to).contains(&at));
    assert_eq!(written.model.batches.iter().filter(|stored| is_taken(stored.base)).count(), lost, "{what}");
    if file.ends_with(".index") {
        assert_eq!((lost, summary.damages), (0, 0), "{what}: an index is only a help");
        assert!(!changed || index_damages > 0 || disk.bytes(file).is_err() || what.contains("cut"), "{what}");
    } else {
        assert_eq!(lost > 0, changed, "{what}: readers are told");
        assert_eq!(summary.damages > 0, changed, "{what}: the scan tells");
    }
    lost
}

/// Where each batch stands: file, and bytes in it.
fn places(written: &Written) -> Vec<(String, std::ops::Range<usize>)> {
    let segments = written.disk.paths().into_iter().filter(|path| path.ends_with(".log"));
    let mut places = Vec::new();
    for file in segments {
        let (size, mut at) = (written.disk.bytes(&file).unwrap().len(), 0);
        while at < size {
            let bytes = written.model.batches[places.len()].bytes.len();
            places.push((file.clone(), at..at + bytes));
            at += bytes;
        }
    }
    places
}

/// Reads at each offset from the last to the first, so that nothing is known of what is in front. Returns the batches that cannot be
/// read, and where the damage begins.
fn unreadable(written: &Written, disk: &MemoryDisk) -> Vec<(usize, u64)> {
    let (_store, log) = open(disk, &written.position);
    let mut found = Vec::new();
    for (number, stored) in written.model.batches.iter().enumerate().rev() {
        for offset in (stored.base.0..stored.next.0).rev() {
            match log.read(Offset(offset), 3_000, true) {
                Ok(fetched) => {
                    written.model.check_read(Offset(offset), 3_000, true, &fetched);
                    let mut whole = log.range(Offset(offset), stored.next).unwrap();
                    assert!(
                        whole.read(1, &mut |header, _| assert_eq!(header.base_offset, stored.base)).unwrap()
                            > 0
                    );
                }
                Err(ReadError::Corrupt(damage)) => found.push((number, damage.position)),
                Err(other) => panic!("{other}"),
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    // Looking at the files of a stopped log says the same.
    let lost = scan::lost(disk, tp(0), &written.position).unwrap();
    let is_lost = |at: Offset| lost.iter().any(|(from, to)| (*from..*to).contains(&at));
    for (number, stored) in written.model.batches.iter().enumerate() {
        let is_unreadable = found.iter().any(|(unreadable, _)| *unreadable == number);
        for offset in stored.base.0..stored.next.0 {
            assert_eq!(is_lost(Offset(offset)), is_unreadable, "offset {offset} in {lost:?}");
        }
    }
    found
}

#[test]
fn an_undamaged_log_scans_clean() {
    let written = written(60, 500, 12_000);
    let (summary, index_damages) = scanned(&written, &written.disk);
    assert_eq!((summary.damages, index_damages, summary.batches), (0, 0, 60));
    assert!(summary.segments >= 4 && summary.segments == written.position.segments.len() as u64);
    assert_eq!(scan::partitions(&written.disk).unwrap(), [tp(0)]);
    let without = scan::partition(&written.disk, tp(0), None, &mut |_| {}).unwrap();
    assert_eq!((without.damages, without.batches), (0, 60));
}

#[test]
fn every_bit_of_small_segments_matters() {
    let written = written(8, 3, 300);
    for file in written.disk.paths() {
        for bit in 0..written.disk.bytes(&file).unwrap().len() as u64 * 8 {
            let damaged = written.disk.duplicate();
            damaged.flip_bit(&file, bit).unwrap();
            let lost = check(&written, &damaged, &file, &format!("bit {bit} of {file}"));
            assert_eq!(lost, usize::from(file.ends_with(".log")), "bit {bit} of {file}: one batch, no more");
        }
    }
}

#[test]
fn every_block_zeroed_swapped_or_cut_is_found() {
    let written = written(60, 500, 30_000);
    let places = places(&written);
    assert!(written.disk.paths().iter().any(|path| path.ends_with(".index")));
    for file in written.disk.paths() {
        let size = written.disk.bytes(&file).unwrap().len();
        let blocks = size.div_ceil(4096);
        for one in 0..blocks {
            let zeroed = written.disk.duplicate();
            zeroed.zero_block(&file, one).unwrap();
            let lost = check(&written, &zeroed, &file, &format!("block {one} of {file} zeroed"));
            let block = one * 4096..(one + 1) * 4096;
            let hit = |(path, at): &&(String, std::ops::Range<usize>)| {
                *path == file && at.start < block.end && at.end > block.start
            };
            assert_eq!(
                lost,
                places.iter().filter(hit).count(),
                "block {one} of {file}: what it hit, no more"
            );
            for other in one + 1..size / 4096 {
                let swapped = written.disk.duplicate();
                swapped.swap_blocks(&file, one, other).unwrap();
                check(&written, &swapped, &file, &format!("blocks {one} and {other} of {file} swapped"));
            }
            for length in [one * 4096, (one * 4096 + 1_000).min(size - 1)] {
                let cut = written.disk.duplicate();
                cut.cut(&file, length).unwrap();
                check(&written, &cut, &file, &format!("{file} cut to {length}"));
            }
        }
    }
}

#[test]
fn a_missing_or_exchanged_segment_is_found() {
    let written = written(60, 500, 20_000);
    let segments: Vec<_> = written.disk.paths().into_iter().filter(|path| path.ends_with(".log")).collect();
    for file in &segments {
        let missing = written.disk.duplicate();
        tallymq_storage::disk::Disk::remove_file(&missing, file).unwrap();
        check(&written, &missing, file, &format!("{file} missing"));
    }
    let exchanged = written.disk.duplicate();
    let (one, other) = (exchanged.bytes(&segments[0]).unwrap(), exchanged.bytes(&segments[1]).unwrap());
    exchanged.damage(&segments[0], |bytes| *bytes = other).unwrap();
    exchanged.damage(&segments[1], |bytes| *bytes = one).unwrap();
    let (_store, log) = open(&exchanged, &written.position);
    assert!(
        matches!(log.read(Offset::ZERO, 1, true), Err(ReadError::Corrupt(damage)) if damage.file == segments[0])
    );
    assert!(scanned(&written, &exchanged).0.damages >= 2);
}

#[test]
fn reading_ends_before_the_damage_and_says_where_it_is() {
    let written = written(12, 500, 100_000);
    let file = written.disk.paths().into_iter().find(|path| path.ends_with(".log")).unwrap();
    let position: usize = written.model.batches[..6].iter().map(|batch| batch.bytes.len()).sum();
    let damaged = written.disk.duplicate();
    damaged.flip_bit(&file, (position as u64 + 100) * 8).unwrap();
    let (_store, log) = open(&damaged, &written.position);
    let fetched = log.read(Offset::ZERO, 1_000_000, true).unwrap();
    assert_eq!(fetched.next, written.model.batches[6].base, "all before the damage");
    written.model.check_read(Offset::ZERO, 1_000_000, true, &fetched);
    match log.read(fetched.next, 1_000_000, true) {
        Err(ReadError::Corrupt(damage)) => {
            assert_eq!((damage.file, damage.position), (file, position as u64))
        }
        other => panic!("{other:?}"),
    }
    let after = &written.model.batches[7];
    let fetched = log.read(after.base, 1_000_000, true).unwrap();
    written.model.check_read(after.base, 1_000_000, true, &fetched);
}

#[test]
fn a_last_segment_that_lost_synced_bytes_is_reported_and_the_log_goes_on_behind_it() {
    let mut written = written(12, 500, 100_000);
    let file = written.disk.paths().into_iter().find(|path| path.ends_with(".log")).unwrap();
    let damaged = written.disk.duplicate();
    damaged.cut(&file, 3_000).unwrap();
    let (store, mut writer) = LogStore::new(Arc::new(damaged.clone()), LogOptions::default());
    let options = PartitionOptions::default();
    let log = store.open(tp(0), RaftGroup(1), options, written.position.clone());
    let raw = batch(&[1_000], 50, 1);
    let more = written.model.push(raw, &[1_000], LeaderEpoch(9)).clone();
    append(&log, &more);
    write_all(&mut writer);
    let [damage] = &store.damages()[..] else { panic!("reported once") };
    assert_eq!((damage.file.as_str(), damage.position), (file.as_str(), 3_000));
    assert_eq!(damaged.bytes(&file).unwrap().len(), 3_000, "left as it is");
    // The new batch is whole, also when it comes from the file again.
    let (_store, again) = open(&damaged, &log.written_position());
    for log in [log, again] {
        assert_eq!(log.read(more.base, 1, true).unwrap().pieces.concat(), more.bytes);
        assert!(log.read(Offset::ZERO, 1, true).is_ok());
        assert!(matches!(log.read(written.model.batches[11].base, 1, true), Err(ReadError::Corrupt(_))));
    }
}

#[test]
fn what_is_behind_a_batch_that_was_cut_out_is_read() {
    // Also where the index knows many places, which the cut shifts.
    for (batches, value_bytes) in [(5, 40), (40, 500)] {
        let written = written(batches, value_bytes, 1 << 20);
        let places = places(&written);
        for (number, (file, at)) in places.iter().enumerate() {
            let cut = written.disk.duplicate();
            cut.damage(file, |bytes| drop(bytes.drain(at.clone()))).unwrap();
            assert_eq!(
                unreadable(&written, &cut),
                [(number, at.start as u64)],
                "batch {number} of {batches}"
            );
            // Half of it, and its header stays.
            let cut = written.disk.duplicate();
            cut.damage(file, |bytes| drop(bytes.drain(at.start + 70..at.end))).unwrap();
            assert_eq!(
                unreadable(&written, &cut),
                [(number, at.start as u64)],
                "half of {number} of {batches}"
            );
        }
    }
}

#[test]
fn a_range_begins_behind_what_was_cut_out() {
    // Nothing was read before it, and the index knows each batch at the place where it stood.
    let written = written(40, 500, 15_000);
    let places = places(&written);
    let (file, at) = places[4].clone();
    let batches = places.iter().filter(|(path, _)| *path == file).count();
    assert!((8..40).contains(&batches), "{batches}");
    let cut = written.disk.duplicate();
    cut.damage(&file, |bytes| drop(bytes.drain(at))).unwrap();
    let end = written.model.batches[batches - 1].next;
    for (number, stored) in written.model.batches[..batches].iter().enumerate() {
        let (_store, log) = open(&cut, &written.position);
        let mut bases = Vec::new();
        let range = log.range(stored.base, end);
        let read =
            range.and_then(|mut range| range.read(1 << 20, &mut |header, _| bases.push(header.base_offset)));
        let whole = |from: usize, to: usize| -> Vec<Offset> {
            written.model.batches[from..to].iter().map(|stored| stored.base).collect()
        };
        match number {
            0..4 => {
                assert!(matches!(read, Err(ReadError::Corrupt(_))) && bases == whole(number, 4), "{bases:?}")
            }
            4 => assert!(matches!(read, Err(ReadError::Corrupt(_))) && bases.is_empty(), "{bases:?}"),
            _ => {
                assert!(read.is_ok() && bases == whole(number, batches), "batch {number}: {read:?} {bases:?}")
            }
        }
        let taken = log.unreadable_around(stored.base).map(|taken| (taken.from, taken.to));
        let lost = &written.model.batches[4];
        assert_eq!(taken, (number == 4).then_some((lost.base, lost.next)), "batch {number}");
    }
}

#[test]
fn two_holes_are_two_damages() {
    let written = written(12, 500, 1 << 20);
    let places = places(&written);
    let cut = written.disk.duplicate();
    cut.damage(&places[0].0, |bytes| {
        drop(bytes.drain(places[7].1.clone()));
        bytes[places[2].1.start + 16] = 9;
        bytes[places[3].1.start + 100] ^= 1;
    })
    .unwrap();
    let at = |number: usize| places[number].1.start as u64;
    let found = unreadable(&written, &cut);
    assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [2, 3, 7]);
    assert_eq!((found[0].1, found[2].1), (at(2), at(7)));
}

#[test]
fn what_is_whole_between_damages_is_read_where_something_proves_its_place() {
    // The first segment's index knows each batch.
    let written = written(40, 500, 15_000);
    let places = places(&written);
    let (file, index) = (places[0].0.clone(), places[0].0.replace(".log", ".index"));
    assert!(places[12].0 == file && written.disk.paths().contains(&index), "{index}");
    let damaged = |numbers: &[usize], headers: std::ops::Range<usize>, is_indexed: bool| -> Vec<usize> {
        let disk = written.disk.duplicate();
        let damage = |bytes: &mut Vec<u8>| {
            for number in numbers {
                let start = places[*number].1.start;
                bytes[start + headers.start..start + headers.end].fill(0xff);
            }
        };
        disk.damage(&file, damage).unwrap();
        if !is_indexed {
            tallymq_storage::disk::Disk::remove_file(&disk, &index).unwrap();
        }
        unreadable(&written, &disk).into_iter().map(|(number, _)| number).collect()
    };
    assert_eq!(damaged(&[4, 6, 9], 0..61, true), [4, 6, 9]);
    // What is left of a header says where the next batch is, and which.
    assert_eq!(damaged(&[4, 6, 9], 12..17, false), [4, 6, 9]);
    // Its place alone is enough if a second one follows.
    assert_eq!(damaged(&[4, 7], 12..61, false), [4, 7]);
    assert_eq!(damaged(&[4, 6], 12..61, false), [4, 5, 6]);
    // Without any of that nothing tells 5 and 6 from batches that somebody stored in a record.
    assert_eq!(damaged(&[4, 7], 0..61, false), [4, 5, 6, 7]);
}

#[test]
fn many_batches_that_nothing_proves_do_not_end_a_search() {
    let written = written(300, 3, 1 << 20);
    let places = places(&written);
    let disk = written.disk.duplicate();
    let damage = |bytes: &mut Vec<u8>| {
        [1, 297].into_iter().for_each(|number: usize| bytes[places[number].1.clone()][..61].fill(0xff));
    };
    disk.damage(&places[0].0, damage).unwrap();
    tallymq_storage::disk::Disk::remove_file(&disk, &places[0].0.replace(".log", ".index")).unwrap();
    let numbers: Vec<usize> = unreadable(&written, &disk).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (1..298).collect::<Vec<_>>());
}

#[test]
fn batches_inside_of_a_damaged_ones_payload_are_not_taken_for_any() {
    [1, 2, 4, 8].into_iter().for_each(forged_inside);
}

fn forged_inside(batches: usize) {
    let disk = MemoryDisk::new();
    let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), LogOptions::default());
    let log = store.open(tp(0), RaftGroup(1), PartitionOptions::default(), LogPosition::default());
    let mut model = Model::default();
    let epoch = LeaderEpoch(0);
    let times: Vec<i64> = (0..10).collect();
    append(&log, model.push(batch(&times, 50, 1), &times, epoch));
    // Offsets 10 to 19, and in their payload, as somebody who copies whole logs may send it, what claims to be 12 to 19, in so many
    // batches that continue each other.
    let forged: Vec<u8> = (0..batches)
        .flat_map(|number| {
            let times = &times[..8 / batches];
            let mut bytes = Model::default().push(batch(times, 50, 8), times, epoch).bytes.clone();
            bytes[..8].copy_from_slice(&(12 + (number * times.len()) as i64).to_be_bytes());
            bytes
        })
        .collect();
    let mut raw = batch(&times, forged.len(), 2).to_vec();
    let middle = raw.len() / 2;
    raw[middle..middle + forged.len()].copy_from_slice(&forged);
    let crc = tallymq_model::batch::crc32c(&raw[21..]);
    raw[17..21].copy_from_slice(&crc.to_be_bytes());
    append(&log, model.push(raw.into(), &times, epoch));
    append(&log, model.push(batch(&times, 50, 3), &times, epoch));
    write_all(&mut writer);
    let written = Written { position: log.written_position(), disk, model };
    let (file, at) = places(&written)[1].clone();
    let damaged = written.disk.duplicate();
    damaged.damage(&file, |bytes| bytes[at.start + 8..at.start + 12].fill(0)).unwrap();
    assert_eq!(unreadable(&written, &damaged), [(1, at.start as u64)], "{batches} inside");
}
