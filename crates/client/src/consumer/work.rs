//! What a consumer has in its hands: partitions with their trackers, lanes with their jobs. No I/O; it lives under one
//! lock, and every method is short.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    lanes::Lanes,
    received::Received,
    seen::{Seen, Sight},
    told::Told,
    tracker::Tracker,
};
use crate::receipt::Outcome;

/// A partition of a topic.
pub(super) type Place = (Arc<str>, i32);

/// In which order records of a partition are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Records with the same key one after the other, others side by side; records without a key in any order.
    Key,
    /// All records of a partition one after the other.
    Partition,
}

/// Records of the same lane are handled one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    place: Place,
    key: u64, // equal keys share a lane; others may, and then wait for each other without need
}

/// A record to handle.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) received: Received,
    pub(super) place: Place,
    epoch: u64,
    cuts: usize, // how often its log had lost its end when it was read
    /// Becomes true when the partition goes to another consumer or this one stops.
    pub(super) lost: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Partition {
    epoch: u64, // an assignment's own number: jobs of an earlier one change nothing
    tracker: Tracker,
    seen: Seen,
    cuts: Vec<i64>, // where the log lost its end, each time: what was read from there on is gone
    told: Told,
    held: usize,            // received and not finished
    running: usize,         // of them, with a handler at work
    committed: Option<i64>, // the last position that was acknowledged or sent
    paused: bool,
    lost: watch::Sender<bool>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Work {
    order: Order,
    held_max: usize,
    partitions: HashMap<Place, Partition>,
    lanes: Lanes<Lane, Job>,
    to_resume: Vec<Place>,
    epochs: u64,
    stopping: bool,
    tells: bool,
}

/// A position that may be committed, and what its metadata says of the records below.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) place: Place,
    pub(super) position: i64,
    pub(super) metadata: String,
    cuts: usize, // of its partition, when it was asked for
}

/// What follows from a record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It is held; go on.
    Held,
    /// It is held; read no more of this partition for now.
    HeldPause,
    /// It was received before, or its partition is not ours any more.
    Ignored,
    /// It is held, and not what was read at its offset: the log had lost its end. What was read up to `next`, exclusive, is
    /// gone from it.
    HeldInstead {
        /// Behind the last offset that was read before.
        next: i64,
    },
}

impl Work {
    pub(super) fn new(order: Order, parallel_max: usize, held_max: usize) -> Work {
        Work {
            order,
            held_max: held_max.max(1),
            partitions: HashMap::new(),
            lanes: Lanes::new(parallel_max),
            to_resume: Vec::new(),
            epochs: 0,
            stopping: false,
            tells: true,
        }
    }

    /// A partition is ours from now on.
    pub(super) fn assign(&mut self, place: Place) {
        self.epochs += 1;
        let partition = Partition {
            epoch: self.epochs,
            tracker: Tracker::default(),
            seen: Seen::default(),
            cuts: Vec::new(),
            told: Told::default(),
            held: 0,
            running: 0,
            committed: None,
            paused: false,
            lost: watch::Sender::new(self.stopping),
        };
        self.partitions.insert(place, partition);
    }

    /// These partitions are to be given back: what waits is dropped, what runs may finish. Gives the number dropped.
    pub(super) fn give_back(&mut self, places: &[Place]) -> u64 {
        for place in places {
            if let Some(partition) = self.partitions.get(place) {
                partition.lost.send_replace(true);
            }
        }
        self.lanes.withdraw(|lane| places.contains(&lane.place)).len() as u64
    }

    /// Everything is to be given back.
    pub(super) fn stop(&mut self) -> u64 {
        self.stopping = true;
        let places: Vec<Place> = self.partitions.keys().cloned().collect();
        self.give_back(&places)
    }

    /// Whether nothing new begins here.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// How many handlers are at work on these partitions.
    pub(super) fn running_on(&self, places: &[Place]) -> usize {
        places.iter().filter_map(|place| self.partitions.get(place)).map(|partition| partition.running).sum()
    }

    /// How many handlers are at work.
    pub(super) fn running(&self) -> usize {
        self.lanes.running()
    }

    /// The partitions are not ours any more. Gives those that are paused, or that nobody has resumed yet.
    pub(super) fn remove(&mut self, places: &[Place]) -> Vec<Place> {
        let mut paused = places.to_vec();
        paused.retain(|place| {
            let was_paused = self.partitions.remove(place).is_some_and(|partition| partition.paused);
            was_paused || self.to_resume.contains(place)
        });
        self.to_resume.retain(|place| !places.contains(place));
        paused
    }

    /// Notes a record that was read, and makes its job; [`Work::queue`] lets it run.
    pub(super) fn admit(&mut self, place: &Place, received: Received) -> (Admitted, Option<Job>) {
        let low = self.held_max / 2;
        let Some(partition) = self.partitions.get_mut(place).filter(|_| !self.stopping) else {
            return (Admitted::Ignored, None);
        };
        let sight = partition.seen.note(received.offset(), received.fingerprint());
        if sight == Sight::Again {
            return (Admitted::Ignored, None);
        }
        if matches!(sight, Sight::Other { .. }) {
            partition.cut(received.offset());
            if partition.resumes(low) {
                self.to_resume.push(place.clone());
            }
        }
        partition.tracker.received(received.offset());
        partition.held += 1;
        let job = Job {
            received,
            place: place.clone(),
            epoch: partition.epoch,
            cuts: partition.cuts.len(),
            lost: partition.lost.subscribe(),
        };
        let pauses = partition.held >= self.held_max && !partition.paused;
        let admitted = match sight {
            // One record more than there should be; the next one pauses.
            Sight::Other { next } => Admitted::HeldInstead { next },
            _ if pauses => Admitted::HeldPause,
            _ => Admitted::Held,
        };
        partition.paused |= admitted == Admitted::HeldPause;
        (admitted, Some(job))
    }

