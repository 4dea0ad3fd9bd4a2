//! Measures one group over a write-ahead log on a disk in memory: proposals a second with many proposers at once, and how
//! long a lone proposal takes. Prints, asserts nothing. Run it optimised.
//!
//! `propose [--one-thread] [--sync-micros N] [--entries N]`: all on one thread; each sync takes N microseconds more; N
//! entries in flight.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tallymq_consensus::{
    BuildState, Command, DecodeError, EntryId, Group, GroupOptions, Parts, StateMachine,
};
use tallymq_model::{LogIndex, NodeId, RaftGroup};
use tallymq_storage::{
    disk::{Disk, MemoryDisk},
    wal::{self, CommitterThread, RecoveredGroup, Wal, WalOptions},
};

#[derive(Clone, Debug)]
struct Record(Bytes);

impl Command for Record {
    fn encode(&self, out: &mut Parts) {
        out.put_u8(1);
        out.link(&self.0);
    }
    fn decode(bytes: &mut Bytes) -> Result<Record, DecodeError> {
        Ok(Record(bytes.split_off(1.min(bytes.len()))))
    }
    fn size_bytes(&self) -> usize {
        1 + self.0.len()
    }
}

#[derive(Default)]
struct Counter {
    records: u64,
    runs: u64,
    last: LogIndex,
}

impl StateMachine for Counter {
    type Command = Record;
    type Outcome = u64;
    fn apply(&mut self, at: EntryId, _: Record) -> u64 {
        self.records += 1;
        self.last = at.index;
        self.records
    }
    fn batch_applied(&mut self) {
        self.runs += 1;
    }
    fn begin_checkpoint(&mut self) -> BuildState {
        Box::new(|| Ok(Vec::new()))
    }
    fn checkpoint_durable(&mut self, _: LogIndex) {}
    fn restore(&mut self, _: Bytes) -> io::Result<()> {
        Ok(())
    }
}

fn main() {
    let runtime = if std::env::args().any(|arg| arg == "--one-thread") {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
    };
    runtime.expect("a runtime").block_on(measure());
}

/// The number behind an argument.
fn argument(name: &str) -> Option<u64> {
    let value = std::env::args().skip_while(|arg| arg != name).nth(1)?;
    Some(value.parse().expect("a number"))
}

async fn measure() {
    let mut options = GroupOptions::new(RaftGroup(1), NodeId(1), |ended| panic!("{ended}"));
    if let Some(entries) = argument("--entries") {
        options.entries_in_flight_max = entries as usize;
    }
    let started = Instant::now();
    let (wal, committer, disk) = storage();
    let group = Group::start(options, wal, RecoveredGroup::default(), disk, Counter::default());
    let group = group.await.expect("the group starts");
    group.leader_ready().await.expect("the only voter leads");
    println!("leader after {:?}", started.elapsed());
    let payload = Bytes::from(vec![7; 1024]);
    for proposers in [1, 16, 256, 1024] {
        throughput(&group, &payload, proposers).await;
        group.checkpoint().await.expect("a checkpoint");
    }
    lone(&group, &payload).await;
    group.shutdown().await;
    committer.stop().expect("the log closes");
}

async fn throughput(group: &Group<Counter>, payload: &Bytes, proposers: u64) {
    let (started, first) = (Instant::now(), group.applied());
    let until = started + Duration::from_secs(2);
    let tasks: Vec<_> = (0..proposers)
        .map(|_| {
            let (group, payload) = (group.clone(), payload.clone());
            tokio::spawn(async move {
                let mut done = 0u64;
                while Instant::now() < until {
                    group.propose(Record(payload.clone())).await.expect("committed");
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("no panic");
    }
    let rate = done as f64 / started.elapsed().as_secs_f64();
    let entries = group.applied().0 - first.0;
    println!(
        "{proposers:>5} proposers: {rate:>9.0} proposals/s, {:.1} a entry",
        done as f64 / entries as f64
    );
}

async fn lone(group: &Group<Counter>, payload: &Bytes) {
    let mut micros: Vec<u128> = Vec::new();
    for _ in 0..5_000 {
        let started = Instant::now();
        group.propose(Record(payload.clone())).await.expect("committed");
        micros.push(started.elapsed().as_micros());
    }
    micros.sort_unstable();
    let at = |share: f64| micros[(micros.len() as f64 * share) as usize];
    println!("lone: p50 {} us, p99 {} us, p99.9 {} us", at(0.5), at(0.99), at(0.999));
}

fn storage() -> (Wal, CommitterThread, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = WalOptions {
        file_bytes: 16 << 20,
        bytes_max: 64 << 20,
        sync_delay: Duration::from_micros(argument("--sync-micros").unwrap_or(0)),
        ..WalOptions::default()
    };
    let (wal, committer, _) = Wal::open(disk.clone(), options).expect("an empty disk");
    let committer = wal::spawn(committer, |error| panic!("{error}")).expect("a thread");
    (wal, committer, disk)
}
