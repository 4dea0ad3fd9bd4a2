//! The journal on a directory in memory that loses what was not synced, at any moment.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use parking_lot::Mutex;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Debug, Clone, Default)]
struct Stored {
    synced: Vec<u8>,
    written: Vec<u8>, // begins with `synced`, unless a power cut came
}

/// Keeps what was synced; of the rest, what the power cut leaves.
#[derive(Clone, Default)]
struct Memory {
    files: Arc<Mutex<BTreeMap<u64, Stored>>>,
    current: u64,
    fail_sync: Arc<Mutex<bool>>,
}

impl Memory {
    /// The directory after a power cut that left `kept` bytes of each unsynced end, the last of them changed.
    fn after_power_cut(&self, kept: usize) -> Memory {
        let mut files = self.files.lock().clone();
        for stored in files.values_mut() {
            let end = stored.written.len().min(stored.synced.len() + kept);
            let mut left = stored.written[..end].to_vec();
            if let Some(last) = left[stored.synced.len().min(end)..].last_mut() {
                *last ^= 0x55;
            }
            *stored = Stored { synced: left.clone(), written: left };
        }
        Memory { files: Arc::new(Mutex::new(files)), ..Memory::default() }
    }

    /// The directory after kill -9: all that was written is there.
    fn after_kill(&self) -> Memory {
        let files = self.files.lock().clone();
        Memory { files: Arc::new(Mutex::new(files)), ..Memory::default() }
    }
}

impl Medium for Memory {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(self.files.lock().keys().copied().collect())
    }

    fn read(&self, file: u64) -> io::Result<Vec<u8>> {
        Ok(self.files.lock()[&file].written.clone())
    }

    fn read_at(&self, file: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let (files, offset) = (self.files.lock(), offset as usize);
        let bytes = files[&file].written.get(offset..offset + length);
        bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn create(&mut self, file: u64) -> io::Result<()> {
        self.files.lock().insert(file, Stored::default());
        self.current = file;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.lock().get_mut(&self.current).unwrap().written.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if *self.fail_sync.lock() {
            return Err(io::Error::other("no sync"));
        }
        let mut files = self.files.lock();
        let stored = files.get_mut(&self.current).unwrap();
        stored.synced = stored.written.clone();
        Ok(())
    }

    fn cut(&mut self, file: u64, length: u64) -> io::Result<()> {
        let mut files = self.files.lock();
        let stored = files.get_mut(&file).unwrap();
        stored.written.truncate(length as usize);
        stored.synced = stored.written.clone();
        Ok(())
    }

    fn remove(&mut self, file: u64) -> io::Result<()> {
        self.files.lock().remove(&file);
        Ok(())
    }
}

fn record(name: usize) -> Record {
    Record::to("t").value(format!("record {name}"))
}

fn numbered(producer: u128, number: u64) -> Record {
    let mut record = record(number as usize).partition(0);
    SequenceId { producer: Uuid::from_u128(producer), number }.write(&mut record.headers);
    record
}

fn waiting<M: Medium>(journal: &mut Journal<M>) -> Vec<Record> {
    journal.next(usize::MAX, usize::MAX).unwrap().into_iter().map(|(_, record)| record).collect()
}

fn open(memory: Memory) -> Journal<Memory> {
    Journal::open(memory, 200).unwrap()
}

#[test]
fn what_was_appended_survives_in_order_and_what_is_settled_goes() {
    let memory = Memory::default();
    let mut journal = open(memory.clone());
    for name in 0..20 {
        journal.append(vec![record(name)]).unwrap();
    }
    let files_before = journal.files.len();
    assert!(files_before > 2, "the test wants several files");
    let first: Vec<u64> = journal.next(15, usize::MAX).unwrap().iter().map(|(id, _)| *id).collect();
    journal.settle(&first).unwrap();
    assert!(journal.files.len() < files_before);
    let mut journal = open(memory.after_kill());
    assert_eq!(waiting(&mut journal), (15..20).map(record).collect::<Vec<_>>());
    assert_eq!(journal.torn_bytes + journal.damaged_bytes, 0);
    let rest: Vec<u64> = journal.entries.keys().copied().collect();
    journal.settle(&rest).unwrap();
    assert_eq!((journal.bytes(), journal.waiting()), (0, 0));
    journal.append(vec![record(99)]).unwrap();
    assert_eq!(waiting(&mut journal), [record(99)]);
}

