//! Sorts postings in bounded memory: runs of them are sorted and put into a file, then merged.

use std::{cmp::Reverse, collections::BinaryHeap, io, sync::Arc};

use super::posting::Posting;
use crate::disk::{Disk, File, OpenMode};

/// Postings that are sorted in memory, 8 bytes each.
const RUN_POSTINGS: usize = 1 << 20;
/// Postings that are read of a run at a time.
const READ_POSTINGS: usize = 4096;
const POSTING_BYTES: usize = 8;

/// Takes postings in any order.
pub(super) struct Sorter {
    run: Vec<u64>,
    run_postings: usize,
    spill: Option<Spill>,
    path: String,
}

/// Runs in a file, one behind the other.
struct Spill {
    file: Arc<dyn File>,
    /// Where each run ends, in postings.
    ends: Vec<u64>,
}

impl Sorter {
    /// Puts runs into a file at `path` if there are several.
    pub(super) fn new(path: String) -> Sorter {
        Sorter { run: Vec::new(), run_postings: RUN_POSTINGS, spill: None, path }
    }

    /// The same with runs of so many postings.
    pub(super) fn with_runs(path: String, postings: usize) -> Sorter {
        Sorter { run_postings: postings.max(1), ..Sorter::new(path) }
    }

    pub(super) fn push(&mut self, posting: Posting) {
        self.run.push(posting.packed());
    }

    /// Puts what is in memory away if it is much.
    pub(super) fn settle(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.run.len() >= self.run_postings { self.put_away(disk) } else { Ok(()) }
    }

    fn put_away(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.run.sort_unstable();
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => {
                let file = disk.open(&self.path, OpenMode::Create)?;
                self.spill.insert(Spill { file, ends: Vec::new() })
            }
        };
        let begin = spill.ends.last().copied().unwrap_or(0);
        let bytes: Vec<u8> = self.run.iter().flat_map(|posting| posting.to_be_bytes()).collect();
        spill.file.write_at(&[&bytes], begin * POSTING_BYTES as u64)?;
        spill.ends.push(begin + self.run.len() as u64);
        self.run.clear();
        Ok(())
    }

    /// No more postings come.
    pub(super) fn finish(mut self, disk: &dyn Disk) -> io::Result<Merge> {
        if self.spill.is_some() && !self.run.is_empty() {
            self.put_away(disk)?;
        }
        let Some(Spill { file, ends }) = self.spill else {
            self.run.sort_unstable();
            let runs = vec![Run::in_memory(self.run)];
            return Merge { runs, heap: BinaryHeap::new(), file: None }.begun();
        };
        drop(self.run);
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let runs = begins.zip(&ends).map(|(begin, end)| Run::in_file(begin, *end)).collect();
        Merge { runs, heap: BinaryHeap::new(), file: Some(file) }.begun()
    }
}

/// Gives sorted postings.
pub(super) struct Merge {
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    file: Option<Arc<dyn File>>,
}

/// What is left of a run.
struct Run {
    buffer: std::vec::IntoIter<u64>,
    at: u64,
    end: u64,
}

impl Run {
    fn in_memory(sorted: Vec<u64>) -> Run {
        Run { buffer: sorted.into_iter(), at: 0, end: 0 }
    }

    fn in_file(at: u64, end: u64) -> Run {
        Run { buffer: Vec::new().into_iter(), at, end }
    }

    fn next(&mut self, file: Option<&dyn File>) -> io::Result<Option<u64>> {
        if let Some(next) = self.buffer.next() {
            return Ok(Some(next));
        }
        let (Some(file), true) = (file, self.at < self.end) else { return Ok(None) };
        let postings = (self.end - self.at).min(READ_POSTINGS as u64);
        let mut bytes = vec![0; postings as usize * POSTING_BYTES];
        if file.read_at(&mut bytes, self.at * POSTING_BYTES as u64)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += postings;
        let read = bytes.chunks_exact(POSTING_BYTES).map(|chunk| {
            let mut posting = [0; POSTING_BYTES];
            posting.copy_from_slice(chunk);
            u64::from_be_bytes(posting)
        });
        self.buffer = read.collect::<Vec<_>>().into_iter();
        Ok(self.buffer.next())
    }
}

impl Merge {
    fn begun(mut self) -> io::Result<Merge> {
        for at in 0..self.runs.len() {
            if let Some(first) = self.runs[at].next(self.file.as_deref())? {
                self.heap.push(Reverse((first, at)));
            }
        }
        Ok(self)
    }

    /// The next posting in order.
    pub(super) fn next(&mut self) -> io::Result<Option<Posting>> {
        let Some(Reverse((posting, run))) = self.heap.pop() else { return Ok(None) };
        if let Some(next) = self.runs[run].next(self.file.as_deref())? {
            self.heap.push(Reverse((next, run)));
        }
        Ok(Some(Posting::unpacked(posting)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::MemoryDisk;

    proptest! {
        #[test]
        fn any_number_of_runs_comes_out_sorted(postings in prop::collection::vec(any::<u64>(), 0..300), run in 1..60_usize) {
            let disk = MemoryDisk::new();
            disk.create_dir("keys").unwrap();
            let mut sorter = Sorter::with_runs("keys/sort".to_owned(), run);
            for posting in &postings {
                sorter.push(Posting::unpacked(*posting));
                sorter.settle(&disk).unwrap();
            }
            let mut merge = sorter.finish(&disk).unwrap();
            let mut sorted = Vec::new();
            while let Some(posting) = merge.next().unwrap() {
                sorted.push(posting.packed());
            }
            let mut expected = postings;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }
}
