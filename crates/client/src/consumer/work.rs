//! What a consumer has in its hands: partitions with their trackers, lanes with their jobs. No I/O; it lives under one
//! lock, and every method is short.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
};

use tokio::sync::watch;

use super::{lanes::Lanes, received::Received, told::Told, tracker::Tracker};
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
    /// Becomes true when the partition goes to another consumer or this one stops.
    pub(super) lost: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Partition {
    epoch: u64, // an assignment's own number: jobs of an earlier one change nothing
    tracker: Tracker,
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
        let Some(partition) = self.partitions.get_mut(place) else { return (Admitted::Ignored, None) };
        if self.stopping || !partition.tracker.received(received.offset()) {
            return (Admitted::Ignored, None);
        }
        partition.held += 1;
        let job =
            Job { received, place: place.clone(), epoch: partition.epoch, lost: partition.lost.subscribe() };
        if partition.held < self.held_max || partition.paused {
            return (Admitted::Held, Some(job));
        }
        partition.paused = true;
        (Admitted::HeldPause, Some(job))
    }

    /// Puts a job into its lane, unless its partition was given back meanwhile.
    pub(super) fn queue(&mut self, job: Job) {
        let ours = self.partitions.get(&job.place).is_some_and(|partition| partition.epoch == job.epoch);
        if !ours || *job.lost.borrow() {
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
        if let Some(partition) = self.own(&job) {
            partition.running += 1;
        }
        Some((lane, job))
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
        if partition.paused && partition.held <= low {
            partition.paused = false;
            self.to_resume.push(job.place.clone());
        }
    }

    /// The job ended, acknowledged or not.
    pub(super) fn end(&mut self, lane: &Lane, job: &Job) {
        self.lanes.done(lane);
        if let Some(partition) = self.own(job) {
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
                moved.then(|| Commit { place: place.clone(), position, metadata })
            })
            .collect()
    }

    /// The broker took a position.
    pub(super) fn committed(&mut self, place: &Place, position: i64) {
        if let Some(partition) = self.partitions.get_mut(place) {
            partition.committed = Some(position);
            partition.told.taken(position);
        }
    }

    fn own(&mut self, job: &Job) -> Option<&mut Partition> {
        self.partitions.get_mut(&job.place).filter(|partition| partition.epoch == job.epoch)
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
