//! Reads the whole log of a stopped node for verification: every group, every record, every damage. It changes nothing
//! and goes on behind each damage as far as anything can be recognized.

use crate::disk::{Disk, OpenMode};

use super::{
    error::WalOpenError,
    format::{FLAG_CLOSING, FLAG_OPENING, FLAG_SNAPSHOT, GROUP_HEADER_BYTES, GroupHeader},
    group::MetaRecord,
    index::Index,
    recovery::{Found, missing_entries, replay, walk_error},
    walk::{Event, walk},
};

/// What is met, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanItem<'a> {
    /// A commit group, whole and checked.
    Group {
        /// The file, relative to the data directory.
        file: &'a str,
        /// Where it begins.
        position: u64,
        /// Its number.
        sequence: u64,
        /// The newest group that was synced when it was written.
        synced: u64,
        /// Bytes on disk.
        bytes: u64,
        /// Records in it.
        records: usize,
        /// It acknowledges nothing: a closing, opening or snapshot group.
        bare: bool,
    },
    /// A record of the group before.
    Record {
        /// The file, relative to the data directory.
        file: &'a str,
        /// Where its payload begins, for an entry; else where its group does.
        position: u64,
        /// The record, without its payload.
        record: &'a MetaRecord<'a>,
    },
    /// Something that was written is not there; what follows is behind it.
    Damage {
        /// The file, relative to the data directory.
        file: &'a str,
        /// Where.
        position: u64,
        /// What is wrong.
        reason: &'a str,
        /// The group that should be there.
        group: u64,
    },
    /// The last group is not whole and nothing is behind it: an interrupted write, which acknowledged nothing.
    TornTail {
        /// The file, relative to the data directory.
        file: &'a str,
        /// Where.
        position: u64,
        /// What is wrong.
        reason: &'a str,
    },
}

/// What there was in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Files of the chain.
    pub files: usize,
    /// Whole groups.
    pub groups: u64,
    /// Records in them.
    pub records: u64,
    /// Damaged places.
    pub damages: u64,
}

/// Reads the log in `directory` and shows `visit` all of it.
pub fn scan(
    disk: &dyn Disk,
    directory: &str,
    visit: &mut dyn FnMut(ScanItem<'_>),
) -> Result<ScanSummary, WalOpenError> {
    let found = Found::list(disk, directory, OpenMode::Read)?;
    let files = &found.files;
    let mut index = Index::default();
    let mut summary = ScanSummary { files: files.len(), ..ScanSummary::default() };
    let end = walk(files, &mut |event| match event {
        Event::File(_) | Event::Newer(_) => {}
        Event::Group { file, header, records } => {
            summary.groups += 1;
            summary.records += records.len() as u64;
            let file = &files[file].path;
            show_group(file, header, records, visit);
            // Behind a damage entries need not follow.
            if summary.damages == 0
                && let Err(reason) = replay(&mut index, header, records)
            {
                summary.damages += 1;
                visit(ScanItem::Damage {
                    file,
                    position: header.position,
                    reason: &reason,
                    group: header.sequence,
                });
            }
        }
        Event::Bad(bad) => {
            summary.damages += 1;
            let file = &files[bad.file].path;
            visit(ScanItem::Damage {
                file,
                position: bad.position,
                reason: &bad.reason,
                group: bad.expected,
            });
        }
    })
    .map_err(walk_error)?;
    if let (Some((_, reason)), Some(file)) = (&end.torn, end.file) {
        visit(ScanItem::TornTail { file: &files[file].path, position: end.position, reason });
    }
    if summary.damages == 0
        && let Some((file, position, reason)) =
            missing_entries(&index, files, &end, found.missing_before.as_ref())
    {
        summary.damages += 1;
        visit(ScanItem::Damage { file: &file, position, reason: &reason, group: end.expected });
    }
    Ok(summary)
}

fn show_group(
    file: &str,
    header: &GroupHeader,
    records: &[MetaRecord<'_>],
    visit: &mut dyn FnMut(ScanItem<'_>),
) {
    visit(ScanItem::Group {
        file,
        position: header.position,
        sequence: header.sequence,
        synced: header.synced,
        bytes: header.size_bytes(),
        records: records.len(),
        bare: header.flags & (FLAG_CLOSING | FLAG_OPENING | FLAG_SNAPSHOT) != 0,
    });
    let mut payload = header.position + GROUP_HEADER_BYTES as u64 + u64::from(header.meta_bytes);
    for record in records {
        let mut position = header.position;
        if let MetaRecord::Entry { length, .. } = record {
            position = payload;
            payload += u64::from(*length);
        }
        visit(ScanItem::Record { file, position, record });
    }
}