#[test]
fn failed_sends_are_put_back_into_the_order_of_their_numbers() {
    let mut journal = open(Memory::default());
    for record in [numbered(1, 7), numbered(2, 1), numbered(1, 5), record(0), numbered(1, 6), numbered(2, 0)]
    {
        journal.append(vec![record]).unwrap();
    }
    journal.arrange();
    let expected =
        [numbered(1, 5), numbered(2, 0), numbered(1, 6), record(0), numbered(1, 7), numbered(2, 1)];
    assert_eq!(waiting(&mut journal), expected);
}

#[test]
fn a_number_once_given_is_kept_through_restarts() {
    let memory = Memory::default();
    let mut journal = open(memory.clone());
    journal.append(vec![record(1)]).unwrap();
    let id = journal.next(1, 1).unwrap()[0].0;
    let sequence = SequenceId { producer: Uuid::from_u128(3), number: 8 };
    journal.assign(vec![(id, 4, Some(sequence))]).unwrap();
    let found = waiting(&mut open(memory.after_power_cut(0)));
    assert_eq!(found[0].partition, Some(4));
    assert_eq!(SequenceId::of(&found[0].headers), Some(sequence));
}

#[test]
fn refused_records_stay_while_files_come_and_go() {
    let memory = Memory::default();
    let mut journal = open(memory.clone());
    journal.append(vec![record(0), record(1)]).unwrap();
    journal.refuse(0).unwrap();
    for round in 2..30 {
        journal.append(vec![record(round)]).unwrap();
        let (id, _) = journal.next(1, usize::MAX).unwrap()[0].clone();
        journal.settle(&[id]).unwrap();
    }
    assert!(journal.bytes() < 1000, "{} bytes", journal.bytes());
    let mut journal = open(memory.after_power_cut(0));
    assert_eq!(journal.refused().unwrap(), [(0, record(0))]);
    assert!(!waiting(&mut journal).contains(&record(0)));
    journal.settle(&[0]).unwrap();
    assert_eq!(journal.refused_count(), 0);
}

#[test]
fn damage_in_the_middle_costs_only_itself_and_is_counted() {
    let memory = Memory::default();
    let mut journal = Journal::open(memory.clone(), 1 << 20).unwrap();
    let mut ends = Vec::new();
    for name in 0..3 {
        journal.append(vec![record(name)]).unwrap();
        ends.push(journal.bytes() as usize);
    }
    memory.files.lock().get_mut(&1).unwrap().written[ends[0] + 20] ^= 1;
    let mut journal = open(memory.after_kill());
    assert_eq!(waiting(&mut journal), [record(0), record(2)]);
    assert_eq!(journal.damaged_bytes as usize, ends[1] - ends[0]);
}

#[test]
fn only_the_last_file_can_be_torn() {
    let memory = Memory::default();
    let mut journal = open(memory.clone());
    for name in 0..20 {
        journal.append(vec![record(name)]).unwrap();
    }
    let (&sealed, book) = journal.files.iter().nth(1).unwrap();
    let hit: Vec<u64> =
        journal.entries.values().filter(|one| one.place.file == sealed).map(|one| one.place.offset).collect();
    let (length, at) = (book.bytes, *hit.last().unwrap());
    assert!(journal.files.keys().any(|file| *file > sealed));
    memory.files.lock().get_mut(&sealed).unwrap().written[at as usize + 20] ^= 1;
    let before = memory.read(sealed).unwrap();
    let mut journal = open(memory.after_kill());
    assert_eq!((journal.damaged_bytes, journal.torn_bytes), (length - at, 0));
    assert_eq!(journal.medium.read(sealed).unwrap(), before, "what a person could still look at is there");
    assert_eq!(waiting(&mut journal).len(), 19);
    journal.append(vec![record(20)]).unwrap();
    assert_eq!(waiting(&mut journal).len(), 20);
}

#[test]
fn marks_that_a_killed_process_left_unsynced_are_synced_before_another_file_follows() {
    let memory = Memory::default();
    let mut journal = Journal::open(memory.clone(), 1 << 20).unwrap();
    journal.append((0..3).map(record).collect()).unwrap();
    journal.settle(&[0, 1]).unwrap();
    let second = memory.after_kill();
    open(second.clone()).append(vec![record(3)]).unwrap();
    let mut journal = open(second.after_power_cut(10));
    assert_eq!((journal.damaged_bytes, journal.torn_bytes), (0, 0));
    assert_eq!(waiting(&mut journal), [record(2), record(3)]);
}

