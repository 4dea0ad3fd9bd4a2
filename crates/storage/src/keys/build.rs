//! Builds one index, a bounded step at a time, in bounded memory. What is not finished has another name and counts for nothing;
//! nothing is synced, because what a power cut leaves of an index is refused by its checksums.

use std::{io, sync::Arc};

use tallymq_model::{BatchHeader, Offset, TopicPartition};
use thiserror::Error;

use super::{
    format::{self, BlockWriter, Facts, UNREAD_MAX},
    names,
    posting::{KeyHash, Posting, PostingSum, unread_term},
    sort::{Merge, Sorter},
};
use crate::{
    disk::{Disk, File, OpenMode},
    log::{BatchRange, ReadError},
};

/// Bytes of batches that a step reads, about.
const STEP_BYTES: u64 = 1 << 20;
/// Postings that a step writes.
const STEP_POSTINGS: usize = 1 << 16;

/// Finds the keys of the records in a batch (its header, all its bytes) and gives each to the sink.
pub type Extract<'a> = dyn FnMut(&BatchHeader, &[u8], &mut dyn FnMut(&[u8])) -> Result<(), Unreadable> + 'a;

/// The records of a batch cannot be read. Whoever looks a key up has to try the batch himself.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the records of the batch cannot be read")]
pub struct Unreadable;

/// Why there is no index.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The log could not be read; what is damaged has no index.
    #[error("at offset {at}: {source}")]
    Log {
        /// From here on.
        at: Offset,
        /// Why.
        source: ReadError,
    },
    /// The disk failed, or is full.
    #[error("{file}: {source}")]
    Io {
        /// Path of the file, relative to the data directory.
        file: String,
        /// The disk's answer.
        source: io::Error,
    },
    /// Too many batches have records that cannot be read.
    #[error("more than {UNREAD_MAX} batches have records that cannot be read")]
    Unreadable,
    /// What was put into a file to be sorted came back as something else.
    #[error("postings changed while they were sorted")]
    Changed,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// Read so many bytes of the log.
    Read(u64),
    /// Wrote so many bytes of the index.
    Wrote(u64),
    /// The index is there.
    Done(Facts),
}

/// An index that is being built.
pub struct Build {
    disk: Arc<dyn Disk>,
    facts: Facts,
    unread: Vec<u32>,
    phase: Phase,
}

enum Phase {
    Reading(BatchRange, Sorter),
    Writing(Writing),
    Over,
}

struct Writing {
    merge: Merge,
    blocks: BlockWriter,
    file: Arc<dyn File>,
    at: u64,
    written: PostingSum,
}

impl Build {
    /// Of this part of a log. `disk` is the one that the log is on.
    pub fn begin(disk: Arc<dyn Disk>, tp: TopicPartition, range: BatchRange) -> Result<Build, BuildError> {
        Self::with_sorter(disk, tp, range, Sorter::new)
    }

    /// The same, sorting so many postings at a time.
    pub fn with_runs(
        disk: Arc<dyn Disk>,
        tp: TopicPartition,
        range: BatchRange,
        postings: usize,
    ) -> Result<Build, BuildError> {
        Self::with_sorter(disk, tp, range, |path| Sorter::with_runs(path, postings))
    }

    fn with_sorter(
        disk: Arc<dyn Disk>,
        tp: TopicPartition,
        range: BatchRange,
        sorter: impl FnOnce(String) -> Sorter,
    ) -> Result<Build, BuildError> {
        let (from, to) = (range.from(), range.to());
        let facts = Facts {
            tp,
            from,
            to,
            log_bytes: 0,
            batches: 0,
            postings: PostingSum::default(),
            blocks: 0,
            unread: 0,
        };
        let sorter = sorter(names::sorting(tp, from));
        let build = Build { disk, facts, unread: Vec::new(), phase: Phase::Reading(range, sorter) };
        let dir = names::partition_dir(tp);
        build.disk.create_dir(&dir).map_err(failed(&dir))?;
        build.remove_unfinished();
        Ok(build)
    }

