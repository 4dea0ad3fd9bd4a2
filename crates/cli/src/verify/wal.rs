//! The write-ahead log: every damage in it, and where each entry is. Payloads are read later, one at a time.

use std::collections::BTreeMap;

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup, Term};
use tallymq_storage::{
    disk::{Disk, OpenMode},
    wal::{MetaRecord, ScanItem, scan},
};

use super::Report;

/// Where the log is.
const DIRECTORY: &str = "wal";

/// Where an entry's payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// Its term.
    pub term: Term,
    /// The file.
    pub file: String,
    /// Where in it.
    pub position: u64,
    /// How long.
    pub bytes: u32,
}

/// One group's part of the log.
#[derive(Clone, Debug, Default)]
pub struct GroupLog {
    /// Entries through this one are covered by a checkpoint.
    pub purged_through: LogIndex,
    /// The entries that are there.
    pub entries: BTreeMap<LogIndex, EntryPlace>,
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By group.
    pub groups: BTreeMap<RaftGroup, GroupLog>,
}

/// Scans all of it.
pub fn read(disk: &dyn Disk, report: &mut Report) -> Log {
    let mut log = Log::default();
    let scanned = scan(disk, DIRECTORY, &mut |item| match item {
        ScanItem::Group { .. } => report.counts.wal_groups += 1,
        ScanItem::Record { file, position, record } => log.take(file, position, record),
        ScanItem::Damage { file, position, reason, group } => {
            report.damage(file, position, format!("{reason} (commit group {group})"));
        }
        ScanItem::TornTail { file, position, reason } => {
            report.note(
                file,
                position,
                format!("an interrupted write at the end, never acknowledged: {reason}"),
            );
        }
    });
    if let Err(error) = scanned {
        report.damage(DIRECTORY, 0, error.to_string());
    }
    log
}

impl Log {
    fn take(&mut self, file: &str, position: u64, record: &MetaRecord<'_>) {
        match *record {
            MetaRecord::Entry { group, index, term, length, .. } => {
                let place = EntryPlace { term, file: file.to_owned(), position, bytes: length };
                self.groups.entry(group).or_default().entries.insert(index, place);
            }
            MetaRecord::Truncate { group, from } => {
                self.groups.entry(group).or_default().entries.split_off(&from);
            }
            MetaRecord::Purge { group, through } => self.purge(group, through),
            MetaRecord::Snapshot { group, ref state } => self.purge(group, state.purged),
            MetaRecord::Vote { .. } => {}
        }
    }

    fn purge(&mut self, group: RaftGroup, through: LogIndex) {
        let log = self.groups.entry(group).or_default();
        log.purged_through = log.purged_through.max(through);
    }
}

impl GroupLog {
    /// Whether every entry from `from` to the last one is there. Also if there is none at all.
    pub fn reaches_back_to(&self, from: LogIndex) -> bool {
        match self.entries.last_key_value() {
            Some((last, _)) if *last >= from => {
                self.entries.range(from..).count() as u64 == last.0 - from.0 + 1
            }
            _ => true,
        }
    }
}

/// Reads an entry's payload.
pub fn payload(disk: &dyn Disk, place: &EntryPlace) -> Result<Bytes, String> {
    let read = || -> std::io::Result<Option<Bytes>> {
        let file = disk.open(&place.file, OpenMode::Read)?;
        // The scan has seen these bytes, so their number is not a wild one.
        let mut payload = vec![0; place.bytes as usize];
        let read = file.read_at(&mut payload, place.position)?;
        Ok((read == payload.len()).then(|| payload.into()))
    };
    match read() {
        Ok(Some(payload)) => Ok(payload),
        Ok(None) => Err("the file ends inside of the entry".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(indexes: &[u64]) -> GroupLog {
        let place = EntryPlace { term: Term(1), file: String::new(), position: 0, bytes: 0 };
        let entries = indexes.iter().map(|index| (LogIndex(*index), place.clone())).collect();
        GroupLog { purged_through: LogIndex(0), entries }
    }

    #[test]
    fn a_hole_is_seen_and_an_end_is_not_one() {
        assert!(log(&[3, 4, 5]).reaches_back_to(LogIndex(3)));
        assert!(log(&[3, 4, 5]).reaches_back_to(LogIndex(5)));
        assert!(log(&[3, 4, 5]).reaches_back_to(LogIndex(6)), "nothing is needed");
        assert!(!log(&[3, 4, 5]).reaches_back_to(LogIndex(2)));
        assert!(!log(&[3, 5]).reaches_back_to(LogIndex(3)));
        assert!(log(&[]).reaches_back_to(LogIndex(1)));
    }
}
