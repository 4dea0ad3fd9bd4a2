//! Which client stored which records: gathered beside the produces, and written to the journal a few seconds later. Costs a produce a
//! look into a table, and the journal a few bytes for each turn of a producer. Soft: of what a crash takes the trace says that it is
//! not known.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::Duration,
};

use parking_lot::Mutex;
use tallymq_broker::{
    account::{AccountCommand, StoredBy, StoredRun, Who},
    data::DataCommand,
};
use tallymq_consensus::ProposeError;
use tallymq_model::{Offset, RaftGroup, Timestamp, TopicPartition};
use tokio::{sync::Notify, time::timeout};

use crate::node::{DataHandle, Node};

/// Records that follow each other within so many milliseconds are one run: so exact is the time of each.
const RUN_MS: i64 = 250;
/// How long runs gather.
const GATHER: Duration = Duration::from_secs(5);
/// Runs of a data group at which they are written down at once.
const RUNS_MANY: usize = 16_384;
/// Runs of a data group beyond which none is kept: of these records it will not be known.
const RUNS_MAX: usize = 4 * RUNS_MANY;
/// Runs of one event, and connections of one command.
const RUNS_PER_EVENT: usize = 4096;
const WRITERS_PER_COMMAND: usize = 256;

/// A connection on which records come in.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The client's name for itself.
    pub client_id: &'a str,
    /// Where it is.
    pub address: SocketAddr,
    /// The connection's number.
    pub connection: u64,
}

/// What was stored and is not in the journal yet.
pub struct Stored {
    groups: BTreeMap<RaftGroup, Mutex<Gathered>>,
    much: Notify,
}

#[derive(Default)]
struct Gathered {
    by: HashMap<(TopicPartition, u64), StoredBy>,
    runs: usize,
}

impl Stored {
    /// Nothing yet, of these data groups.
    pub fn new(groups: impl IntoIterator<Item = RaftGroup>) -> Stored {
        let groups = groups.into_iter().map(|group| (group, Mutex::default())).collect();
        Stored { groups, much: Notify::new() }
    }

    /// Records from `from` to `to` were stored.
    pub fn note(
        &self,
        data: RaftGroup,
        tp: TopicPartition,
        (from, to): (Offset, Offset),
        at: Timestamp,
        writer: Writer<'_>,
    ) {
        let Some(gathered) = self.groups.get(&data) else { return };
        if gathered.lock().note(tp, (from, to), at, writer) == RUNS_MANY {
            self.much.notify_one();
        }
    }

    /// Takes all of a data group, in commands of a bounded size.
    fn take(&self, data: RaftGroup, at: Timestamp) -> Vec<AccountCommand> {
        let Some(gathered) = self.groups.get(&data) else { return Vec::new() };
        let Gathered { by, .. } = std::mem::take(&mut *gathered.lock());
        let mut all: Vec<StoredBy> = by.into_values().collect();
        all.sort_by_key(|one| (one.tp, one.connection));
        let events = all.into_iter().flat_map(|mut one| {
            one.runs.sort_unstable_by_key(|run| run.from);
            let runs = std::mem::take(&mut one.runs);
            let pieces = runs.chunks(RUNS_PER_EVENT);
            let event = |runs: &[StoredRun]| StoredBy { at: runs[0].at, runs: runs.to_vec(), ..one.clone() };
            pieces.map(event).collect::<Vec<_>>()
        });
        let events: Vec<StoredBy> = events.collect();
        let commands = events.chunks(WRITERS_PER_COMMAND);
        commands.map(|stored| AccountCommand::Stored { stored: stored.to_vec(), at }).collect()
    }
}

impl Gathered {
    /// Gives back how many runs there are.
    fn note(
        &mut self,
        tp: TopicPartition,
        (from, to): (Offset, Offset),
        at: Timestamp,
        writer: Writer<'_>,
    ) -> usize {
        if self.runs >= RUNS_MAX {
            return self.runs;
        }
        let connection = writer.connection;
        let one = self.by.entry((tp, connection)).or_insert_with(|| {
            let who = Who::new("", writer.client_id, &writer.address.to_string());
            StoredBy { tp, who, connection, at, runs: Vec::new() }
        });
        match one.runs.last_mut() {
            Some(last) if last.to == from && at.0 - last.at.0 < RUN_MS => last.to = to,
            _ => {
                one.runs.push(StoredRun { from, to, at });
                self.runs += 1;
            }
        }
        self.runs
    }
}

/// Writes down again and again.
pub async fn write_down_forever(node: &Node) {
    loop {
        let _ = timeout(GATHER, node.stored.much.notified()).await;
        write_down(node).await;
    }
}

/// Writes down what was gathered.
pub async fn write_down(node: &Node) {
    for handle in node.data_groups() {
        if let Err(error) = write_down_group(node, handle).await {
            tracing::warn!(%error, group = %handle.id, "which clients stored records could not be written down");
        }
    }
}

async fn write_down_group(node: &Node, handle: &DataHandle) -> Result<(), ProposeError> {
    for command in node.stored.take(handle.id, node.now()) {
        handle.propose(DataCommand::Account(command)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    const DATA: RaftGroup = RaftGroup(1);

    fn tp() -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) }
    }

    fn note(stored: &Stored, connection: u64, from: i64, to: i64) {
        let address = "127.0.0.1:9".parse().unwrap();
        let writer = Writer { client_id: "c", address, connection };
        stored.note(DATA, tp(), (Offset(from), Offset(to)), Timestamp(from), writer);
    }

    fn taken(stored: &Stored) -> Vec<(u64, Vec<(i64, i64)>)> {
        let commands = stored.take(DATA, Timestamp(0));
        let of = |command: AccountCommand| match command {
            AccountCommand::Stored { stored, .. } => stored,
            other => panic!("{other:?}"),
        };
        let all = commands.into_iter().flat_map(of);
        all.map(|one| (one.connection, one.runs.iter().map(|run| (run.from.0, run.to.0)).collect())).collect()
    }

    #[test]
    fn what_follows_is_one_run_and_turns_are_kept_apart() {
        let stored = Stored::new([DATA]);
        for turn in 0..3 {
            note(&stored, 1, turn * 10, turn * 10 + 2);
            note(&stored, 1, turn * 10 + 2, turn * 10 + 5);
            note(&stored, 2, turn * 10 + 5, turn * 10 + 10);
        }
        let expected = [(1, vec![(0, 5), (10, 15), (20, 25)]), (2, vec![(5, 10), (15, 20), (25, 30)])];
        assert_eq!(taken(&stored), expected);
        // The test's clock is the offset.
        (0..600).for_each(|at| note(&stored, 1, at, at + 1));
        assert_eq!(taken(&stored), [(1, vec![(0, 250), (250, 500), (500, 600)])], "the time stays exact");
        assert_eq!(taken(&stored), [], "once");
    }

    #[test]
    fn it_is_bounded() {
        let stored = Stored::new([DATA]);
        for run in 0..2 * RUNS_MAX as i64 {
            note(&stored, 1, run * 2, run * 2 + 1);
        }
        let taken = taken(&stored);
        assert_eq!(taken.iter().map(|(_, runs)| runs.len()).sum::<usize>(), RUNS_MAX);
        assert!(taken.iter().all(|(_, runs)| runs.len() <= RUNS_PER_EVENT));
    }
}
