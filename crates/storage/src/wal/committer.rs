//! The one committer: drains the queue into a commit group, writes it, syncs it, completes it. It has no timer and no
//! thread: whoever drives [`Committer::step`] brings the time. After a failed write or sync it does nothing any more.

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup};

use super::{
    commit::{CommitFailed, CommitObserver, CommittedGroup, Durable},
    format::{FLAG_CLOSING, FLAG_OPENING},
    index::{Index, Place},
    options::{Flush, Nanos},
    prepare::Preparer,
    record::WalRecord,
    shared::{Shared, Submission},
    writer::Writer,
};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something: call again at once.
    Worked,
    /// Nothing: call again when something is queued, or at this time.
    Idle {
        /// When a closing group or a sync is due.
        until: Option<Nanos>,
    },
}

/// A clock to measure writes and syncs with.
pub type Clock = Box<dyn Fn() -> Nanos + Send>;

/// Writes what is queued. Dropping it closes the log: what is queued then fails.
pub struct Committer {
    pub(super) shared: Arc<Shared>,
    writer: Writer,
    batch: Vec<Submission>,
    /// Per submission of `batch`, why it is refused.
    refused: Vec<Option<CommitFailed>>,
    /// When the closing group is due; `None` if the last group is one, or something is unsynced.
    closing_due: Option<Nanos>,
    /// When the oldest unsynced group was written.
    unsynced_since: Option<Nanos>,
    preparer: Option<Preparer>,
    observer: Option<Arc<dyn CommitObserver>>,
    clock: Clock,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, writer: Writer) -> Committer {
        let preparer = Some(Preparer::new(Arc::clone(&shared)));
        Committer {
            shared,
            writer,
            batch: Vec::new(),
            refused: Vec::new(),
            closing_due: None,
            unsynced_since: None,
            preparer,
            observer: None,
            clock: Box::new(|| Nanos(0)),
        }
    }

    /// Tells `observer` of each group from now on.
    pub fn observe(&mut self, observer: Arc<dyn CommitObserver>) {
        self.observer = Some(observer);
    }

    /// Measures writes and syncs with `clock` from now on.
    pub fn measure_with(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Takes the preparing of spare files out of [`Committer::step`], to be driven elsewhere.
    pub fn take_preparer(&mut self) -> Option<Preparer> {
        self.preparer.take()
    }

    /// Begins the epoch of this process, so that what recovery accepted has a successor.
    pub(super) fn open_epoch(&mut self) -> io::Result<()> {
        self.writer.make_room(0)?;
        if !self.writer.last_is_bare() {
            self.writer.write_bare(FLAG_OPENING)?;
            self.writer.sync()?;
        }
        Ok(())
    }

    /// Does one thing: a commit group, a sync or closing group that is due, a slice of a spare file, or nothing.
    /// `now` never goes back. After an error every further step gives it again.
    pub fn step(&mut self, now: Nanos) -> Result<Step, CommitFailed> {
        if let Some(failed) = &self.shared.queue.lock().closed {
            return Err(failed.clone());
        }
        self.drain();
        if !self.batch.is_empty() {
            self.commit(now)?;
            return Ok(Step::Worked);
        }
        if self.sync_due(now) {
            self.sync_or_fail(now)?;
            return Ok(Step::Worked);
        }
        if self.closing_due.is_some_and(|due| due <= now) {
            self.close_group()?;
            return Ok(Step::Worked);
        }
        if self.preparer.as_mut().is_some_and(Preparer::step) {
            return Ok(Step::Worked);
        }
        Ok(Step::Idle { until: self.closing_due.or_else(|| self.sync_deadline()) })
    }

    /// Takes submissions off the queue, one at least, up to the size of a group.
    fn drain(&mut self) {
        let mut bytes = 0;
        let mut queue = self.shared.queue.lock();
        while let Some(next) = queue.submissions.front() {
            if !self.batch.is_empty() && bytes + next.bytes > self.shared.options.group_bytes_max {
                break;
            }
            let next_bytes = next.bytes;
            bytes += next_bytes;
            queue.bytes -= next_bytes;
            self.batch.extend(queue.submissions.pop_front());
        }
    }

    fn commit(&mut self, now: Nanos) -> Result<(), CommitFailed> {
        self.encode();
        let mut group = CommittedGroup {
            submissions: self.batch.len(),
            records: self.writer.records(),
            ..CommittedGroup::default()
        };
        if group.records > 0 {
            let written = self.write_batch(now, &mut group);
            written.map_err(|error| self.fail(error))?;
        }
        self.shared.stats.lock().add(&group);
        if let Some(observer) = &self.observer {
            observer.committed(group);
        }
        for (submission, refused) in self.batch.drain(..).zip(self.refused.drain(..)) {
            (submission.done)(refused.map_or(Ok(Durable(())), Err));
        }
        Ok(())
    }

    /// Writes the batch, syncs it if that is due, and makes it visible.
    fn write_batch(&mut self, now: Nanos, group: &mut CommittedGroup) -> io::Result<()> {
        let begun = (self.clock)();
        let place = self.writer.write_batch(accepted(&self.batch, &self.refused))?;
        group.bytes = place.size_bytes as usize;
        group.write_nanos = (self.clock)().0.saturating_sub(begun.0);
        self.unsynced_since.get_or_insert(now);
        self.closing_due = None;
        if tallymq_model::planted("ack-before-fsync") {
            for submission in &mut self.batch {
                std::mem::replace(&mut submission.done, Box::new(|_| ()))(Ok(Durable(())));
            }
        }
        if self.must_sync() || self.sync_due(now) {
            let begun = (self.clock)();
            self.sync(now)?;
            group.sync_nanos = (self.clock)().0.saturating_sub(begun.0);
            group.synced = true;
        }
        let mut purges = false;
        {
            let mut index = self.shared.index.write();
            let mut crcs = self.writer.crcs().iter().copied();
            let mut position = place.payloads;
            for record in accepted(&self.batch, &self.refused) {
                purges |= matches!(record, WalRecord::Truncate { .. } | WalRecord::Purge { .. });
                apply(&mut index, record, &mut crcs, (place.file, &mut position));
            }
        }
        if purges && self.writer.can_release() {
            if !group.synced {
                // What allows the release must outlast what it releases.
                self.sync(now)?;
                group.synced = true;
            }
            self.writer.release()?;
        }
        Ok(())
    }

    /// Encodes the batch, leaving out submissions whose entries do not follow.
    fn encode(&mut self) {
        self.writer.begin_batch();
        self.refused.clear();
        let index = self.shared.index.read();
        let mut ends: HashMap<RaftGroup, (LogIndex, LogIndex)> = HashMap::new();
        let mut begun = Vec::new();
        for submission in &self.batch {
            begun.clear();
            let refused = submission.records.iter().find_map(|record| {
                let end = ends.entry(record.group()).or_insert_with(|| {
                    index
                        .group(record.group())
                        .map_or((LogIndex(1), LogIndex(0)), |state| (state.end(), state.purged))
                });
                begun.push((record.group(), *end));
                advance(end, record)
            });
            if refused.is_some() {
                for (group, end) in begun.drain(..).rev() {
                    ends.insert(group, end);
                }
            } else {
                submission.records.iter().for_each(|record| self.writer.push(record));
            }
            self.refused.push(refused);
        }
    }

    /// Whether this batch is not acknowledged before a sync.
    fn must_sync(&self) -> bool {
        let Flush::Async { bytes, .. } = self.shared.options.flush else {
            return true;
        };
        self.writer.unsynced_bytes() >= bytes
            || self.batch.iter().flat_map(|submission| &submission.records).any(|record| {
                matches!(record, WalRecord::Vote { .. }) || record.group() == RaftGroup::METADATA
            })
    }

    fn sync_deadline(&self) -> Option<Nanos> {
        match self.shared.options.flush {
            Flush::Sync => None,
            Flush::Async { interval, .. } => self.unsynced_since.map(|since| since.plus(interval)),
        }
    }

    fn sync_due(&self, now: Nanos) -> bool {
        self.sync_deadline().is_some_and(|deadline| deadline <= now)
    }

    fn sync(&mut self, now: Nanos) -> io::Result<()> {
        self.writer.sync()?;
        self.unsynced_since = None;
        self.closing_due = Some(now.plus(self.shared.options.closing_delay));
        Ok(())
    }

    fn sync_or_fail(&mut self, now: Nanos) -> Result<(), CommitFailed> {
        self.sync(now).map_err(|error| self.fail(error))
    }

    /// Writes a group that acknowledges nothing behind the last one, unless that is one already.
    fn close_group(&mut self) -> Result<(), CommitFailed> {
        self.closing_due = None;
        let mut group = CommittedGroup { synced: true, ..CommittedGroup::default() };
        self.write_closing(&mut group).map_err(|error| self.fail(error))?;
        self.shared.stats.lock().add(&group);
        if let Some(observer) = &self.observer {
            observer.committed(group);
        }
        Ok(())
    }

    fn write_closing(&mut self, group: &mut CommittedGroup) -> io::Result<()> {
        self.writer.make_room(0)?;
        if self.writer.last_is_bare() {
            return Ok(());
        }
        let begun = (self.clock)();
        group.bytes = self.writer.write_bare(FLAG_CLOSING)? as usize;
        let written = (self.clock)();
        self.writer.sync()?;
        group.write_nanos = written.0.saturating_sub(begun.0);
        group.sync_nanos = (self.clock)().0.saturating_sub(written.0);
        Ok(())
    }

    /// Fails this batch and all that is queued, in order, and everything after.
    fn fail(&mut self, error: io::Error) -> CommitFailed {
        let failed = CommitFailed::Disk(Arc::new(error));
        self.shared.queue.lock().closed = Some(failed.clone());
        for submission in self.batch.drain(..) {
            (submission.done)(Err(failed.clone()));
        }
        self.shared.close(&failed);
        failed
    }

    /// Ends the log in order: what is queued is committed, synced and closed.
    pub fn finish(&mut self, now: Nanos) -> Result<(), CommitFailed> {
        loop {
            if let Some(failed) = &self.shared.queue.lock().closed {
                return Err(failed.clone());
            }
            self.drain();
            if self.batch.is_empty() {
                break;
            }
            self.commit(now)?;
        }
        if self.unsynced_since.is_some() {
            self.sync_or_fail(now)?;
        }
        if self.closing_due.is_some() {
            self.close_group()?;
        }
        self.shared.close(&CommitFailed::Closed);
        Ok(())
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.close(&CommitFailed::Closed);
    }
}

