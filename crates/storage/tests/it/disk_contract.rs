//! What holds for every disk, run on each; and what only the simulated ones promise.

use std::{io::ErrorKind, sync::Arc};

use tallymq_storage::disk::{
    Disk, Fault, FaultyDisk, MemoryDisk, OpenDiskError, OpenMode, Operation, RealDisk, VolatileDisk,
    schedule_promptly,
};

fn contract(disk: &dyn Disk) {
    disk.create_dir("a/b").unwrap();
    disk.create_dir("a/b").unwrap();
    assert_eq!(disk.open("a/b/none", OpenMode::Read).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(disk.open("none/file", OpenMode::Create).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(disk.list("none").unwrap_err().kind(), ErrorKind::NotFound);
    let file = disk.open("a/b/file", OpenMode::Create).unwrap();
    assert_eq!(disk.open("a/b/file", OpenMode::Create).err().unwrap().kind(), ErrorKind::AlreadyExists);

    let many: Vec<Vec<u8>> = (0..3000_u32).map(|part| part.to_le_bytes().to_vec()).collect();
    let parts: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    file.write_at(&parts, 4096).unwrap();
    file.write_at(&[b"", b"head", b""], 0).unwrap();
    file.write_at(&[], 9).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.size_bytes().unwrap(), 4096 + 12_000);
    let mut buffer = vec![1; 12_000];
    assert_eq!(file.read_at(&mut buffer, 4096).unwrap(), 12_000);
    assert_eq!(buffer, many.concat());
    assert_eq!(file.read_at(&mut buffer, 16_000).unwrap(), 96, "short only at the end");
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer[..8], 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"head\0\0\0\0", "a hole is zeros");

    file.set_size(4).unwrap();
    file.set_size(8).unwrap();
    file.drop_cache().unwrap();
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"head\0\0\0\0", "cut, then extended with zeros");

    disk.open("a/b/old", OpenMode::Create).unwrap();
    disk.rename("a/b/file", "a/b/old").unwrap();
    assert_eq!(disk.rename("a/b/file", "a/b/x").unwrap_err().kind(), ErrorKind::NotFound);
    disk.create_dir("a/b/dir").unwrap();
    let listed: Vec<(String, bool)> =
        disk.list("a/b").unwrap().into_iter().map(|entry| (entry.name, entry.is_dir)).collect();
    assert_eq!(listed, [("dir".to_owned(), true), ("old".to_owned(), false)]);
    disk.sync_dir("a/b").unwrap();
    disk.sync_dir("").unwrap();
    disk.sync_all().unwrap();
    let reader = disk.open("a/b/old", OpenMode::Read).unwrap();
    assert!(reader.write_at(&[b"x"], 0).is_err());
    disk.remove_file("a/b/old").unwrap();
    assert_eq!(disk.remove_file("a/b/old").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(reader.read_at(&mut buffer[..4], 0).unwrap(), 4, "an open file outlives its name");
    disk.remove_dir("a").unwrap();
    assert!(disk.list("").unwrap().is_empty());
    let space = disk.space().unwrap();
    assert!(space.available_bytes > 0 && space.available_bytes <= space.total_bytes);
}

#[test]
fn the_real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&RealDisk::open(dir.path().join("data")).unwrap());
}

#[test]
fn the_disk_in_memory_keeps_the_contract() {
    contract(&MemoryDisk::new());
}

#[test]
fn a_faulty_disk_without_faults_keeps_the_contract() {
    contract(&FaultyDisk::over_memory(MemoryDisk::new()));
    contract(&FaultyDisk::new(Arc::new(MemoryDisk::new())));
}

#[test]
fn a_volatile_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&VolatileDisk::new(Arc::new(RealDisk::open(dir.path().join("data")).unwrap())));
    contract(&VolatileDisk::new(Arc::new(MemoryDisk::new())));
}

#[test]
fn a_volatile_disk_takes_with_it_what_was_not_synced() {
    let below = MemoryDisk::new();
    let disk = VolatileDisk::new(Arc::new(below.clone()));
    let file = disk.open("f", OpenMode::Create).unwrap();
    file.write_at(&[b"synced"], 0).unwrap();
    file.sync_data().unwrap();
    file.write_at(&[b"lo", b"st"], 6).unwrap();
    file.write_at(&[b"S"], 0).unwrap();
    let mut buffer = [0; 16];
    // Another handle sees it, also under a new name, and also if nobody has the file open meanwhile.
    disk.rename("f", "g").unwrap();
    drop(file);
    let reader = disk.open("g", OpenMode::Read).unwrap();
    assert_eq!((reader.read_at(&mut buffer, 0).unwrap(), &buffer[..10]), (10, &b"Syncedlost"[..]));
    assert_eq!(reader.size_bytes().unwrap(), 10);
    assert_eq!(below.bytes("g").unwrap(), b"synced", "the end of the process is the end of the rest");
    let other = disk.open("other", OpenMode::Create).unwrap();
    other.write_at(&[b"x"], 3).unwrap();
    disk.sync_all().unwrap();
    assert_eq!(below.bytes("g").unwrap(), b"Syncedlost");
    assert_eq!(below.bytes("other").unwrap(), b"\0\0\0x");
    other.write_at(&[b"gone"], 4).unwrap();
    other.set_size(5).unwrap();
    assert_eq!(other.size_bytes().unwrap(), 5);
    other.sync_data().unwrap();
    assert_eq!(below.bytes("other").unwrap(), b"\0\0\0xg");
}

