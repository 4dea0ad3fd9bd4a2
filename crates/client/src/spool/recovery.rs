//! Reading a spool back: every whole frame counts, the last file's torn end is cut, damage is passed over and counted. It
//! repairs nothing that it cannot read.

use std::{collections::BTreeMap, io};

use super::{
    frame::{self, Frame, MARKER},
    journal::{Entry, FileBook, Place},
    medium::Medium,
};
use crate::sequence::SequenceId;

/// What the files say.
pub(super) struct Recovered {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) files: BTreeMap<u64, FileBook>,
    pub(super) id_next: u64,
    pub(super) torn_bytes: u64,
    pub(super) damaged_bytes: u64,
}

/// Reads all files in order.
pub(super) fn recover(medium: &mut impl Medium) -> io::Result<Recovered> {
    let mut found = Recovered {
        entries: BTreeMap::new(),
        files: BTreeMap::new(),
        id_next: 0,
        torn_bytes: 0,
        damaged_bytes: 0,
    };
    let files = medium.list()?;
    let last = files.last().copied();
    for file in files {
        let bytes = medium.read(file)?;
        found.files.insert(file, FileBook::default());
        let mut at = frame::frames_begin(&bytes).map_err(|version| {
            let text = format!("spool file {file} has format {version}, which this release does not know");
            io::Error::new(io::ErrorKind::Unsupported, text)
        })?;
        while at < bytes.len() {
            if let Some((frame, length)) = Frame::decode(&bytes[at..]) {
                let (Frame::Record { id, .. }
                | Frame::Refused { id, .. }
                | Frame::Assigned { id, .. }
                | Frame::Settled { id }) = &frame;
                found.id_next = found.id_next.max(id + 1);
                let place = Place { file, offset: at as u64, length };
                note(&frame, place, &mut found.entries, &mut found.files);
                at += length;
            } else if let Some(next) = next_whole_frame(&bytes, at + 1) {
                found.damaged_bytes += (next - at) as u64;
                at = next;
            } else if Some(file) == last {
                found.torn_bytes += (bytes.len() - at) as u64;
                break;
            } else {
                // A file is synced before another follows it: it was whole once.
                found.damaged_bytes += (bytes.len() - at) as u64;
                at = bytes.len();
            }
        }
        if Some(file) == last {
            // Also if nothing is torn: a process that was killed leaves marks that are not synced, and here another file will
            // follow.
            medium.cut(file, at as u64)?;
        }
        found.files.get_mut(&file).expect("inserted above").bytes = at as u64;
    }
    Ok(found)
}

fn next_whole_frame(bytes: &[u8], from: usize) -> Option<usize> {
    let starts = bytes.windows(MARKER.len()).enumerate().skip(from).filter(|(_, window)| *window == MARKER);
    starts.map(|(at, _)| at).find(|at| Frame::decode(&bytes[*at..]).is_some())
}

/// What a frame changes in the books; the same for frames that are read and frames that are written.
pub(super) fn note(
    frame: &Frame,
    place: Place,
    entries: &mut BTreeMap<u64, Entry>,
    files: &mut BTreeMap<u64, FileBook>,
) {
    match frame {
        Frame::Record { id, record } | Frame::Refused { id, record } => {
            let entry = Entry {
                place,
                topic: record.topic.clone(),
                partition: record.partition,
                sequence: SequenceId::of(&record.headers),
                refused: matches!(frame, Frame::Refused { .. }),
            };
            files.entry(place.file).or_default().entries += 1;
            leave(entries.insert(*id, entry), files);
        }
        Frame::Assigned { id, partition, sequence } => {
            if let Some(entry) = entries.get_mut(id) {
                entry.partition = Some(*partition);
                entry.sequence = *sequence;
            }
        }
        Frame::Settled { id } => leave(entries.remove(id), files),
    }
}

fn leave(entry: Option<Entry>, files: &mut BTreeMap<u64, FileBook>) {
    if let Some(book) = entry.and_then(|entry| files.get_mut(&entry.place.file)) {
        book.entries -= 1;
    }
}
