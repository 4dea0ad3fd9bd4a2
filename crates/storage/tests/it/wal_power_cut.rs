//! Simulated power cuts over the log alone: random Raft groups, power cut or process killed at any operation, failed
//! syncs, also during recovery. `TALLYMQ_POWER_CUTS` sets how many; `TALLYMQ_SEED` where to begin.

use std::{sync::Arc, time::Duration};

use tallymq_storage::{
    disk::{Fault, FaultyDisk, MemoryDisk, Operation, Random},
    wal::{Committer, Flush, Nanos, Step, Wal, WalOpenError, WalOptions},
};

use crate::{
    power_cuts,
    wal_model::{History, random_records, small_options},
};

const POWER_CUTS: u64 = 18_000;

/// One simulated machine, from its first start through a few crashes.
struct World {
    random: Random,
    memory: MemoryDisk,
    options: WalOptions,
    history: History,
    now: u64,
    power_cuts: u64,
    /// Everything that happened, folded.
    trace: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let asynchronous = random.one_in(4);
        let flush = match asynchronous {
            true => Flush::Async {
                interval: Duration::from_millis(random.below(60)),
                bytes: random.below(60_000),
            },
            false => Flush::Sync,
        };
        World {
            options: WalOptions { flush, spare_files: random.below(3) as usize, ..small_options() },
            random,
            memory: MemoryDisk::new(),
            history: History::new(asynchronous),
            now: 0,
            power_cuts: 0,
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0100_0000_01b3);
    }

    /// Opens the log, crashing now and then while it recovers.
    fn open(&mut self) -> Result<(FaultyDisk, Wal, Committer), String> {
        loop {
            let disk = FaultyDisk::over_memory(self.memory.clone());
            if self.random.one_in(4) {
                disk.power_off_at(1 + self.random.below(20));
            }
            match Wal::open(Arc::new(disk.clone()), self.options.clone()) {
                Ok((wal, committer, recovered)) => {
                    self.note(recovered.cut.map_or(0, |cut| cut.position));
                    let count = self.history.recovered(&wal)?;
                    self.note(count as u64);
                    return Ok((disk, wal, committer));
                }
                Err(WalOpenError::Io { .. }) if disk.is_off() => self.crash(),
                Err(error) => return Err(format!("no start after a crash: {error}")),
            }
        }
    }

    /// Loses power, or only the process.
    fn crash(&mut self) {
        if self.random.one_in(4) {
            self.note(1);
            return;
        }
        self.power_cuts += 1;
        let seed = self.random.next_u64();
        self.note(seed);
        self.memory = self.memory.power_cut(seed);
    }

    /// Runs until something fails or enough was done.
    fn run(&mut self, disk: &FaultyDisk, wal: &Wal, committer: &mut Committer) {
        if !disk.is_off() {
            match self.random.below(4) {
                0 => disk.fail(Operation::Sync, 1 + self.random.below(30), Fault::Eio),
                1 | 2 => disk.power_off_at(1 + self.random.below(120)),
                _ => {}
            }
        }
        for _ in 0..10 + self.random.below(50) {
            if self.random.below(5) < 3 {
                let records = random_records(&mut self.random, &self.history.latest);
                self.history.submit(wal, records);
                continue;
            }
            self.now += self.random.below(30_000_000);
            match committer.step(Nanos(self.now)) {
                Ok(Step::Worked) => self.note(2),
                Ok(Step::Idle { until }) => self.note(until.map_or(3, |until| until.0)),
                Err(_) => {
                    self.note(4);
                    let acked = self.history.acked();
                    self.history.submit(wal, Vec::new());
                    assert!(committer.step(Nanos(self.now)).is_err(), "a failed log stays failed");
                    assert_eq!(acked, self.history.acked(), "no acknowledgement after a failure");
                    assert_eq!(self.history.completed(), self.history.submitted(), "all are told");
                    return;
                }
            }
            let changes = disk.changes();
            self.note(changes);
        }
    }

    fn live(&mut self) -> Result<(), String> {
        for _ in 0..2 + self.random.below(4) {
            let (disk, wal, mut committer) = self.open()?;
            self.run(&disk, &wal, &mut committer);
            let acked = self.history.acked();
            self.note(acked as u64);
            self.crash();
        }
        self.open().map(|_| ())
    }
}

fn run(seed: u64) -> (u64, u64) {
    let outcome = std::panic::catch_unwind(|| {
        let mut world = World::new(seed);
        world.live().map(|()| (world.power_cuts, world.trace))
    });
    match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => panic!("seed {seed} (TALLYMQ_SEED={seed} TALLYMQ_POWER_CUTS=1): {why}"),
        Err(_) => panic!("seed {seed} (TALLYMQ_SEED={seed} TALLYMQ_POWER_CUTS=1) panicked"),
    }
}

#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    power_cuts::play("TALLYMQ_POWER_CUTS", POWER_CUTS, |seed| run(seed).0);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut traces = std::collections::BTreeSet::new();
    for seed in 500_000..500_020 {
        let trace = run(seed).1;
        assert_eq!(trace, run(seed).1, "seed {seed}");
        traces.insert(trace);
    }
    assert_eq!(traces.len(), 20, "other seeds, other traces");
}
