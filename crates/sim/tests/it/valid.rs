//! Valid histories from a seed: a queue that keeps every promise, small enough to keep in one struct. Producers (two
//! idempotent, with sends in flight and transactions), a group with rebalances and commits, a reader of its own, holders
//! of leases, then the final phase. The same seed gives the same history.

use std::collections::BTreeMap;

use tallymq_sim::history::{Event, History, Kind, Op};

/// How long a lease lasts; only a jump of the clock outlasts it.
pub const LEASE_NS: i64 = 1_000_000;
/// The reader of the final phase.
pub const FINAL_READER: i64 = 41;
const GROUP: [i64; 2] = [11, 12];
const LONE_READER: i64 = 21;
const HOLDERS: [i64; 2] = [31, 32];
const PARTITIONS: usize = 2;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Lot {
    Available,
    Held(i64),
}

/// One run of the queue, and what its clients saw.
pub struct Run {
    pub history: History,
    rng: Rng,
    now_ns: i64,
    sent: usize,
    /// `None` is a marker or an aborted record: an offset that no reader sees.
    logs: [Vec<Option<String>>; PARTITIONS],
    /// By process and partition: the next offset to poll.
    positions: BTreeMap<(i64, usize), usize>,
    committed: [usize; PARTITIONS],
    /// What is neither acknowledged nor given up.
    queue: BTreeMap<String, Lot>,
    dead: Vec<String>,
}

impl Run {
    /// A short run, as the mutations want it.
    pub fn new(seed: u64) -> Run {
        Run::with_steps(seed, 60)
    }

    /// A run of `steps` random actions and the final phase.
    pub fn with_steps(seed: u64, steps: usize) -> Run {
        let mut run = Run {
            history: History::default(),
            rng: Rng::new(seed),
            now_ns: 0,
            sent: 0,
            logs: [Vec::new(), Vec::new()],
            positions: BTreeMap::new(),
            committed: [0; PARTITIONS],
            queue: BTreeMap::new(),
            dead: Vec::new(),
        };
        run.rebalance();
        run.assign(LONE_READER, None, &[0, 1]);
        for _ in 0..steps {
            run.step();
        }
        run.finish();
        run
    }

    fn step(&mut self) {
        match self.rng.below(16) {
            0..=3 => self.send(),
            4 => self.send_in_flight(),
            5 => self.send_in_transaction(),
            6..=8 => self.poll(),
            9 => self.commit(),
            10 if self.rng.below(3) == 0 => self.rebalance(),
            10 => self.poll(),
            11 => self.publish(),
            12 | 13 => self.lease(),
            14 => self.settle(),
            _ if self.rng.below(4) == 0 => self.expire(),
            _ => self.settle(),
        }
    }

    fn event(&mut self, process: i64, op: Op, kind: Kind) -> Event {
        self.now_ns += 1 + self.rng.below(9) as i64;
        Event::new(process, self.now_ns, op, kind)
    }

    fn push(&mut self, event: Event) {
        self.history.events.push(event);
    }

    fn send_event(&mut self, process: i64, partition: usize, value: &str, kind: Kind) -> Event {
        let mut event =
            self.event(process, Op::Send, kind).topic("t").partition(partition as i32).value(value);
        event.producer = (process < 3).then_some(process * 10);
        event
    }

    fn next_value(&mut self) -> String {
        self.sent += 1;
        format!("v{}", self.sent)
    }

    fn append(&mut self, partition: usize, value: Option<&str>) -> i64 {
        self.logs[partition].push(value.map(str::to_owned));
        self.logs[partition].len() as i64 - 1
    }

    fn send(&mut self) {
        let (process, partition, value) =
            (1 + self.rng.below(3) as i64, self.rng.below(PARTITIONS), self.next_value());
        let invoke = self.send_event(process, partition, &value, Kind::Invoke);
        self.push(invoke);
        let done = match self.rng.below(10) {
            0 => self.send_event(process, partition, &value, Kind::Fail),
            stored @ 1..=3 => {
                if stored != 1 {
                    self.append(partition, Some(&value));
                }
                self.send_event(process, partition, &value, Kind::Unknown)
            }
            _ => {
                let offset = self.append(partition, Some(&value));
                self.send_event(process, partition, &value, Kind::Ok).offset(offset)
            }
        };
        self.push(done);
    }

    fn send_in_flight(&mut self) {
        let (process, partition) = (1 + self.rng.below(2) as i64, self.rng.below(PARTITIONS));
        let values = [self.next_value(), self.next_value()];
        for value in &values {
            let invoke = self.send_event(process, partition, value, Kind::Invoke);
            self.push(invoke);
        }
        let offsets = [self.append(partition, Some(&values[0])), self.append(partition, Some(&values[1]))];
        for number in [1, 0] {
            let done = self.send_event(process, partition, &values[number], Kind::Ok).offset(offsets[number]);
            self.push(done);
        }
    }

    fn send_in_transaction(&mut self) {
        let (partition, value, commits) =
            (self.rng.below(PARTITIONS), self.next_value(), self.rng.below(2) == 0);
        let txn = format!("x{}", self.sent);
        let offset = self.append(partition, commits.then_some(value.as_str()));
        self.append(partition, None);
        for kind in [Kind::Invoke, Kind::Ok] {
            let mut event = self.send_event(1, partition, &value, kind);
            event.txn = Some(txn.clone());
            event.offset = (kind == Kind::Ok).then_some(offset);
            self.push(event);
        }
        for kind in [Kind::Invoke, Kind::Ok] {
            let mut event = self.event(1, if commits { Op::CommitTxn } else { Op::AbortTxn }, kind);
            event.txn = Some(txn.clone());
            self.push(event);
        }
    }