    /// Puts a job into its lane, unless its partition was given back meanwhile.
    pub(super) fn queue(&mut self, job: Job) {
        if !self.holds(&job) || *job.lost.borrow() {
            return;
        }
        let key = match (self.order, job.received.key()) {
            (Order::Partition, _) => 0,
            (Order::Key, Some(key)) => hash(&(1, key)),
            (Order::Key, None) => hash(&(2, job.received.offset())),
        };
        self.lanes.push(Lane { place: job.place.clone(), key }, job);
    }

    /// A job whose handler may start now.
    pub(super) fn start(&mut self) -> Option<(Lane, Job)> {
        let (lane, job) = self.lanes.start()?;
        if let Some(partition) = self.assigned(&job) {
            partition.running += 1;
        }
        Some((lane, job))
    }

    /// Whether the partition of a job is ours still, under the assignment that the job is of.
    pub(super) fn holds(&self, job: &Job) -> bool {
        self.partitions.get(&job.place).is_some_and(|partition| partition.epoch == job.epoch)
    }

    /// From now on commits say nothing of what became of records.
    pub(super) fn tell_no_more(&mut self) {
        self.tells = false;
        self.partitions.values_mut().for_each(|partition| partition.told = Told::default());
    }

    /// What became of a record, to be told with the commit that passes it.
    pub(super) fn tell(&mut self, job: &Job, outcome: Outcome) {
        if self.tells
            && let Some(partition) = self.own(job)
        {
            partition.told.note(job.received.offset(), outcome);
        }
    }

    /// The record is done with: its position may be committed.
    pub(super) fn acknowledge(&mut self, job: &Job) {
        let low = self.held_max / 2;
        let Some(partition) = self.own(job) else { return };
        if partition.tracker.finished(job.received.offset()) {
            partition.held -= 1;
        }
        if partition.resumes(low) {
            self.to_resume.push(job.place.clone());
        }
    }

    /// The job ended, acknowledged or not.
    pub(super) fn end(&mut self, lane: &Lane, job: &Job) {
        self.lanes.done(lane);
        if let Some(partition) = self.assigned(job) {
            partition.running -= 1;
        }
    }

    /// Paused partitions of which more may be read again.
    pub(super) fn take_resumable(&mut self) -> Vec<Place> {
        let mut places = std::mem::take(&mut self.to_resume);
        places.retain(|place| self.partitions.get(place).is_some_and(|partition| !partition.paused));
        places
    }

    /// Positions that are further than what was committed last, of these partitions or of all. Where there is more to tell
    /// of the records below than fits, the position is as far as that goes, and the rest comes with the next commit.
    pub(super) fn committable(&self, of: Option<&[Place]>) -> Vec<Commit> {
        let wanted = |place: &Place| of.is_none_or(|places| places.contains(place));
        self.partitions
            .iter()
            .filter(|(place, _)| wanted(place))
            .filter_map(|(place, partition)| {
                let telling = partition.told.telling(partition.tracker.position()?);
                let (position, metadata) = (telling.below, telling.text);
                // Where reading began is no news.
                let moved = match partition.committed {
                    Some(committed) => committed < position,
                    None => partition.tracker.moved(),
                };
                let cuts = partition.cuts.len();
                moved.then(|| Commit { place: place.clone(), position, metadata, cuts })
            })
            .collect()
    }

    /// The broker took a position. If it was of a log that lost its end meanwhile, the position goes back with the next one.
    pub(super) fn committed(&mut self, commit: &Commit) {
        if let Some(partition) = self.partitions.get_mut(&commit.place)
            && partition.cuts.len() == commit.cuts
        {
            partition.committed = Some(commit.position);
            partition.told.taken(commit.position);
        }
    }

    /// The partition of a job, if it is still the assignment that the job is of.
    fn assigned(&mut self, job: &Job) -> Option<&mut Partition> {
        self.partitions.get_mut(&job.place).filter(|partition| partition.epoch == job.epoch)
    }

    /// The same, if also its record is still in the log, as far as we know: another one may have its offset.
    fn own(&mut self, job: &Job) -> Option<&mut Partition> {
        let offset = job.received.offset();
        self.assigned(job).filter(|partition| partition.cuts[job.cuts..].iter().all(|cut| offset < *cut))
    }
}

impl Partition {
    /// What was read from that offset on is not in the log any more. Handlers may go on with it, and nothing comes of it.
    fn cut(&mut self, offset: i64) {
        self.cuts.push(offset);
        self.held -= self.tracker.cut(offset);
        self.told.cut(offset);
        // The broker's position may be behind the new end. It has to come back, or who is next begins to read there.
        self.committed = self.tracker.position().map(|position| position - 1);
    }

    /// Whether more is to be read again.
    fn resumes(&mut self, low: usize) -> bool {
        let resumes = self.paused && self.held <= low;
        self.paused &= !resumes;
        resumes
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
