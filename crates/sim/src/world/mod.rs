//! A whole node in one thread without a runtime, its disk, its clients and their bad luck, all out of one seed.
//!
//! ```text
//!  producers, consumers, administrator ──Scene──► Node: Wal + Committer, LogStore + SegmentWriter, replicas, checkpoints
//!        ▲                                          │ every disk operation may be the last one
//!        └────── answers, Journal ◄─────────────────┘ FaultyDisk over MemoryDisk: power cuts, failed syncs, full disk
//!                     └──► history::check; inspect and books after each start
//! ```
//!
//! The code under test is the node's own: nothing of storage, broker or replica is modelled. Only the entry format and the
//! vote stand in for `consensus`. Nothing here reads a clock, an environment or a random number that is not the seed's.

mod admin;
mod answers;
mod books;
mod consumer;
mod damage;
mod desk;
mod inspect;
mod journal;
mod life;
mod machine;
mod member;
mod node;
mod portion;
mod producer;
mod samples;
mod scene;
mod team;
mod unsettled;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::history::{Allowances, History, check};
use life::World;

pub use samples::{Samples, samples};

/// What a run that broke nothing amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that happened, folded; the same for the same seed.
    pub trace: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Ends of the process without a power cut.
    pub kills: u64,
    /// Ends in good order, as far as the node knew.
    pub stops: u64,
    /// Values acknowledged.
    pub acknowledged: u64,
    /// Values sent.
    pub sent: u64,
    /// Records read.
    pub read: u64,
    /// Checkpoints that became durable.
    pub checkpoints: u64,
    /// Commands replayed from the log by starts.
    pub replayed: u64,
    /// Commits of members of consumer groups that were acknowledged.
    pub member_commits: u64,
    /// Restarts over which a member went on under its id and generation.
    pub resumed: u64,
    /// Commits of somebody who was over that were refused again.
    pub refused_again: u64,
    /// Batches that were acknowledged under `flush = "async"`, not synced, and lost.
    pub lost_unsynced: u64,
    /// Accounts that were looked at and balanced, once for each look.
    pub accounts: u64,
    /// Records in them that were delivered and acknowledged.
    pub processed: u64,
    /// Records in them that were acknowledged, and whose delivery a crash may have taken from the books.
    pub unwitnessed: u64,
    /// Events of journals from which they were computed again.
    pub journal_events: u64,
    /// Damaged copies of a stopped node's disk that did not start and named the file.
    pub damage_refused: u64,
    /// Those that started and named the file to readers.
    pub damage_reported: u64,
    /// Those that lost no more than a last commit group behind which nothing stood.
    pub damage_last_group: u64,
    /// Those that needed nothing of what was damaged.
    pub damage_harmless: u64,
}

/// The broker's flush mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `flush = "sync"`: nothing acknowledged may be lost.
    #[default]
    Sync,
    /// `flush = "async"`: what was not synced may be lost to a power cut, and nothing else.
    Async,
}

impl Outcome {
    /// Adds the counts of another run; traces are folded.
    pub fn add(&mut self, other: Outcome) {
        self.trace = self.trace.rotate_left(7) ^ other.trace;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.stops += other.stops;
        self.acknowledged += other.acknowledged;
        self.sent += other.sent;
        self.read += other.read;
        self.checkpoints += other.checkpoints;
        self.replayed += other.replayed;
        self.member_commits += other.member_commits;
        self.resumed += other.resumed;
        self.refused_again += other.refused_again;
        self.lost_unsynced += other.lost_unsynced;
        self.accounts += other.accounts;
        self.processed += other.processed;
        self.unwitnessed += other.unwitnessed;
        self.journal_events += other.journal_events;
        self.damage_refused += other.damage_refused;
        self.damage_reported += other.damage_reported;
        self.damage_last_group += other.damage_last_group;
        self.damage_harmless += other.damage_harmless;
    }
}

/// A run that broke a promise.
#[derive(Debug, thiserror::Error)]
#[error(
    "seed {seed}: {why}\nshown again by: cargo run -p tallymq-sim --bin tallymq-world -- --from {seed} --seeds 1{}",
    if *mode == Mode::Async { " --async" } else { "" }
)]
pub struct Broken {
    /// Which run.
    pub seed: u64,
    /// Under which flush mode.
    pub mode: Mode,
    /// Which promise.
    pub why: String,
    /// What the clients saw, as far as it came.
    pub history: History,
}

/// Runs the world of a seed from its first start to the last read.
pub fn run(seed: u64, mode: Mode) -> Result<Outcome, Box<Broken>> {
    let mut world = World::new(seed, mode);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let why = match lived {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(panic) => Some(format!("a panic: {}", message(&*panic))),
    };
    let (history, mut outcome) = world.into_parts();
    let broken = |why, history| Err(Box::new(Broken { seed, mode, why, history }));
    if let Some(why) = why {
        return broken(why, history);
    }
    // Plain producers send again what may be stored already.
    match check(&history, Allowances { duplicates: true }) {
        Err(error) => broken(format!("the history cannot be judged: {error}"), history),
        Ok(report) if !report.is_clean() => broken(report.to_string(), history),
        Ok(report) => {
            outcome.acknowledged = report.counts.acknowledged as u64;
            outcome.sent = report.counts.sent as u64;
            outcome.read = report.counts.read as u64;
            Ok(outcome)
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
