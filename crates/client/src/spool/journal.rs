//! The spool's books: which records wait, where they stand, which files may go. Synchronous, over a [`Medium`]; it
//! knows no thread and no broker.
//!
//! Files are removed only from the front, because a `settled` frame may stand in a later file than its record.
//! Records that were refused are carried along to the newest file when theirs is due for removal.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
};

use super::{
    frame::{self, FILE_HEAD_BYTES, Frame},
    medium::Medium,
    recovery::{self, Recovered},
};
use crate::{planted::planted, record::Record, sequence::SequenceId};

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) length: usize,
}

/// A record that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    pub(super) sequence: Option<SequenceId>,
    pub(super) refused: bool,
}

/// The spool without its thread.
pub(super) struct Journal<M> {
    medium: M,
    file_bytes_max: u64,
    entries: BTreeMap<u64, Entry>,  // every record that is not settled, by id
    order: VecDeque<u64>,           // ids in the order of sending; may hold ids that are settled or refused
    files: BTreeMap<u64, FileBook>, // every file that exists; the last one is written, if `writing`
    writing: bool,
    id_next: u64, // above every id
    failed: bool, // a write or sync failed: what is on disk is not known, nothing more is promised
    pub(super) torn_bytes: u64,
    pub(super) damaged_bytes: u64,
    lost: u64, // records that waited and were found damaged, since they were last asked for
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FileBook {
    pub(super) bytes: u64,
    pub(super) entries: usize, // entries whose place is here
}

impl<M: Medium> Journal<M> {
    /// Reads what is there. A torn end is cut, damage anywhere else is passed over and counted, nothing else is lost.
    pub(super) fn open(mut medium: M, file_bytes_max: u64) -> io::Result<Journal<M>> {
        let Recovered { entries, files, id_next, torn_bytes, damaged_bytes } =
            recovery::recover(&mut medium)?;
        let mut journal = Journal {
            medium,
            file_bytes_max,
            entries,
            order: VecDeque::new(),
            files,
            writing: false,
            id_next,
            failed: false,
            torn_bytes,
            damaged_bytes,
            lost: 0,
        };
        journal.arrange();
        journal.remove_front()?;
        Ok(journal)
    }

    /// How many records wait to be sent.
    pub(super) fn waiting(&self) -> u64 {
        self.entries.values().filter(|entry| !entry.refused).count() as u64
    }

    /// The topics of which records wait without a partition or without a number.
    pub(super) fn unplaced_topics(&self) -> HashSet<String> {
        let unplaced = |entry: &&Entry| entry.partition.is_none() || entry.sequence.is_none();
        let waiting = self.entries.values().filter(|entry| !entry.refused);
        waiting.filter(unplaced).map(|entry| entry.topic.clone()).collect()
    }

    /// How many records that waited were struck off because they are damaged, since this was last asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// The ids and records that were refused.
    pub(super) fn refused(&mut self) -> io::Result<Vec<(u64, Record)>> {
        let ids: Vec<u64> =
            self.entries.iter().filter(|(_, entry)| entry.refused).map(|(id, _)| *id).collect();
        let mut refused = Vec::with_capacity(ids.len());
        for id in ids {
            refused.extend(self.read(id)?.map(|record| (id, record)));
        }
        Ok(refused)
    }

    /// How many were refused.
    pub(super) fn refused_count(&self) -> u64 {
        self.entries.values().filter(|entry| entry.refused).count() as u64
    }

    /// The bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Appends records and returns when they survive a power cut. All or none of them count.
    pub(super) fn append(&mut self, records: Vec<Record>) -> io::Result<()> {
        let first = self.id_next;
        let frames: Vec<Frame> =
            records.into_iter().zip(first..).map(|(record, id)| Frame::Record { id, record }).collect();
        self.id_next += frames.len() as u64;
        self.write(&frames, true)?;
        self.order.extend(first..self.id_next);
        Ok(())
    }

    /// Notes partitions and numbers, and returns when the notes survive: only then may the records be sent.
    pub(super) fn assign(&mut self, assigned: Vec<(u64, i32, Option<SequenceId>)>) -> io::Result<()> {
        let frames: Vec<Frame> = assigned
            .into_iter()
            .map(|(id, partition, sequence)| Frame::Assigned { id, partition, sequence })
            .collect();
        self.write(&frames, true)
    }

    /// Strikes records off. Not synced: if it is forgotten, they are sent again under their old numbers.
    pub(super) fn settle(&mut self, ids: &[u64]) -> io::Result<()> {
        let frames: Vec<Frame> = ids.iter().map(|&id| Frame::Settled { id }).collect();
        if let Err(error) = self.write(&frames, false) {
            // At least this process does not send them again.
            for id in ids {
                self.entries.remove(id);
            }
            return Err(error);
        }
        self.remove_front()
    }

    /// Strikes a refused record off.
    pub(super) fn discard(&mut self, id: u64) -> io::Result<()> {
        if self.entries.get(&id).is_some_and(|entry| entry.refused) {
            self.settle(&[id])?;
        }
        Ok(())
    }

    /// Keeps a record for a person; it is not sent again. False if it is not there to be kept.
    pub(super) fn refuse(&mut self, id: u64) -> io::Result<bool> {
        let record = self.read(id)?;
        let kept = record.is_some();
        if let Some(record) = record {
            self.write(&[Frame::Refused { id, record }], true)?;
        }
        self.remove_front()?;
        Ok(kept)
    }

