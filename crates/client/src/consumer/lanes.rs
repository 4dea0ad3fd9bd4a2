//! Who runs next: many lanes at a time, one job of a lane at a time, in the order of arrival. Pure.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
};

/// Jobs in lanes.
#[derive(Debug)]
pub(super) struct Lanes<L, T> {
    parallel_max: usize,
    waiting: HashMap<L, VecDeque<T>>, // no empty queues
    busy: HashSet<L>,                 // lanes with a running job; at most parallel_max
    ready: VecDeque<L>,               // exactly the lanes that wait and are not busy, each once
}

impl<L: Clone + Eq + Hash, T> Lanes<L, T> {
    /// No jobs; at most `parallel_max` will run at a time.
    pub(super) fn new(parallel_max: usize) -> Lanes<L, T> {
        Lanes {
            parallel_max: parallel_max.max(1),
            waiting: HashMap::new(),
            busy: HashSet::new(),
            ready: VecDeque::new(),
        }
    }

    /// Adds a job behind the others of its lane.
    pub(super) fn push(&mut self, lane: L, job: T) {
        let queue = self.waiting.entry(lane.clone()).or_default();
        queue.push_back(job);
        if queue.len() == 1 && !self.busy.contains(&lane) {
            self.ready.push_back(lane);
        }
    }

    /// A job that may start now.
    pub(super) fn start(&mut self) -> Option<(L, T)> {
        if self.busy.len() >= self.parallel_max {
            return None;
        }
        let lane = self.ready.pop_front()?;
        let queue = self.waiting.get_mut(&lane).expect("a ready lane has a job");
        let job = queue.pop_front().expect("no queue is empty");
        if queue.is_empty() {
            self.waiting.remove(&lane);
        }
        self.busy.insert(lane.clone());
        Some((lane, job))
    }

    /// The running job of that lane ended.
    pub(super) fn done(&mut self, lane: &L) {
        if self.busy.remove(lane) && self.waiting.contains_key(lane) {
            self.ready.push_back(lane.clone());
        }
    }

    /// Takes the waiting jobs of some lanes out; what runs goes on.
    pub(super) fn withdraw(&mut self, of: impl Fn(&L) -> bool) -> Vec<T> {
        self.ready.retain(|lane| !of(lane));
        self.waiting.extract_if(|lane, _| of(lane)).flat_map(|(_, queue)| queue).collect()
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.busy.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_withdrawn_lane_can_be_used_again() {
        let mut lanes = Lanes::new(4);
        lanes.push(1, 'a');
        lanes.push(1, 'b');
        assert_eq!(lanes.start(), Some((1, 'a')));
        assert_eq!(lanes.withdraw(|lane| *lane == 1), ['b']);
        lanes.done(&1);
        assert_eq!(lanes.start(), None);
        lanes.push(1, 'c');
        assert_eq!(lanes.start(), Some((1, 'c')));
    }

    proptest! {
        #[test]
        fn every_job_runs_once_in_its_lanes_order_and_never_beside_another_of_it(
            parallel_max in 1usize..5,
            steps in prop::collection::vec((0u8..3, 0u8..6), 1..300),
        ) {
            let mut lanes = Lanes::new(parallel_max);
            let (mut pushed, mut started): (HashMap<u8, Vec<usize>>, HashMap<u8, Vec<usize>>) = Default::default();
            let mut running: Vec<u8> = Vec::new();
            for (job, (step, lane)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        lanes.push(lane, job);
                        pushed.entry(lane).or_default().push(job);
                    }
                    1 if !running.is_empty() => {
                        let lane = running.remove(lane as usize % running.len());
                        lanes.done(&lane);
                    }
                    _ => {
                        if let Some((lane, job)) = lanes.start() {
                            prop_assert!(!running.contains(&lane));
                            running.push(lane);
                            started.entry(lane).or_default().push(job);
                        }
                    }
                }
                prop_assert!(running.len() <= parallel_max);
                prop_assert_eq!(lanes.running(), running.len());
            }
            loop {
                for lane in running.drain(..) {
                    lanes.done(&lane);
                }
                while let Some((lane, job)) = lanes.start() {
                    running.push(lane);
                    started.entry(lane).or_default().push(job);
                }
                if running.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(started, pushed);
        }
    }
}
