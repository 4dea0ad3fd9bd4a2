//! Before the first use of a partition's files: cuts them to the position that the log was opened at. Only the
//! checkpoint says what was synced; whatever is behind it comes again from the WAL, perhaps with other segment
//! boundaries. A file that lacks what was synced is damaged: it is left as it is for readers to be told, and never
//! written to again.

use std::{
    io,
    sync::atomic::Ordering::{Acquire, Release},
};

use tallymq_model::Offset;

use super::{
    error::Damage,
    index,
    names::{self, FileKind},
    partition::PartitionLog,
    position::SegmentPosition,
};
use crate::disk::OpenMode;

/// The disk failed while files were cut; the same is tried again by the next one who needs them.
pub(super) struct PrepareFailed {
    pub path: String,
    pub source: io::Error,
}

impl PartitionLog {
    /// Makes the files agree with the position, once.
    pub(super) fn prepare(&self) -> Result<(), PrepareFailed> {
        if self.prepared.load(Acquire) {
            return Ok(());
        }
        let _preparing = self.preparing.lock();
        if self.prepared.load(Acquire) {
            return Ok(());
        }
        let (segments, log_end) = {
            let state = self.state.lock();
            (state.segments.clone(), state.written_end)
        };
        let first = segments.first().map_or(log_end, |first| first.base);
        let dir = names::partition_dir(self.topic_partition());
        let failed = |path: &str| {
            let path = path.to_owned();
            move |source| PrepareFailed { path, source }
        };
        let entries = match self.shared.disk.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(failed(&dir))?,
        };
        let mut hidden = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let kind = names::parse_file(&entry.name);
            let (Some(FileKind::Segment(base)) | Some(FileKind::Index(base))) = kind else {
                continue;
            };
            if segments.iter().any(|segment| segment.base == base) {
                continue;
            }
            if base < first {
                hidden.push(base);
            } else if !tallymq_model::planted("segment-not-cut") {
                let path = format!("{dir}/{}", entry.name);
                self.shared.disk.remove_file(&path).map_err(failed(&path))?;
                self.shared.dir_changed(dir.clone());
            }
        }
        hidden.dedup();
        self.state.lock().adopt(&hidden);
        if let Some(last) = segments.last() {
            self.cut_last(last)?;
        }
        self.prepared.store(true, Release);
        Ok(())
    }

    fn cut_last(&self, last: &SegmentPosition) -> Result<(), PrepareFailed> {
        let path = names::segment(self.topic_partition(), last.base);
        let failed = |source| PrepareFailed { path: path.clone(), source };
        let file = match self.shared.disk.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.lose(Damage { file: path, position: 0, reason: "the file is missing".to_owned() });
                return Ok(());
            }
            opened => opened.map_err(failed)?,
        };
        let size_bytes = file.size_bytes().map_err(failed)?;
        if size_bytes < last.bytes {
            let reason = format!("the file ends here, {} bytes were synced", last.bytes);
            self.lose(Damage { file: path, position: size_bytes, reason });
            return Ok(());
        }
        if size_bytes > last.bytes && !tallymq_model::planted("segment-not-cut") {
            file.set_size(last.bytes).map_err(failed)?;
        }
        let index_bytes = self.cut_index(last.base, last.bytes)?;
        self.state.lock().index_file_bytes = index_bytes;
        Ok(())
    }

    /// Cuts the last segment's index where it points behind the position. Returns the bytes that stay.
    fn cut_index(&self, base: Offset, segment_bytes: u64) -> Result<u64, PrepareFailed> {
        let path = names::index(self.topic_partition(), base);
        let failed = |source| PrepareFailed { path: path.clone(), source };
        let file = match self.shared.disk.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened.map_err(failed)?,
        };
        let size_bytes = file.size_bytes().map_err(failed)?;
        let bytes = index::read_file(&*file, segment_bytes).map_err(failed)?;
        let kept = index::decode(base, &bytes, segment_bytes).kept_bytes;
        drop(file);
        if kept == 0 {
            self.shared.disk.remove_file(&path).map_err(failed)?;
            self.shared.dir_changed(names::partition_dir(self.topic_partition()));
        } else if kept < size_bytes {
            let file = self.shared.disk.open(&path, OpenMode::Write).map_err(failed)?;
            file.set_size(kept).map_err(failed)?;
        }
        Ok(kept)
    }

    /// The last segment lacks synced bytes: nothing is appended to it, what comes goes into a new one.
    fn lose(&self, damage: Damage) {
        self.state.lock().active = None;
        self.shared.report(damage);
    }
}