/// The records of the submissions that are not refused.
fn accepted<'a>(
    batch: &'a [Submission],
    refused: &'a [Option<CommitFailed>],
) -> impl Iterator<Item = &'a WalRecord> {
    let submissions = batch.iter().zip(refused).filter(|(_, refused)| refused.is_none());
    submissions.flat_map(|(submission, _)| &submission.records)
}

/// Makes a written record visible to readers; its payload lies at `file` and `position`.
fn apply(
    index: &mut Index,
    record: &WalRecord,
    crcs: &mut impl Iterator<Item = u32>,
    (file, position): (u64, &mut u64),
) {
    match record {
        WalRecord::Entry { group, index: at, term, payload } => {
            let length = payload.iter().map(Bytes::len).sum::<usize>() as u32;
            let crc = crcs.next().unwrap_or_default();
            let appended =
                index.append(*group, *at, Place { file, position: *position, term: *term, length, crc });
            debug_assert!(appended.is_ok(), "the order was checked while encoding");
            *position += u64::from(length);
        }
        WalRecord::Vote { group, vote } => index.vote(*group, vote.clone()),
        WalRecord::Truncate { group, from } => index.truncate(*group, *from),
        WalRecord::Purge { group, through } => index.purge(*group, *through),
    }
}

/// Moves a group's (end, purged) over a record; says why if it does not follow.
fn advance((end, purged): &mut (LogIndex, LogIndex), record: &WalRecord) -> Option<CommitFailed> {
    match record {
        WalRecord::Entry { group, index, .. } => {
            if index != end {
                let last = LogIndex(end.0 - 1);
                return Some(CommitFailed::OutOfOrder { group: *group, index: *index, last });
            }
            *end = end.next();
        }
        WalRecord::Truncate { from, .. } => *end = (*end).min((*from).max(purged.next())),
        WalRecord::Purge { through, .. } => {
            *purged = (*purged).max(*through);
            *end = (*end).max(purged.next());
        }
        WalRecord::Vote { .. } => {}
    }
    None
}
