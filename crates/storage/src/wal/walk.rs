//! Walks the chain of groups through the files, oldest first, and reports what it finds in order: each good group, and
//! each place where a group that should be there is not. It judges nothing and changes nothing: recovery and
//! verification decide what a bad place means.

use std::{io, sync::Arc};

use crate::disk::File;

use super::{
    format::{FileHeader, FileHeaderError, GROUP_HEADER_BYTES, GroupHeader, PAGE_BYTES},
    group::{MetaRecord, parse_body},
};

/// A file of the log, in order and without a gap.
pub(super) struct WalkFile {
    pub(super) sequence: u64,
    pub(super) path: String,
    pub(super) file: Arc<dyn File>,
    pub(super) size_bytes: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// Position in the list of files.
    pub(super) file: usize,
    pub(super) position: u64,
    pub(super) reason: String,
    /// The group that should be there.
    pub(super) expected: u64,
    /// No interrupted write looks like this.
    pub(super) certain: bool,
}

/// What the walk meets.
pub(super) enum Event<'a> {
    /// A file with a good header begins.
    File(FileHeader),
    /// A group, whole and checked.
    Group { file: usize, header: &'a GroupHeader, records: &'a [MetaRecord<'a>] },
    /// A bad place; what follows is newer than it.
    Bad(Bad),
    /// The header of the group behind a bad place, whose body may be bad too.
    Newer(&'a GroupHeader),
}

/// Where the chain ends.
#[derive(Debug, Default)]
pub(super) struct ChainEnd {
    /// Position in the list of files, of the last one that has a group.
    pub(super) file: Option<usize>,
    /// Behind its last group.
    pub(super) position: u64,
    /// The next group's sequence.
    pub(super) expected: u64,
    /// The newest epoch met.
    pub(super) epoch: u64,
    /// A last group that has a header and no whole body: its bytes.
    pub(super) torn: Option<(u64, String)>,
}

/// Why a walk stops early.
pub(super) enum WalkError {
    UnknownVersion { path: String, version: u32 },
    Io { path: String, error: io::Error },
}

/// Walks all files.
pub(super) fn walk(files: &[WalkFile], visit: &mut dyn FnMut(Event<'_>)) -> Result<ChainEnd, WalkError> {
    let mut walk =
        Walk { visit, end: ChainEnd::default(), begun: false, broken: None, headerless: Vec::new() };
    for (number, file) in files.iter().enumerate() {
        let failed = |error| WalkError::Io { path: file.path.clone(), error };
        let mut window = Window { file, start: 0, bytes: Vec::new() };
        let header = FileHeader::parse(window.bytes(0, PAGE_BYTES).map_err(failed)?);
        if let Err(FileHeaderError::UnknownVersion(version)) = header {
            return Err(WalkError::UnknownVersion { path: file.path.clone(), version });
        }
        let header = header.ok().filter(|header| header.sequence == file.sequence);
        walk.enter(number, file, header);
        walk.groups(number, &mut window, header.is_some()).map_err(failed)?;
    }
    Ok(walk.end)
}

struct Walk<'v> {
    visit: &'v mut dyn FnMut(Event<'_>),
    end: ChainEnd,
    /// A group or a file header said what comes next.
    begun: bool,
    /// The end of the file before, in case the next file shows that something is missing there.
    broken: Option<Bad>,
    /// Files with nothing in them that can be read, in case a later one shows that there must have been.
    headerless: Vec<usize>,
}

impl Walk<'_> {
    fn bad(&mut self, file: usize, position: u64, reason: impl Into<String>, certain: bool) {
        let bad = Bad { file, position, reason: reason.into(), expected: self.end.expected, certain };
        (self.visit)(Event::Bad(bad));
    }

    /// Begins a file.
    fn enter(&mut self, number: usize, file: &WalkFile, header: Option<FileHeader>) {
        if self.end.torn.take().is_some() {
            self.report_broken();
        }
        if file.size_bytes < 2 * PAGE_BYTES {
            self.bad(number, file.size_bytes, "the file is cut short", true);
        }
        let Some(header) = header else {
            self.headerless.push(number);
            return;
        };
        self.report_headerless();
        if header.size_bytes != file.size_bytes {
            let reason = format!("the file has {} bytes instead of {}", file.size_bytes, header.size_bytes);
            self.bad(number, file.size_bytes.min(header.size_bytes), reason, true);
        }
        if self.begun && header.first_group > self.end.expected {
            self.report_broken();
        }
        self.broken = None;
        if !self.begun || header.first_group > self.end.expected {
            self.end.expected = header.first_group;
            self.begun = true;
        }
        self.end.epoch = self.end.epoch.max(header.epoch);
        (self.visit)(Event::File(header));
    }

    /// What ended the file before was not its end.
    fn report_broken(&mut self) {
        if let Some(bad) = self.broken.take() {
            (self.visit)(Event::Bad(bad));
        }
    }

    /// Walks the groups of a file.
    fn groups(&mut self, number: usize, window: &mut Window<'_>, mut header_good: bool) -> io::Result<()> {
        let mut position = PAGE_BYTES;
        let size_bytes = window.file.size_bytes;
        let mut reason = "the file ends".to_owned();
        let mut torn = None;
        while position + PAGE_BYTES <= size_bytes {
            let found = window.header(position)?;
            let next = found.filter(|header| self.follows(header));
            let newer = found.filter(|header| self.is_newer(header)).map(|_| position);
            let outcome = match &next {
                None => Err("no group follows here".to_owned()),
                Some(header) => self.group(number, window, header, &mut header_good)?,
            };
            match outcome {
                Ok(bytes) => {
                    position += bytes;
                    continue;
                }
                Err(why) => reason = why,
            }
            torn = next.map(|header| (header.size_bytes(), reason.clone()));
            let Some(resume) =
                newer.map_or_else(|| self.search(window, position + PAGE_BYTES), |at| Ok(Some(at)))?
            else {
                if let Some(at) = self.search_misplaced(window, position)? {
                    let reason =
                        format!("a group that is not older lies at byte {at}, where it was not written");
                    self.bad(number, position, reason, true);
                }
                break;
            };
            self.report_header(number, &mut header_good);
            self.report_broken();
            self.bad(number, position, reason.clone(), false);
            if let Some(header) = window.header(resume)? {
                (self.visit)(Event::Newer(&header));
                self.end.expected = header.sequence;
            }
            self.begun = true;
            position = resume;
            torn = None;
        }
        if header_good || self.broken.is_none() {
            // A file is synced to its end before the next one gets its name.
            let certain = torn.is_some();
            self.broken = Some(Bad { file: number, position, reason, expected: self.end.expected, certain });
        }
        if self.end.file == Some(number) {
            self.end.position = position;
            self.end.torn = torn;
        }
        Ok(())
    }

    /// Reads the group behind `header`. `Ok(Err(why))` if its body is bad.
    fn group(
        &mut self,
        number: usize,
        window: &mut Window<'_>,
        header: &GroupHeader,
        header_good: &mut bool,
    ) -> io::Result<Result<u64, String>> {
        let size_bytes = header.size_bytes();
        if header.position + size_bytes > window.file.size_bytes {
            return Ok(Err("the group is cut short".to_owned()));
        }
        let bytes =
            window.bytes(header.position, GROUP_HEADER_BYTES as u64 + u64::from(header.body_bytes))?;
        let records = match parse_body(header, bytes.get(GROUP_HEADER_BYTES..).unwrap_or_default()) {
            Ok(records) => records,
            Err(why) => return Ok(Err(why.to_owned())),
        };
        self.headerless.retain(|file| *file != number);
        self.report_headerless();
        self.report_header(number, header_good);
        if self.begun && header.sequence > self.end.expected {
            self.report_broken();
        }
        self.broken = None;
        self.begun = true;
        self.end.file = Some(number);
        self.end.expected = header.sequence + 1;
        self.end.epoch = self.end.epoch.max(header.epoch);
        (self.visit)(Event::Group { file: number, header, records: &records });
        Ok(Ok(size_bytes))
    }

    /// A file gets its header before the next one gets its name.
    fn report_headerless(&mut self) {
        for number in std::mem::take(&mut self.headerless) {
            self.bad(number, 0, "the file header is damaged", true);
        }
    }

    /// A file with groups and without a header: its header was synced before the first of them.
    fn report_header(&mut self, number: usize, header_good: &mut bool) {
        if !std::mem::replace(header_good, true) {
            self.bad(number, 0, "the file header is damaged", true);
        }
    }

    fn follows(&self, header: &GroupHeader) -> bool {
        !self.begun
            || (header.sequence == self.end.expected && header.epoch >= self.end.epoch)
            || tallymq_model::planted("stale-group-replayed")
    }

    fn is_newer(&self, header: &GroupHeader) -> bool {
        !self.begun || header.sequence > self.end.expected
    }

    /// A place that has the header of a group of this file, not older than the one expected, that was written elsewhere
    /// in it. No interrupted write moves a group.
    fn search_misplaced(&self, window: &mut Window<'_>, from: u64) -> io::Result<Option<u64>> {
        let sequence = window.file.sequence;
        for position in (from..window.file.size_bytes).step_by(PAGE_BYTES as usize) {
            let header = GroupHeader::parse_anywhere(window.bytes(position, PAGE_BYTES)?, sequence);
            if header.is_some_and(|header| {
                header.position != position && self.begun && header.sequence >= self.end.expected
            }) {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// The next place that has the header of a newer group.
    fn search(&self, window: &mut Window<'_>, from: u64) -> io::Result<Option<u64>> {
        let mut position = from;
        while position + PAGE_BYTES <= window.file.size_bytes {
            if window.header(position)?.is_some_and(|header| self.is_newer(&header)) {
                return Ok(Some(position));
            }
            position += PAGE_BYTES;
        }
        Ok(None)
    }
}

/// Bytes read ahead.
const WINDOW_BYTES: u64 = 256 << 10;

/// A file read in large pieces.
struct Window<'f> {
    file: &'f WalkFile,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// `length` bytes from `position` on, or what the file has of them.
    fn bytes(&mut self, position: u64, length: u64) -> io::Result<&[u8]> {
        let length = length.min(self.file.size_bytes.saturating_sub(position));
        if position < self.start || position + length > self.start + self.bytes.len() as u64 {
            let wanted = length.max(WINDOW_BYTES).min(self.file.size_bytes.saturating_sub(position));
            self.bytes.resize(wanted as usize, 0);
            let read = self.file.file.read_at(&mut self.bytes, position)?;
            self.bytes.truncate(read);
            self.start = position;
        }
        let from = (position - self.start) as usize;
        let end = (from + length as usize).min(self.bytes.len());
        Ok(self.bytes.get(from..end).unwrap_or_default())
    }

    fn header(&mut self, position: u64) -> io::Result<Option<GroupHeader>> {
        let sequence = self.file.sequence;
        Ok(GroupHeader::parse(self.bytes(position, PAGE_BYTES)?, sequence, position))
    }
}
