//! Reads partitions' logs backwards until what is wanted was found, nothing is left, or the time is up. Reads old records at
//! the pace of all catch-up reads, so that a search cannot take the disk from commits.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tallymq_broker::metadata::Topic;
use tallymq_gateway::kafka::records::{Record, murmur2, read_records};
use tallymq_model::{BatchHeader, Offset, TopicPartition};
use tallymq_storage::log::{PartitionLog, ReadError};
use tokio::time::Instant;

use super::answer::{Bounds, Neighbour, NotHere, Searched};
use super::matching::{Wanted, label};
use super::story::Story;
use super::windows::{Rest, Window};
use super::{Question, RECORDS_MAX, TraceError};
use crate::node::Node;

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;
/// Bound on a batch that is decompressed.
const RECORDS_BYTES_MAX: usize = 64 << 20;

/// A record that was found.
pub(super) struct Hit {
    pub(super) tp: TopicPartition,
    pub(super) header: BatchHeader,
    pub(super) record: Record,
}

/// One partition that is searched.
struct Walker {
    tp: TopicPartition,
    log: Arc<PartitionLog>,
    rest: Rest,
    is_done: bool,
    before: Option<Neighbour>,
    after: Option<Neighbour>,
}

/// What one window had.
#[derive(Default)]
struct Scanned {
    hits: Vec<Hit>,
    searched: Searched,
    neighbours: Vec<Neighbour>,
}

/// A search under way.
pub(super) struct Search<'a> {
    node: &'a Node,
    question: &'a Question,
    /// In the order in which they are searched; after a phase that found something the next does not begin.
    phases: Vec<Vec<Walker>>,
    pub(super) searched: Searched,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        node: &'a Node,
        topic: &Topic,
        partitions: &[TopicPartition],
        question: &'a Question,
    ) -> Search<'a> {
        let walker = |tp: &TopicPartition| {
            let (_, log) = node.partition(topic, *tp)?;
            let (log_start, below) = log.bounds();
            let rest = Rest { log_start, below };
            Some(Walker { tp: *tp, log, rest, is_done: false, before: None, after: None })
        };
        let walkers: Vec<Walker> = partitions.iter().filter_map(walker).collect();
        let phases = match &question.wanted {
            Wanted::Key(key) => {
                // Clients with another partitioner, and records from before partitions were added, are elsewhere.
                let likely = (murmur2(key) & 0x7fff_ffff) as usize % topic.partitions.len().max(1);
                let (likely, others) =
                    walkers.into_iter().partition(|walker| walker.tp.partition.0 as usize == likely);
                vec![likely, others]
            }
            _ => vec![walkers],
        };
        Search { node, question, phases, searched: Searched::default() }
    }

    /// The record at an offset, if it is there.
    pub(super) async fn read_one(&mut self, tp: TopicPartition, at: Offset) -> Result<Vec<Hit>, TraceError> {
        let walker = self.phases.iter().flatten().find(|walker| walker.tp == tp);
        let Some(log) = walker.map(|walker| walker.log.clone()) else { return Ok(Vec::new()) };
        self.searched.partitions = 1;
        self.searched.complete = true;
        let (log_start, log_end) = log.bounds();
        if !(log_start..log_end).contains(&at) {
            return Ok(Vec::new());
        }
        let window = Window { from: at, to: at.plus(1) };
        let scanned = scan_apart(self.node, self.question, log, tp, window).await?;
        self.searched.add(&scanned.searched);
        Ok(scanned.hits)
    }

    /// Everything that matches, newest first, up to the limits.
    pub(super) async fn run(&mut self, deadline: Instant) -> Result<Vec<Hit>, TraceError> {
        let mut hits = Vec::new();
        let records_max = self.question.records_max.clamp(1, RECORDS_MAX);
        for at in 0..self.phases.len() {
            self.searched.partitions += self.phases[at].len();
            self.searched.complete = self.run_phase(at, &mut hits, (records_max, deadline)).await?;
            if !hits.is_empty() || !self.searched.complete {
                break;
            }
        }
        hits.sort_by_key(|hit| {
            std::cmp::Reverse((hit.record.timestamp, hit.tp.partition, hit.record.offset))
        });
        hits.truncate(records_max);
        Ok(hits)
    }

    /// One window of each partition in turn; gives back whether all of it was looked at.
    async fn run_phase(
        &mut self,
        phase: usize,
        hits: &mut Vec<Hit>,
        (records_max, deadline): (usize, Instant),
    ) -> Result<bool, TraceError> {
        loop {
            let mut any = false;
            for walker in &mut self.phases[phase] {
                if hits.len() >= records_max || deadline <= Instant::now() {
                    return Ok(self.phases[phase].iter().all(|walker| walker.is_done));
                }
                let next = || walker.rest.next(&walker.log.segments(), self.question.since);
                let Some(window) = (!walker.is_done).then(next).flatten() else {
                    walker.is_done = true;
                    continue;
                };
                any = true;
                let scanned =
                    scan_apart(self.node, self.question, walker.log.clone(), walker.tp, window).await?;
                walker.rest.below = window.from;
                walker.is_done = self.question.wanted.is_unique() && !scanned.hits.is_empty();
                walker.note(&self.question.wanted, &scanned.neighbours);
                self.searched.add(&scanned.searched);
                hits.extend(scanned.hits);
            }
            if !any {
                return Ok(true);
            }
        }
    }

    /// What is known where nothing was found.
    pub(super) fn not_here(&self, question: &Question, story: Option<Story>) -> NotHere {
        let story = story.unwrap_or_default();
        let partitions: Vec<Bounds> = self.phases.iter().flatten().map(Walker::bounds).collect();
        let why = match question.wanted {
            Wanted::Place(offset) => self.why_not_at(offset, partitions.first()),
            _ => self.why_not_found(&partitions),
        };
        NotHere { why, partitions, log: story.log, groups: story.groups }
    }

    fn why_not_at(&self, offset: Offset, bounds: Option<&Bounds>) -> String {
        match (bounds, self.searched.unreadable.first()) {
            (None, _) => "the partition is not here".to_owned(),
            (Some(bounds), _) if offset.0 >= bounds.log_end => {
                format!("offset {offset} is not written yet: the log ends at {}", bounds.log_end)
            }
            (Some(bounds), _) if offset.0 < bounds.log_start => {
                format!("offset {offset} is not in the log any more: it begins at {}", bounds.log_start)
            }
            (_, Some(unreadable)) => format!("offset {offset} cannot be read: {unreadable}"),
            (_, None) => format!("there is no record at offset {offset}"),
        }
    }

    fn why_not_found(&self, partitions: &[Bounds]) -> String {
        let searched = &self.searched;
        if !searched.complete {
            return format!("the time was up after {} records: not found so far", searched.records);
        }
        let is_numbered = matches!(self.question.wanted, Wanted::Sequence { .. } | Wanted::Label { .. });
        let is_between = partitions.iter().any(|one| one.before.is_some() && one.after.is_some());
        let is_known = partitions.iter().any(|one| one.before.is_some() || one.after.is_some());
        let why = match (is_numbered, is_between, is_known) {
            (true, true, _) => "missing: its producer has lower and higher sequences in the log",
            (true, false, true) => "outside of what its producer has in the log",
            (true, false, false) => "its producer has no record in the log",
            (false, ..) => "no record in the log matches",
        };
        let within = self.question.since.is_some() || self.question.until.is_some();
        format!("{why}{}", if within { " in that time" } else { "" })
    }
}

