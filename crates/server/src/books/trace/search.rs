//! Looks into partitions' logs backwards until what is wanted was found, nothing is left, or the time is up; where there is an index
//! of keys, only where that points. Reads old records at the pace of all catch-up reads, so that a search cannot take the disk
//! from commits.

use std::sync::Arc;

use tallymq_broker::metadata::Topic;
use tallymq_gateway::kafka::records::murmur2;
use tallymq_model::{Offset, TopicPartition};
use tallymq_storage::keys::Part;
use tallymq_storage::log::PartitionLog;
use tokio::time::Instant;

use super::answer::{Bounds, Neighbour, NotHere, Searched};
use super::matching::Wanted;
use super::resume::Resume;
use super::scan::{Hit, Scan, Scanned};
use super::story::Story;
use super::windows::{Rest, Window};
use super::{Question, RECORDS_MAX, TraceError};
use crate::books::journal::cannot_read;
use crate::config::KeyIndexing;
use crate::node::Node;

/// One partition that is searched.
struct Walker {
    tp: TopicPartition,
    log: Arc<PartitionLog>,
    rest: Rest,
    is_done: bool,
    before: Option<Neighbour>,
    after: Option<Neighbour>,
}

/// A search under way.
pub(super) struct Search<'a> {
    node: &'a Arc<Node>,
    question: &'a Question,
    /// In the order in which they are searched; after a phase that found something the next does not begin.
    phases: Vec<Vec<Walker>>,
    pub(super) searched: Searched,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        node: &'a Arc<Node>,
        topic: &Topic,
        partitions: &[TopicPartition],
        question: &'a Question,
    ) -> Result<Search<'a>, TraceError> {
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
        let mut search = Search { node, question, phases, searched: Searched::default() };
        if let Some(resume) = &question.resume {
            search.go_on(resume)?;
        }
        Ok(search)
    }

    /// Where an earlier search has ended.
    fn go_on(&mut self, resume: &Resume) -> Result<(), TraceError> {
        let phases = self.phases.len();
        let phase = self.phases.get_mut(resume.phase).filter(|phase| phase.len() == resume.below.len());
        let phase = phase.ok_or(TraceError::UnfitResume)?;
        for (walker, below) in phase.iter_mut().zip(&resume.below) {
            match below {
                Some(below) => walker.rest.below = walker.rest.below.min(*below),
                None => walker.is_done = true,
            }
        }
        let over = (0..resume.phase).chain(if resume.found { resume.phase + 1..phases } else { 0..0 });
        for phase in over {
            self.phases[phase].iter_mut().for_each(|walker| walker.is_done = true);
        }
        Ok(())
    }

    /// Where this one has ended, in a phase.
    fn ended(&mut self, phase: usize, found: bool) {
        let found = found
            || self.question.resume.as_ref().is_some_and(|resume| resume.phase == phase && resume.found);
        let below = self.phases[phase].iter().map(|walker| (!walker.is_done).then_some(walker.rest.below));
        self.searched.resume = Resume { phase, found, below: below.collect() }.text();
        let later = if found { &[] } else { &self.phases[phase + 1..] };
        let left = self.phases[phase].iter().chain(later.iter().flatten()).filter(|walker| !walker.is_done);
        let since = self.question.since;
        let left = left.map(|walker| {
            let indexed = ranges(&self.parts(walker));
            walker.rest.left_bytes(&walker.log.segments(), &indexed, since)
        });
        self.searched.left_bytes = Some(left.sum());
    }

    /// The parts of a log in which a key can be looked up.
    fn parts(&self, walker: &Walker) -> Vec<Part> {
        let is_key = matches!(self.question.wanted, Wanted::Key(_));
        if is_key && self.node.startup.key_index != KeyIndexing::Off {
            self.node.keys.indexes.parts(walker.tp)
        } else {
            Vec::new()
        }
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
        let window = Window { from: at, to: at.plus(1), indexed: None };
        let scanned = scan_apart(self.node, self.question, (log, tp), (window, None)).await?;
        self.searched.add(&scanned.searched);
        Ok(scanned.hits)
    }

    /// Everything that matches, newest first, up to the limits.
    pub(super) async fn run(&mut self, deadline: Instant) -> Result<Vec<Hit>, TraceError> {
        let mut hits = Vec::new();
        let records_max = self.question.records_max.clamp(1, RECORDS_MAX);
        let mut phase = 0;
        for at in 0..self.phases.len() {
            phase = at;
            self.searched.partitions += self.phases[at].len();
            self.searched.complete = self.run_phase(at, &mut hits, (records_max, deadline)).await?;
            if !hits.is_empty() || !self.searched.complete {
                break;
            }
        }
        hits.sort_by_key(|hit| {
            std::cmp::Reverse((hit.record.timestamp, hit.tp.partition, hit.record.offset))
        });
        for over in hits.drain(records_max.min(hits.len())..) {
            // Not told, so still to be looked at.
            let walkers = self.phases[phase].iter_mut();
            for walker in walkers.filter(|walker| walker.tp == over.tp) {
                walker.is_done = false;
                walker.rest.below = walker.rest.below.max(over.record.offset.plus(1));
            }
            self.searched.complete = false;
        }
        if !self.searched.complete {
            self.ended(phase, !hits.is_empty());
        }
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
            for at in 0..self.phases[phase].len() {
                if hits.len() >= records_max || deadline <= Instant::now() {
                    return Ok(self.phases[phase].iter().all(|walker| walker.is_done));
                }
                let walker = &self.phases[phase][at];
                let parts = self.parts(walker);
                let next = || {
                    let since = self.question.since;
                    walker.rest.next(&walker.log.segments(), &ranges(&parts), since)
                };
                let Some(window) = (!walker.is_done).then(next).flatten() else {
                    self.phases[phase][at].is_done = true;
                    continue;
                };
                any = true;
                let part = window.indexed.map(|at| parts[at]);
                if part.is_none() && window.from < walker.log.durable_end() {
                    self.ask_for_index(walker.tp);
                }
                let place = (walker.log.clone(), walker.tp);
                let scanned = scan_apart(self.node, self.question, place, (window, part)).await?;
                let walker = &mut self.phases[phase][at];
                walker.rest.below = scanned.from;
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

    /// A key had to be looked for by reading what could have an index.
    fn ask_for_index(&self, tp: TopicPartition) {
        let is_key = matches!(self.question.wanted, Wanted::Key(_));
        if is_key && self.node.startup.key_index != KeyIndexing::Off {
            self.node.keys.ask(tp);
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
            let records = searched.records + searched.indexed_records;
            return format!("the time was up after {records} records: not found so far");
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
        let whole =
            if searched.unreadable.is_empty() { "" } else { "; but a part of the log cannot be read" };
        format!("{why}{}{whole}", if within { " in that time" } else { "" })
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
        self.indexed_records += other.indexed_records;
        self.back_to = match (self.back_to, other.back_to) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        other.unreadable.iter().cloned().for_each(|text| self.cannot_read(text));
    }

    /// Notes it once.
    pub(super) fn cannot_read(&mut self, text: String) {
        cannot_read(&mut self.unreadable, text);
    }
}

/// The offsets of parts.
fn ranges(parts: &[Part]) -> Vec<(Offset, Offset)> {
    parts.iter().map(|part| (part.from, part.to)).collect()
}

/// Looks into a window on a thread that may block, and pays for what came from files.
async fn scan_apart(
    node: &Node,
    question: &Question,
    (log, tp): (Arc<PartitionLog>, TopicPartition),
    (window, part): (Window, Option<Part>),
) -> Result<Scanned, TraceError> {
    let turn = node.decompressor.turn().await.map_err(|_| TraceError::Stopping)?;
    let in_memory = log.is_in_memory(window.from);
    let (wanted, since, until) = (question.wanted.clone(), question.since, question.until);
    let index = part.map(|part| (node.keys.indexes.clone(), part));
    let scan = Scan { log, tp, window, wanted, since, until, index };
    let scanned = turn.run(move || scan.run()).await.map_err(|_| TraceError::Stopping)?;
    if !in_memory {
        let bytes = usize::try_from(scanned.searched.bytes).unwrap_or(usize::MAX);
        node.catchup.pay(bytes, node.startup.catchup_bytes_per_second).await;
    }
    Ok(scanned)
}
