//! A group that dies at any operation of its disk and starts again on what the disk kept, many lives long, each out of a seed.
//! What was acknowledged comes back where it stood, in order and once, whether by checkpoint or by log; votes never go back.
//!
//! The committer is stepped by the story itself, on a runtime of one thread, with a clock of its own. Not of the seed are the
//! threads that read and write a checkpoint, so that one seed tells similar stories, not the same.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use parking_lot::Mutex;
use tallymq_consensus::{EntryId, Group, GroupEnded, GroupOptions};
use tallymq_model::{LogIndex, NodeId};
use tallymq_storage::{
    checkpoint,
    disk::{Fault, FaultyDisk, MemoryDisk, Operation, Random},
    wal::{Committer, Nanos, Wal, WalOptions},
};

use crate::world::{GROUP, Ledger, line};

const LIVES: u64 = 5;
/// Turns of the scheduler that let all tasks come to rest.
const TURNS: usize = 30;

/// What clients know: position, entry and text of each acknowledged line.
type Acknowledged = Arc<Mutex<Vec<(usize, EntryId, String)>>>;

struct Story {
    random: Random,
    memory: MemoryDisk,
    acknowledged: Acknowledged,
    /// The last term that was led.
    term: u64,
    now: u64,
    crashes: u64,
    checkpoints: u64,
}

/// A group over its log, for one life.
struct Life {
    committer: Committer,
    group: Group<Ledger>,
    ended: Arc<Mutex<Vec<GroupEnded>>>,
}

/// Runs a task to its end, stepping the committer meanwhile.
async fn drive<T: Send + 'static>(
    committer: &mut Committer,
    now: u64,
    task: impl Future<Output = T> + Send + 'static,
) -> T {
    let task = tokio::spawn(task);
    while !task.is_finished() {
        let _ = committer.step(Nanos(now)); // its failure ends the group, which ends the task
        tokio::task::yield_now().await;
    }
    task.await.unwrap()
}

async fn rest() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

impl Story {
    fn new(seed: u64) -> Story {
        Story {
            random: Random::new(seed),
            memory: MemoryDisk::new(),
            acknowledged: Acknowledged::default(),
            term: 0,
            now: 0,
            crashes: 0,
            checkpoints: 0,
        }
    }