#[test]
fn damage_that_comes_while_it_is_open_costs_only_itself_and_is_counted() {
    let memory = Memory::default();
    let mut journal = Journal::open(memory.clone(), 1 << 20).unwrap();
    journal.append((0..5).map(record).collect()).unwrap();
    journal.refuse(4).unwrap();
    let places: Vec<Place> = journal.entries.values().map(|entry| entry.place).collect();
    let hit = |place: Place| {
        memory.files.lock().get_mut(&place.file).unwrap().written[place.offset as usize + 20] ^= 1;
    };
    hit(places[1]);
    assert_eq!(waiting(&mut journal), [record(0), record(2), record(3)]);
    assert_eq!((journal.waiting(), journal.take_lost(), journal.take_lost()), (3, 1, 0));
    hit(places[2]);
    assert!(!journal.refuse(2).unwrap(), "there is nothing to keep");
    assert_eq!((journal.waiting(), journal.take_lost()), (2, 1));
    hit(places[4]);
    assert_eq!(journal.refused().unwrap(), []);
    assert_eq!((journal.refused_count(), journal.take_lost()), (0, 0));
    memory.files.lock().get_mut(&1).unwrap().written.truncate(places[3].offset as usize);
    assert_eq!(waiting(&mut journal), [record(0)]);
    let lost: usize = places[1..].iter().map(|place| place.length).sum();
    assert_eq!((journal.damaged_bytes as usize, journal.take_lost()), (lost, 1));
    journal.settle(&[0]).unwrap();
    assert_eq!((journal.bytes(), journal.waiting()), (0, 0), "what is lost keeps no file");
}

#[test]
fn the_topics_of_records_without_a_number_are_known() {
    let mut journal = open(Memory::default());
    let mut of_p = numbered(1, 0);
    of_p.topic = "p".into();
    journal.append(vec![record(0), of_p, Record::to("q").partition(1), Record::to("r")]).unwrap();
    journal.refuse(3).unwrap();
    assert_eq!(journal.unplaced_topics(), HashSet::from(["t".to_owned(), "q".to_owned()]));
}

#[test]
fn a_format_of_another_release_is_refused_and_not_touched() {
    let memory = Memory::default();
    open(memory.clone()).append(vec![record(0)]).unwrap();
    memory.files.lock().get_mut(&1).unwrap().written[..FILE_HEAD_BYTES].copy_from_slice(&frame::head_of(2));
    let before = memory.read(1).unwrap();
    let error = Journal::open(memory.clone(), 200).map(drop).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(memory.read(1).unwrap(), before);
}

#[test]
fn after_a_failed_sync_nothing_is_promised_any_more() {
    let memory = Memory::default();
    let mut journal = open(memory.clone());
    journal.append(vec![record(0)]).unwrap();
    *memory.fail_sync.lock() = true;
    assert!(journal.append(vec![record(1)]).is_err());
    *memory.fail_sync.lock() = false;
    assert!(journal.append(vec![record(2)]).is_err());
    assert_eq!(waiting(&mut journal), [record(0)]);
}

proptest! {
    /// Whatever happens before the power cut, all that was acknowledged and not settled is there after it.
    #[test]
    fn acknowledged_records_survive_power_cuts(
        steps in prop::collection::vec((0u8..10, 1usize..4), 1..40),
        kept in 0usize..300,
    ) {
        let memory = Memory::default();
        let journal = Rc::new(RefCell::new(open(memory.clone())));
        let (mut promised, mut name): (Vec<Record>, usize) = (Vec::new(), 0);
        for (step, count) in steps {
            let mut journal = journal.borrow_mut();
            if step < 7 {
                let records: Vec<Record> = (name..name + count).map(record).collect();
                name += count;
                journal.append(records.clone()).unwrap();
                promised.extend(records);
            } else {
                let done = journal.next(count, usize::MAX).unwrap();
                promised.retain(|record| !done.iter().any(|(_, one)| one == record));
                journal.settle(&done.iter().map(|(id, _)| *id).collect::<Vec<_>>()).unwrap();
            }
        }
        let mut after = open(memory.after_power_cut(kept));
        prop_assert_eq!(after.damaged_bytes, 0);
        let found = waiting(&mut after);
        let kept_promises: Vec<&Record> = found.iter().filter(|record| promised.contains(record)).collect();
        prop_assert_eq!(kept_promises, promised.iter().collect::<Vec<_>>());
    }
}