impl Walker {
    fn note(&mut self, wanted: &Wanted, neighbours: &[Neighbour]) {
        let wanted = match wanted {
            Wanted::Sequence { sequence, .. } => u64::try_from(sequence.0).unwrap_or(0),
            Wanted::Label { number, .. } => *number,
            _ => return,
        };
        for neighbour in neighbours {
            if neighbour.sequence < wanted && self.before.is_none_or(|one| one.sequence < neighbour.sequence)
            {
                self.before = Some(*neighbour);
            }
            if neighbour.sequence > wanted && self.after.is_none_or(|one| one.sequence > neighbour.sequence) {
                self.after = Some(*neighbour);
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let (log_start, log_end) = self.log.bounds();
        Bounds {
            partition: self.tp.partition.0,
            log_start: log_start.0,
            log_end: log_end.0,
            before: self.before,
            after: self.after,
        }
    }
}

impl Searched {
    fn add(&mut self, other: &Searched) {
        self.batches += other.batches;
        self.records += other.records;
        self.bytes += other.bytes;
        self.back_to = match (self.back_to, other.back_to) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        let room = 20_usize.saturating_sub(self.unreadable.len());
        self.unreadable.extend(other.unreadable.iter().take(room).cloned());
    }
}

/// Scans a window on a thread that may block, and pays for what came from files.
async fn scan_apart(
    node: &Node,
    question: &Question,
    log: Arc<PartitionLog>,
    tp: TopicPartition,
    window: Window,
) -> Result<Scanned, TraceError> {
    // A batch of a few bytes may be many when it is decompressed: few at a time.
    let turn = node.decompressions.acquire().await.map_err(|_| TraceError::Stopping)?;
    let in_memory = log.is_in_memory(window.from);
    let (wanted, since, until) = (question.wanted.clone(), question.since, question.until);
    let scanning = tokio::task::spawn_blocking(move || {
        let scan = Scan { log: &log, tp, window, wanted: &wanted, since, until };
        scan.run()
    });
    let scanned = scanning.await.map_err(|_| TraceError::Stopping)?;
    drop(turn);
    if !in_memory {
        let bytes = usize::try_from(scanned.searched.bytes).unwrap_or(usize::MAX);
        node.catchup.pay(bytes, node.startup.catchup_bytes_per_second).await;
    }
    Ok(scanned)
}

/// One window, and what to look for in it.
struct Scan<'a> {
    log: &'a PartitionLog,
    tp: TopicPartition,
    window: Window,
    wanted: &'a Wanted,
    since: Option<i64>,
    until: Option<i64>,
}

impl Scan<'_> {
    fn run(&self) -> Scanned {
        let mut scanned = Scanned::default();
        let mut at = self.window.from;
        while at < self.window.to {
            match self.log.read(at, READ_BYTES, true) {
                Ok(fetched) if fetched.pieces.is_empty() || fetched.next <= at => break,
                Ok(fetched) => {
                    self.batches(joined(fetched.pieces), &mut scanned);
                    at = fetched.next;
                }
                // Retention came by.
                Err(ReadError::OffsetOutOfRange { log_start, .. }) if log_start > at => at = log_start,
                Err(ReadError::OffsetOutOfRange { .. } | ReadError::Deleted) => break,
                Err(error) => {
                    scanned.searched.unreadable.push(format!("{} from offset {at} on: {error}", self.tp));
                    break;
                }
            }
        }
        scanned
    }

