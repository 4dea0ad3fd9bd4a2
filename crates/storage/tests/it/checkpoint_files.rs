//! Checkpoint files: saved and loaded, kept, damaged everywhere, interrupted everywhere.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup, Term};
use tallymq_storage::{
    checkpoint::{self, Checkpoint, LoadError},
    disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode, Operation},
};

const GROUP: RaftGroup = RaftGroup(2);

fn checkpoint(applied: u64, state_bytes: usize) -> Checkpoint {
    let state: Vec<u8> = (0..state_bytes).map(|at| (at as u64 * applied) as u8).collect();
    Checkpoint {
        applied: LogIndex(applied),
        term: Term(applied / 10),
        header: Bytes::from(format!("membership of {applied}")),
        state: vec![Bytes::from(state)],
    }
}

fn path(applied: u64) -> String {
    format!("groups/2/checkpoint-{applied:020}")
}

#[test]
fn the_newest_is_loaded_and_two_are_kept() {
    let disk = MemoryDisk::new();
    assert_eq!(checkpoint::load(&disk, GROUP).unwrap(), None);
    for applied in [5, 9, 10, 10, 200] {
        checkpoint::save(&disk, GROUP, &checkpoint(applied, 3_000_000 / 200 * applied as usize)).unwrap();
        let loaded = checkpoint::load(&disk.power_cut(applied), GROUP).unwrap().unwrap();
        assert_eq!(loaded.checkpoint, checkpoint(applied, 3_000_000 / 200 * applied as usize));
        assert!(loaded.damaged.is_empty());
    }
    assert_eq!(disk.paths(), [path(10), path(200)]);
    assert_eq!(checkpoint::load(&disk, RaftGroup(1)).unwrap(), None, "another group has none");
}

#[test]
fn the_state_in_many_pieces_is_the_same_file() {
    let (one, many) = (MemoryDisk::new(), MemoryDisk::new());
    let whole = checkpoint(7, 2_500_000);
    let pieces = whole.state[0].chunks(999).map(Bytes::copy_from_slice).collect();
    checkpoint::save(&one, GROUP, &whole).unwrap();
    checkpoint::save(&many, GROUP, &Checkpoint { state: pieces, ..whole }).unwrap();
    assert_eq!(one.bytes(&path(7)).unwrap(), many.bytes(&path(7)).unwrap());
}

#[test]
fn any_damage_falls_back_and_says_so_and_two_damaged_ones_are_refused() {
    let disk = MemoryDisk::new();
    checkpoint::save(&disk, GROUP, &checkpoint(1, 50)).unwrap();
    checkpoint::save(&disk, GROUP, &checkpoint(2, 90)).unwrap();
    let size = disk.bytes(&path(2)).unwrap().len();
    let falls_back = |damaged: &MemoryDisk, what: &str| {
        let loaded = checkpoint::load(damaged, GROUP).unwrap().unwrap();
        assert_eq!(loaded.checkpoint, checkpoint(1, 50), "{what}");
        assert_eq!(
            loaded.damaged.iter().map(|damage| damage.file.clone()).collect::<Vec<_>>(),
            [path(2)],
            "{what}"
        );
    };
    for bit in 0..size as u64 * 8 {
        let damaged = disk.duplicate();
        damaged.flip_bit(&path(2), bit).unwrap();
        falls_back(&damaged, &format!("bit {bit}"));
    }
    for length in 0..size {
        let damaged = disk.duplicate();
        damaged.cut(&path(2), length).unwrap();
        falls_back(&damaged, &format!("{length} bytes"));
    }
    let longer = disk.duplicate();
    longer.damage(&path(2), |bytes| bytes.push(0)).unwrap();
    falls_back(&longer, "a byte too many");
    let swapped = disk.duplicate();
    let other = swapped.bytes(&path(1)).unwrap();
    swapped.damage(&path(2), |bytes| *bytes = other).unwrap();
    falls_back(&swapped, "another checkpoint under this name");

    longer.flip_bit(&path(1), 100).unwrap();
    let refused = checkpoint::load(&longer, GROUP).unwrap_err();
    assert!(matches!(&refused, LoadError::Damaged { damaged, .. } if damaged.len() == 2));
    assert!(refused.to_string().contains(&path(1)) && refused.to_string().contains(&path(2)), "{refused}");
}

#[test]
fn blocks_of_a_large_one_zeroed_or_swapped_are_found() {
    let disk = MemoryDisk::new();
    checkpoint::save(&disk, GROUP, &checkpoint(1, 10)).unwrap();
    checkpoint::save(&disk, GROUP, &checkpoint(3, 60_000)).unwrap();
    let whole = disk.bytes(&path(3)).unwrap();
    for one in 0..whole.len() / 4096 {
        for other in 0..whole.len() / 4096 {
            let damaged = disk.duplicate();
            match one == other {
                true => damaged.zero_block(&path(3), one).unwrap(),
                false => damaged.swap_blocks(&path(3), one, other).unwrap(),
            }
            let same = damaged.bytes(&path(3)).unwrap() == whole;
            let loaded = checkpoint::load(&damaged, GROUP).unwrap().unwrap();
            assert_eq!(loaded.damaged.is_empty(), same, "{one} {other}");
        }
    }
}