    /// The next records to send, in order, until so many records or bytes.
    pub(super) fn next(&mut self, records_max: usize, bytes_max: usize) -> io::Result<Vec<(u64, Record)>> {
        while let Some(id) = self.order.front() {
            if self.entries.get(id).is_some_and(|entry| !entry.refused) {
                break;
            }
            self.order.pop_front();
        }
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        for at in 0..self.order.len() {
            let id = self.order[at];
            let Some(entry) = self.entries.get(&id).filter(|entry| !entry.refused) else { continue };
            bytes += entry.place.length;
            if chosen.len() == records_max || (bytes > bytes_max && !chosen.is_empty()) {
                break;
            }
            chosen.extend(self.read(id)?.map(|record| (id, record)));
        }
        Ok(chosen)
    }

    /// Puts what waits in the order of sending: by id, but by number within a producer's partition, because sends that
    /// failed come here in the order of their failures.
    pub(super) fn arrange(&mut self) {
        let waiting: Vec<(u64, &Entry)> =
            self.entries.iter().filter(|(_, entry)| !entry.refused).map(|(id, entry)| (*id, entry)).collect();
        let mut lanes: HashMap<_, Vec<(u64, u64)>> = HashMap::new();
        for (id, entry) in &waiting {
            if let (Some(partition), Some(sequence)) = (entry.partition, entry.sequence) {
                let lane = (entry.topic.as_str(), partition, sequence.producer);
                lanes.entry(lane).or_default().push((sequence.number, *id));
            }
        }
        let mut moved: HashMap<u64, u64> = HashMap::new();
        for mut lane in lanes.into_values() {
            let places: Vec<u64> = lane.iter().map(|(_, id)| *id).collect();
            lane.sort_unstable();
            moved.extend(places.into_iter().zip(lane.into_iter().map(|(_, id)| id)));
        }
        self.order = waiting.iter().map(|(id, _)| moved.get(id).copied().unwrap_or(*id)).collect();
    }

    /// A record as it is to be sent. None if it is not kept, or any more: a damaged one is struck off, because it would be in
    /// the way of all others for ever.
    fn read(&mut self, id: u64) -> io::Result<Option<Record>> {
        let Some(entry) = self.entries.get(&id) else { return Ok(None) };
        let bytes = match self.medium.read_at(entry.place.file, entry.place.offset, entry.place.length) {
            // The file was cut: that is damage too, and not the disk's refusal to read, which may pass.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Vec::new(),
            bytes => bytes?,
        };
        let Some((Frame::Record { mut record, .. } | Frame::Refused { mut record, .. }, _)) =
            Frame::decode(&bytes)
        else {
            self.lose(id);
            return Ok(None);
        };
        record.partition = entry.partition;
        if let Some(sequence) = entry.sequence {
            sequence.write(&mut record.headers);
        }
        Ok(Some(record))
    }

    fn lose(&mut self, id: u64) {
        let Some(Entry { place, topic, partition, sequence, refused }) = self.entries.get(&id) else {
            return;
        };
        let Place { file, offset, length } = *place;
        tracing::error!(
            topic,
            ?partition,
            ?sequence,
            refused,
            file,
            offset,
            length,
            "a record of the spool is damaged and lost"
        );
        self.damaged_bytes += length as u64;
        self.lost += u64::from(!refused);
        // Only in the books: should the disk give its bytes again after a restart, it is there again.
        let struck_off = Frame::Settled { id };
        recovery::note(&struck_off, Place { file, offset, length }, &mut self.entries, &mut self.files);
    }

    fn write(&mut self, frames: &[Frame], sync: bool) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write to the spool failed"));
        }
        let result = self.write_frames(frames, sync);
        self.failed |= result.is_err();
        result
    }

    fn write_frames(&mut self, frames: &[Frame], sync: bool) -> io::Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let file = self.file_to_write()?;
        let mut offset = self.files[&file].bytes;
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(frames.len());
        for frame in frames {
            let before = bytes.len();
            frame.encode(&mut bytes);
            let length = bytes.len() - before;
            places.push(Place { file, offset, length });
            offset += length as u64;
        }
        self.medium.append(&bytes)?;
        self.files.get_mut(&file).expect("just asked for").bytes = offset;
        match sync {
            true if planted("spool-not-synced") => {}
            true => self.medium.sync()?,
            false => self.medium.flush()?,
        }
        for (frame, place) in frames.iter().zip(places) {
            recovery::note(frame, place, &mut self.entries, &mut self.files);
        }
        Ok(())
    }

    fn file_to_write(&mut self) -> io::Result<u64> {
        let last = self.files.last_key_value().map(|(file, book)| (*file, book.bytes));
        match last {
            Some((file, bytes)) if self.writing && bytes < self.file_bytes_max => Ok(file),
            _ => {
                if self.writing {
                    // Marks in the file that is left may be unsynced; records in it never are.
                    self.medium.sync()?;
                }
                let file = last.map_or(1, |(file, _)| file + 1);
                self.medium.create(file)?;
                self.medium.append(&frame::file_head())?;
                self.files.insert(file, FileBook { bytes: FILE_HEAD_BYTES as u64, entries: 0 });
                self.writing = true;
                Ok(file)
            }
        }
    }

    fn remove_front(&mut self) -> io::Result<()> {
        while let Some((&file, book)) = self.files.first_key_value() {
            if book.entries > 0 {
                let here = |entry: &Entry| entry.place.file == file;
                let only_refused =
                    self.entries.values().filter(|entry| here(entry)).all(|entry| entry.refused);
                if !only_refused || self.files.len() == 1 {
                    return Ok(());
                }
                let moving: Vec<u64> =
                    self.entries.iter().filter(|(_, entry)| here(entry)).map(|(id, _)| *id).collect();
                for id in moving {
                    if let Some(record) = self.read(id)? {
                        self.write(&[Frame::Refused { id, record }], true)?;
                    }
                }
            }
            self.writing &= self.files.len() > 1;
            self.medium.remove(file)?;
            self.files.remove(&file);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