    fn run(mut self) -> Story {
        for life in 0..=LIVES {
            let disk = FaultyDisk::over_memory(self.memory.clone());
            let last = life == LIVES;
            if !last {
                self.plan(&disk);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let lived = runtime.block_on(self.live(life, disk.clone(), last));
            drop(runtime);
            assert!(lived || !last, "no start on a healthy disk");
            self.crashes += 1;
            if !self.random.one_in(4) {
                self.memory = self.memory.power_cut(self.random.next_u64());
            }
        }
        self
    }

    fn plan(&mut self, disk: &FaultyDisk) {
        let nth = 1 + self.random.below(40);
        match self.random.below(8) {
            0..=4 => disk.power_off_at(1 + self.random.below(120)),
            5 => disk.fail(Operation::Sync, nth, Fault::Eio),
            6 => disk.fail(Operation::Write, nth, Fault::Eio),
            _ => {}
        }
    }

    /// One life; false if it did not even begin.
    async fn live(&mut self, number: u64, disk: FaultyDisk, last: bool) -> bool {
        let Some(mut life) = self.start(disk, last).await else { return false };
        let mut sent = 0;
        for _ in 0..if last { 20 } else { 40 + self.random.below(120) } {
            self.now += self.random.below(8_000_000);
            match self.random.below(12) {
                0..=4 => {
                    self.propose(&life.group, format!("{number}/{sent}")).await;
                    sent += 1;
                }
                5..=9 => drop(life.committer.step(Nanos(self.now))),
                10 => rest().await,
                _ => self.checkpoint(&mut life).await,
            }
            if !life.ended.lock().is_empty() {
                break;
            }
        }
        true
    }

    async fn start(&mut self, disk: FaultyDisk, last: bool) -> Option<Life> {
        let options = WalOptions { file_bytes: 32 << 10, bytes_max: 256 << 10, ..WalOptions::default() };
        let opened = Wal::open(Arc::new(disk.clone()), options);
        let Ok((wal, mut committer, recovered)) = opened else {
            assert!(!last, "{:?}", opened.err().map(|error| error.to_string()));
            return None;
        };
        // Spare files would be prepared whenever nothing else is to do, which is not of the seed.
        drop(committer.take_preparer());
        let recovered = recovered.groups.get(&GROUP).cloned().unwrap_or_default();
        let vote =
            recovered.vote.as_ref().map_or(0, |vote| u64::from_be_bytes(vote[1..9].try_into().unwrap()));
        assert!(vote >= self.term, "voted in term {}, and {vote} is left", self.term);
        let ended: Arc<Mutex<Vec<GroupEnded>>> = Arc::default();
        let (ledger, told) = (Ledger::default(), ended.clone());
        let options = GroupOptions::new(GROUP, NodeId(1), move |end| told.lock().push(end));
        let starting = Group::start(options, wal, recovered, Arc::new(disk.clone()), ledger.clone());
        let started = drive(&mut committer, self.now, starting).await;
        let group = match started {
            Ok(group) => group,
            Err(error) => {
                assert!(!last, "{error}");
                return None;
            }
        };
        let leading = group.clone();
        let led = drive(&mut committer, self.now, async move { leading.leader_ready().await }).await;
        let Ok(term) = led else {
            assert!(!last, "a healthy disk, and no leader");
            return None;
        };
        assert!(term.0 > self.term, "term {} was led, and {term} is a new leader's", self.term);
        self.term = term.0;
        self.check(&disk, &ledger);
        Some(Life { committer, group, ended })
    }

    /// Everything that was acknowledged is there, where it was, in order and once.
    fn check(&self, disk: &FaultyDisk, ledger: &Ledger) {
        let book = ledger.0.lock();
        for (position, at, text) in self.acknowledged.lock().iter() {
            let found = book.lines.get(*position).map(|(at, text)| (*at, text.clone()));
            assert_eq!(found, Some((*at, text.clone().into())), "acknowledged at line {position}");
        }
        assert!(book.lines.is_sorted_by_key(|(at, _)| *at), "in the log's order");
        let mut next: BTreeMap<String, u64> = BTreeMap::new();
        for text in book.texts() {
            let (life, number) = text.split_once('/').unwrap();
            let next = next.entry(life.to_owned()).or_insert(0);
            assert_eq!(number.parse(), Ok(*next), "each line once, and none without those before it");
            *next += 1;
        }
        let Ok(Some(loaded)) = checkpoint::load(disk, GROUP) else {
            return assert_eq!(book.restored, 0);
        };
        let through: LogIndex = loaded.checkpoint.applied;
        let (restored, replayed) = book.lines.split_at(book.restored);
        assert!(restored.iter().all(|(at, _)| at.index <= through), "the checkpoint's part");
        assert!(
            replayed.iter().all(|(at, _)| at.index > through),
            "nothing of the checkpoint is applied again"
        );
    }

    async fn propose(&mut self, group: &Group<Ledger>, text: String) {
        let Ok(proposal) = group.enqueue(line(&text)).await else { return };
        let acknowledged = self.acknowledged.clone();
        tokio::spawn(async move {
            if let Ok(committed) = proposal.await {
                acknowledged.lock().push((*committed.outcome(), committed.at(), text));
            }
        });
    }

    async fn checkpoint(&mut self, life: &mut Life) {
        let group = life.group.clone();
        let made = async move { matches!(group.checkpoint().await, Ok(Some(_))) };
        self.checkpoints += u64::from(drive(&mut life.committer, self.now, made).await);
    }
}

#[test]
fn a_group_that_crashes_anywhere_keeps_what_it_acknowledged() {
    let (mut acknowledged, mut checkpoints, mut crashes) = (0, 0, 0);
    for seed in 0..120 {
        let story = Story::new(seed).run();
        acknowledged += story.acknowledged.lock().len();
        checkpoints += story.checkpoints;
        crashes += story.crashes;
    }
    assert!(
        acknowledged > 5_000 && checkpoints > 200 && crashes > 600,
        "{acknowledged} {checkpoints} {crashes}"
    );
}