#[test]
fn a_newer_format_is_refused_by_name_and_not_passed_over() {
    let disk = MemoryDisk::new();
    checkpoint::save(&disk, GROUP, &checkpoint(1, 10)).unwrap();
    checkpoint::save(&disk, GROUP, &checkpoint(2, 10)).unwrap();
    disk.damage(&path(2), |bytes| {
        bytes[11] = 9;
        let crc = tallymq_model::batch::crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_be_bytes());
    })
    .unwrap();
    let refused = checkpoint::load(&disk, GROUP).unwrap_err();
    assert!(matches!(&refused, LoadError::UnknownVersion { version: 9, .. }), "{refused}");
}

#[test]
fn power_lost_at_any_operation_leaves_the_old_or_the_new_one() {
    let before = MemoryDisk::new();
    checkpoint::save(&before, GROUP, &checkpoint(1, 100)).unwrap();
    checkpoint::save(&before, GROUP, &checkpoint(2, 9_000)).unwrap();
    for seed in 0..40 {
        for operation in 0.. {
            let memory = before.duplicate();
            let disk = FaultyDisk::over_memory(memory.clone());
            disk.power_off_at(operation);
            let saved = checkpoint::save(&disk, GROUP, &checkpoint(3, 20_000));
            let done = !disk.is_off();
            let loaded = checkpoint::load(&memory.power_cut(seed), GROUP).unwrap().unwrap();
            assert!(loaded.damaged.is_empty(), "seed {seed}, operation {operation}");
            let applied = loaded.checkpoint.applied.0;
            assert_eq!(loaded.checkpoint, checkpoint(applied, [100, 9_000, 20_000][applied as usize - 1]));
            match saved {
                Ok(()) => assert_eq!(applied, 3, "what was reported durable is"),
                Err(_) => assert!(applied >= 2),
            }
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_first_checkpoint_survives_with_its_directories() {
    for seed in 0..60 {
        let disk = MemoryDisk::new();
        // An earlier run made the directory and ended before it was durable.
        disk.create_dir("groups/2").unwrap();
        checkpoint::save(&disk, GROUP, &checkpoint(1, 100)).unwrap();
        assert!(checkpoint::load(&disk.power_cut(seed), GROUP).unwrap().is_some(), "seed {seed}");
    }
}

#[test]
fn a_failed_write_or_sync_is_an_error_and_the_old_one_stays() {
    for (operation, fault) in
        [(Operation::Write, Fault::Enospc), (Operation::Sync, Fault::Eio), (Operation::Rename, Fault::Eio)]
    {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        checkpoint::save(&disk, GROUP, &checkpoint(1, 100)).unwrap();
        disk.fail(operation, 1, fault);
        let error = checkpoint::save(&disk, GROUP, &checkpoint(2, 100)).unwrap_err();
        assert!(error.to_string().contains("checkpoint-00000000000000000002.new"), "{error}");
        assert_eq!(checkpoint::load(&disk, GROUP).unwrap().unwrap().checkpoint, checkpoint(1, 100));
        // What it left beside is not in the way.
        checkpoint::save(&disk, GROUP, &checkpoint(2, 100)).unwrap();
        assert_eq!(memory.paths(), [path(1), path(2)]);
    }
}

#[test]
fn a_name_that_an_earlier_run_did_not_sync_lasts_once_it_is_settled() {
    for seed in 0..20 {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::over_memory(memory.clone());
        disk.fail(Operation::SyncDir, 1, Fault::Eio);
        let error = checkpoint::save(&disk, GROUP, &checkpoint(7, 5_000)).unwrap_err();
        assert!(error.named, "it ended between the name and the sync: {error}");
        let found = checkpoint::load(&memory, GROUP).unwrap().expect("the process is gone, the cache is not");
        checkpoint::settle(&memory, GROUP, &found.damaged).unwrap();
        let after = checkpoint::load(&memory.power_cut(seed), GROUP).unwrap();
        assert_eq!(after.as_ref(), Some(&found), "seed {seed}");
    }
}

#[test]
fn damaged_ones_set_aside_no_longer_count() {
    let disk = MemoryDisk::new();
    checkpoint::save(&disk, GROUP, &checkpoint(1, 10)).unwrap();
    checkpoint::save(&disk, GROUP, &checkpoint(2, 10)).unwrap();
    disk.flip_bit(&path(2), 600).unwrap();
    let loaded = checkpoint::load(&disk, GROUP).unwrap().unwrap();
    checkpoint::settle(&disk, GROUP, &loaded.damaged).unwrap();
    checkpoint::save(&disk, GROUP, &checkpoint(3, 10)).unwrap();
    let kept: Vec<_> =
        checkpoint::list(&disk, GROUP).unwrap().into_iter().map(|file| file.applied.0).collect();
    assert_eq!(kept, [1, 3], "the good old one was not pushed out by the damaged one");
    let aside = format!("groups/2/damaged-checkpoint-{:020}", 2);
    assert!(disk.open(&aside, OpenMode::Read).is_ok(), "it can still be looked at");
}