    fn batches(&self, mut rest: Bytes, scanned: &mut Scanned) {
        while !rest.is_empty() {
            let Ok(header) = BatchHeader::parse(&rest) else { return };
            let batch = rest.split_to(header.size_bytes);
            if header.base_offset >= self.window.to {
                return;
            }
            // A batch that begins before the window is that one's to count.
            if header.base_offset >= self.window.from {
                scanned.searched.batches += 1;
                scanned.searched.records += header.record_count.max(0) as u64;
                scanned.searched.bytes += batch.len() as u64;
                let oldest = scanned.searched.back_to.unwrap_or(i64::MAX).min(header.first_timestamp.0);
                scanned.searched.back_to = Some(oldest);
            }
            if let (Wanted::Sequence { producer, .. }, true) = (self.wanted, header.has_producer())
                && header.producer_id == *producer
            {
                scanned.neighbours.extend(ends(&header));
            }
            if self.wanted.may_be_in(&header) {
                self.records(&header, &batch, scanned);
            }
        }
    }

    fn records(&self, header: &BatchHeader, batch: &Bytes, scanned: &mut Scanned) {
        let records = match read_records(header, batch, RECORDS_BYTES_MAX) {
            Ok(records) => records,
            Err(error) => {
                let place = format!("{} the batch at offset {}", self.tp, header.base_offset);
                return scanned.searched.unreadable.push(format!("{place}: {error}"));
            }
        };
        for record in records {
            let in_window = (self.window.from..self.window.to).contains(&record.offset);
            let in_time = self.since.is_none_or(|since| record.timestamp.0 >= since)
                && self.until.is_none_or(|until| record.timestamp.0 < until);
            // A place is a place, whatever its time.
            if !in_window || !(in_time || matches!(self.wanted, Wanted::Place(_))) {
                continue;
            }
            if let (Wanted::Label { producer, .. }, Some((found, sequence))) = (self.wanted, label(&record))
                && found == producer
            {
                let (offset, timestamp) = (record.offset.0, record.timestamp.0);
                scanned.neighbours.push(Neighbour { sequence, offset, timestamp });
            }
            if self.wanted.is(header, &record) {
                scanned.hits.push(Hit { tp: self.tp, header: *header, record });
            }
        }
    }
}

/// First and last sequence of a batch.
fn ends(header: &BatchHeader) -> [Neighbour; 2] {
    let at = |delta: i32| Neighbour {
        sequence: u64::try_from(header.base_sequence.plus(delta).0).unwrap_or(0),
        offset: header.base_offset.plus(i64::from(delta)).0,
        timestamp: header.max_timestamp.0,
    };
    [at(0), at(header.last_offset_delta)]
}

/// The pieces of a read in one.
pub(super) fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}