#[test]
fn a_second_process_is_refused_by_the_first_ones_name() {
    let dir = tempfile::tempdir().unwrap();
    let first = RealDisk::open(dir.path()).unwrap();
    match RealDisk::open(dir.path()) {
        Err(OpenDiskError::Locked { holder, .. }) => {
            assert_eq!(holder, format!("process {}", std::process::id()));
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    RealDisk::open(dir.path()).unwrap();
}

#[test]
fn what_was_synced_survives_every_power_cut_and_the_rest_may_or_may_not() {
    let disk = MemoryDisk::new();
    disk.create_dir("d").unwrap();
    let file = disk.open("d/f", OpenMode::Create).unwrap();
    file.write_at(&[&[1; 8192]], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    disk.sync_dir("d").unwrap();
    file.write_at(&[&[2; 8192]], 4096).unwrap();
    disk.open("d/unsynced", OpenMode::Create).unwrap();
    let (mut torn, mut kept, mut lost, mut named) = (0, 0, 0, 0);
    for seed in 0..500 {
        let after = disk.power_cut(seed);
        let bytes = after.bytes("d/f").unwrap();
        assert_eq!(&bytes[..4096], &[1; 4096], "seed {seed}");
        assert!(bytes[4096..8192].iter().all(|byte| *byte == 1 || *byte == 2));
        match bytes.iter().filter(|byte| **byte == 2).count() {
            0 => lost += 1,
            8192 => kept += 1,
            _ => torn += 1,
        }
        named += usize::from(after.paths().len() == 2);
        assert_eq!(bytes, disk.power_cut(seed).bytes("d/f").unwrap(), "the same seed, the same disk");
    }
    assert!(torn > 50 && kept > 50 && lost > 50 && named > 50 && named < 450, "{torn} {kept} {lost} {named}");
}

#[test]
fn names_not_synced_come_back_as_a_prefix_of_what_was_done() {
    let disk = MemoryDisk::new();
    for name in ["one", "two", "three"] {
        disk.open(name, OpenMode::Create).unwrap();
    }
    disk.sync_dir("").unwrap();
    disk.rename("one", "uno").unwrap();
    disk.remove_file("two").unwrap();
    disk.create_dir("dir").unwrap();
    disk.open("dir/inside", OpenMode::Create).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        seen.insert(disk.power_cut(seed).paths().join(" "));
    }
    let expected = ["dir/inside three uno", "one three two", "three two uno", "three uno"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_failed_sync_is_readable_and_clean_and_not_on_disk() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over_memory(memory.clone());
    let file = disk.open("f", OpenMode::Create).unwrap();
    disk.sync_dir("").unwrap();
    disk.fail(Operation::Sync, 1, Fault::Eio);
    file.write_at(&[b"lost"], 0).unwrap();
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    file.sync_data().expect("the pages are clean, so the retry has nothing to write and lies");
    let mut buffer = [0; 4];
    file.read_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"lost", "the cache shows it");
    for seed in 0..20 {
        assert_eq!(memory.power_cut(seed).bytes("f").unwrap(), b"");
    }
    file.drop_cache().unwrap();
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 0, "the platter does not");
}

#[test]
fn faults_come_when_they_are_asked_for() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    disk.fail(Operation::Write, 2, Fault::Enospc);
    disk.fail(Operation::Read, 1, Fault::ShortRead);
    disk.fail(Operation::Read, 2, Fault::FlippedBit);
    let file = disk.open("f", OpenMode::Create).unwrap();
    file.write_at(&[&[0; 8]], 0).unwrap();
    assert_eq!(file.write_at(&[&[0; 8]], 8).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(&[&[0; 8]], 8).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 16);
    assert_eq!(buffer.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    disk.power_off_at(2);
    file.sync_data().unwrap();
    assert!(file.sync_data().is_err() && disk.is_off());
    assert!(file.read_at(&mut buffer, 0).is_err() && disk.list("").is_err());
}

#[test]
fn damage_goes_where_it_is_told_to() {
    let disk = MemoryDisk::new();
    let file = disk.open("f", OpenMode::Create).unwrap();
    file.write_at(&[&[1; 4096], &[2; 4096], &[3; 4096]], 0).unwrap();
    let old = disk.block("f", 1).unwrap();
    disk.swap_blocks("f", 0, 2).unwrap();
    disk.zero_block("f", 1).unwrap();
    disk.flip_bit("f", 3).unwrap();
    let bytes = disk.bytes("f").unwrap();
    assert_eq!((bytes[0], bytes[1], bytes[4096], bytes[8192]), (3 ^ 8, 3, 0, 1));
    disk.put_block("f", 1, &old).unwrap();
    disk.cut("f", 5000).unwrap();
    assert_eq!(disk.bytes("f").unwrap().len(), 5000);
    assert_eq!(disk.bytes("f").unwrap()[4096], 2);
}

#[test]
fn scheduling_says_what_it_got() {
    let got = std::thread::spawn(schedule_promptly).join().unwrap();
    assert!(got.contains("SCHED_RR"), "{got}");
}