    fn assign(&mut self, process: i64, group: Option<&str>, partitions: &[usize]) {
        for &partition in partitions {
            let from = if group.is_some() { self.committed[partition] } else { 0 };
            let mut event = self.event(process, Op::Assign, Kind::Ok).topic("t");
            event.group = group.map(str::to_owned);
            self.push(event.partition(partition as i32).offset(from as i64));
            self.positions.insert((process, partition), from);
        }
    }

    fn rebalance(&mut self) {
        for process in GROUP {
            let event = self.event(process, Op::Revoke, Kind::Ok).topic("t").group("g");
            self.push(event);
        }
        self.positions.retain(|(process, _), _| !GROUP.contains(process));
        for partition in 0..PARTITIONS {
            let owner = GROUP[self.rng.below(GROUP.len())];
            self.assign(owner, Some("g"), &[partition]);
        }
    }

    fn poll(&mut self) {
        let owned: Vec<(i64, usize)> = self.positions.keys().copied().collect();
        if let Some((process, partition)) = self.rng.pick(&owned) {
            let count = 1 + self.rng.below(5);
            self.poll_from(process, partition, count);
        }
    }

    fn poll_from(&mut self, process: i64, partition: usize, count: usize) {
        let invoke = self.event(process, Op::Poll, Kind::Invoke).topic("t");
        self.push(invoke);
        let mut event = self.event(process, Op::Poll, Kind::Ok).topic("t");
        let mut position = self.positions[&(process, partition)];
        while event.records.len() < count && position < self.logs[partition].len() {
            if let Some(value) = &self.logs[partition][position] {
                event = event.record(partition as i32, position as i64, value.clone());
            }
            position += 1;
        }
        self.positions.insert((process, partition), position);
        self.push(event);
    }

    fn commit(&mut self) {
        let owned: Vec<_> =
            self.positions.iter().filter(|((process, _), _)| GROUP.contains(process)).collect();
        let owned: Vec<_> = owned.into_iter().map(|(&key, &position)| (key, position)).collect();
        let Some(((process, partition), position)) =
            self.rng.pick(&owned).filter(|&(_, position)| position > 0)
        else {
            return;
        };
        let kind = if self.rng.below(10) == 0 { Kind::Unknown } else { Kind::Ok };
        for kind in [Kind::Invoke, kind] {
            let event = self.event(process, Op::Commit, kind).topic("t").group("g");
            self.push(event.partition(partition as i32).offset(position as i64));
        }
        self.committed[partition] = position;
    }

    fn publish(&mut self) {
        let value = format!("q{}", self.next_value());
        for kind in [Kind::Invoke, Kind::Ok] {
            let event = self.event(4, Op::Send, kind).topic("q").value(value.clone());
            self.push(event);
        }
        self.queue.insert(value, Lot::Available);
    }

    fn lots(&self, lot: Lot) -> Vec<String> {
        self.queue.iter().filter(|(_, l)| **l == lot).map(|(value, _)| value.clone()).collect()
    }

    fn about(&mut self, process: i64, op: Op, kind: Kind, values: &[String]) {
        let mut event = self.event(process, op, kind).topic("q").group("w");
        event.lease_ns = (op == Op::Lease).then_some(LEASE_NS);
        if !(op == Op::Lease && kind == Kind::Invoke) {
            event.records.extend(values.iter().map(|value| tallymq_sim::history::Record {
                value: Some(value.clone()),
                ..Default::default()
            }));
        }
        self.push(event);
    }

    fn lease(&mut self) {
        let holder = HOLDERS[self.rng.below(HOLDERS.len())];
        let count = 1 + self.rng.below(3);
        let taken: Vec<String> = self.lots(Lot::Available).into_iter().take(count).collect();
        self.about(holder, Op::Lease, Kind::Invoke, &taken);
        self.about(holder, Op::Lease, Kind::Ok, &taken);
        for value in taken {
            self.queue.insert(value, Lot::Held(holder));
        }
    }

    fn settle(&mut self) {
        let holder = HOLDERS[self.rng.below(HOLDERS.len())];
        let Some(value) = self.rng.pick(&self.lots(Lot::Held(holder))) else {
            return;
        };
        let (op, kind) = match self.rng.below(8) {
            0 | 1 => (Op::Release, Kind::Ok),
            2 | 3 => (Op::Reject, Kind::Ok),
            4 => (Op::Ack, Kind::Unknown),
            _ => (Op::Ack, Kind::Ok),
        };
        self.about(holder, op, Kind::Invoke, std::slice::from_ref(&value));
        self.about(holder, op, kind, std::slice::from_ref(&value));
        self.queue.remove(&value);
        match op {
            Op::Release => drop(self.queue.insert(value, Lot::Available)),
            Op::Reject => self.dead.push(value),
            _ => {}
        }
    }

    fn expire(&mut self) {
        self.now_ns += 2 * LEASE_NS;
        for lot in self.queue.values_mut().filter(|lot| matches!(lot, Lot::Held(_))) {
            *lot = Lot::Available;
        }
    }

    fn finish(&mut self) {
        let event = self.event(0, Op::Final, Kind::Ok);
        self.push(event);
        self.assign(FINAL_READER, None, &[0, 1]);
        for partition in 0..PARTITIONS {
            while self.positions[&(FINAL_READER, partition)] < self.logs[partition].len() {
                let count = 3 + self.rng.below(4);
                self.poll_from(FINAL_READER, partition, count);
            }
        }
        let dead = std::mem::take(&mut self.dead);
        self.about(51, Op::DeadLetter, Kind::Ok, &dead);
        let mut remaining = self.lots(Lot::Available);
        remaining.extend(HOLDERS.into_iter().flat_map(|holder| self.lots(Lot::Held(holder))));
        self.about(51, Op::Remaining, Kind::Ok, &remaining);
    }
}