    /// Does a bounded part of it. After an error or [`BuildStep::Done`] there is nothing more to do.
    pub fn step(&mut self, extract: &mut Extract<'_>) -> Result<BuildStep, BuildError> {
        let done = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Reading(range, sorter) => self.read(range, sorter, extract)?,
            Phase::Writing(writing) => self.write(writing)?,
            Phase::Over => BuildStep::Done(self.facts),
        };
        Ok(done)
    }

    fn read(
        &mut self,
        mut range: BatchRange,
        mut sorter: Sorter,
        extract: &mut Extract<'_>,
    ) -> Result<BuildStep, BuildError> {
        let mut hashes: Vec<KeyHash> = Vec::new();
        let (facts, unread) = (&mut self.facts, &mut self.unread);
        let bytes = range.read(STEP_BYTES, &mut |header, batch| {
            let relative = (header.base_offset.0 - facts.from.0) as u32;
            hashes.clear();
            facts.batches += 1;
            facts.log_bytes += batch.len() as u64;
            if extract(header, batch, &mut |key| hashes.push(KeyHash::of(key))).is_err() {
                unread.push(relative);
                return;
            }
            hashes.sort_unstable();
            hashes.dedup();
            for hash in &hashes {
                facts.postings.add(*hash, relative);
                sorter.push(Posting { hash: *hash, relative });
            }
        });
        let bytes = bytes.map_err(|source| BuildError::Log { at: range.next(), source })?;
        if unread.len() > UNREAD_MAX {
            return Err(BuildError::Unreadable);
        }
        let sorting = names::sorting(self.facts.tp, self.facts.from);
        if bytes > 0 {
            sorter.settle(&*self.disk).map_err(failed(&sorting))?;
            self.phase = Phase::Reading(range, sorter);
            return Ok(BuildStep::Read(bytes));
        }
        let path = names::unfinished(self.facts.tp, self.facts.from);
        let file = self.disk.open(&path, OpenMode::Create).map_err(failed(&path))?;
        let identity = format::identity(self.facts.tp, self.facts.from, self.facts.to);
        self.phase = Phase::Writing(Writing {
            merge: sorter.finish(&*self.disk).map_err(failed(&sorting))?,
            blocks: BlockWriter::new(identity),
            file,
            at: format::HEADER_BYTES as u64,
            written: PostingSum::default(),
        });
        Ok(BuildStep::Wrote(0))
    }

    fn write(&mut self, mut writing: Writing) -> Result<BuildStep, BuildError> {
        let path = names::unfinished(self.facts.tp, self.facts.from);
        let sorting = names::sorting(self.facts.tp, self.facts.from);
        let mut out = Vec::new();
        for _ in 0..STEP_POSTINGS {
            let Some(posting) = writing.merge.next().map_err(failed(&sorting))? else {
                writing.blocks.finish(&mut out);
                writing.file.write_at(&[&out], writing.at).map_err(failed(&path))?;
                return self.finish(writing);
            };
            if tallymq_model::planted("key-posting-dropped") && posting.hash.0 % 64 == 0 {
                continue;
            }
            writing.written.add(posting.hash, posting.relative);
            writing.blocks.push(posting, &mut out);
        }
        writing.file.write_at(&[&out], writing.at).map_err(failed(&path))?;
        writing.file.start_writeback(writing.at, out.len() as u64);
        writing.at += out.len() as u64;
        self.phase = Phase::Writing(writing);
        Ok(BuildStep::Wrote(out.len() as u64))
    }

    fn finish(&mut self, writing: Writing) -> Result<BuildStep, BuildError> {
        let Facts { tp, from, to, .. } = self.facts;
        if writing.written != self.facts.postings && !tallymq_model::planted("key-posting-dropped") {
            return Err(BuildError::Changed);
        }
        self.facts.blocks = writing.blocks.firsts.len() as u32;
        self.facts.unread = self.unread.len() as u32;
        let sum = &mut self.facts.postings.sum;
        self.unread.iter().for_each(|relative| *sum = sum.wrapping_add(unread_term(*relative)));
        let path = names::unfinished(tp, from);
        let table =
            format::encode_table(format::identity(tp, from, to), &writing.blocks.firsts, &self.unread);
        let header = format::encode_header(&self.facts);
        writing.file.write_at(&[&table], self.facts.table_at()).map_err(failed(&path))?;
        writing.file.write_at(&[&header], 0).map_err(failed(&path))?;
        writing.file.start_writeback(0, self.facts.file_bytes());
        drop(writing);
        self.disk.rename(&path, &names::index(tp, from)).map_err(failed(&path))?;
        Ok(BuildStep::Done(self.facts))
    }

    /// Best effort: what stays is removed at the next start, and counts for nothing until then.
    fn remove_unfinished(&self) {
        let Facts { tp, from, .. } = self.facts;
        for path in [names::unfinished(tp, from), names::sorting(tp, from)] {
            match self.disk.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path, "an unfinished index of keys stays");
                }
                _ => {}
            }
        }
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        self.remove_unfinished();
    }
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> BuildError {
    let file = path.to_owned();
    move |source| BuildError::Io { file, source }
}
