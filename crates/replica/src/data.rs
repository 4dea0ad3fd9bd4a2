//! A data group's replica: applies commands to the broker's state and, in the same step, to the partition logs, so that the
//! two never say different things about an offset.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_broker::{
    ApplyContext, DecodeError, Parts,
    account::AccountOutcome,
    data::{DataCommand, DataGroup, DataOutcome, Produce, Produced},
};
use tallymq_model::{LogIndex, Offset, RaftGroup, TopicPartition};
use tallymq_storage::log::{
    CheckpointMark, FlushError, LogPosition, LogStore, PartitionOptions, PositionError,
};
use thiserror::Error;

use crate::{data_checkpoint, journal, view::DataView};

/// The state machine of one data group.
pub struct DataReplica {
    group: RaftGroup,
    view: Arc<DataView>,
    /// Partitions appended to since the last [`DataReplica::touched`], possibly with repeats.
    appended: Vec<TopicPartition>,
    told: Vec<TopicPartition>,
    mark: Option<Arc<CheckpointMark>>,
}

/// A checkpoint whose state was taken, and whose records have still to be made durable. Finished on another thread.
pub struct PendingCheckpoint {
    state: Bytes,
    store: Arc<LogStore>,
    mark: Arc<CheckpointMark>,
}

/// Why a checkpoint's state is refused.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The broker's part.
    #[error(transparent)]
    State(#[from] DecodeError),
    /// A partition's log.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// State and logs do not belong together.
    #[error("partition {0} has records in the state but no log position, or ends elsewhere")]
    Mismatch(TopicPartition),
}

impl DataReplica {
    /// An empty group whose logs live in `store`.
    pub fn new(group: RaftGroup, store: Arc<LogStore>) -> DataReplica {
        let view = Arc::new(DataView::new(store));
        DataReplica { group, view, appended: Vec::new(), told: Vec::new(), mark: None }
    }

    /// Which data group it is.
    pub fn group(&self) -> RaftGroup {
        self.group
    }

    /// The readers' side.
    pub fn view(&self) -> Arc<DataView> {
        self.view.clone()
    }

    /// The next committed command.
    pub fn apply(&mut self, at: ApplyContext, command: DataCommand) -> DataOutcome {
        let (outcome, noted) = self.view.state.write().apply_noting(at, &command);
        if let Some(noted) = noted {
            journal::append(&self.view, self.group, &noted);
        }
        match (&outcome, command) {
            (DataOutcome::Produced(Ok(appended)), DataCommand::Produce(produce)) => {
                self.append(appended, produce)
            }
            (DataOutcome::Opened(partitions), _) => self.open(partitions),
            (DataOutcome::Closed(partitions), _) => self.close(partitions),
            (DataOutcome::LogStartMoved(Ok(moved)), DataCommand::MoveLogStart(asked)) => {
                if let Some(log) = self.view.logs.read().get(&asked.tp) {
                    log.set_log_start(moved.log_start);
                }
            }
            (DataOutcome::Account(AccountOutcome::JournalTrimmed { log_start }), _) => {
                journal::trim(&self.view, *log_start);
            }
            _ => {}
        }
        outcome
    }

    fn append(&mut self, appended: &Produced, produce: Produce) {
        let Produced::Appended { base_offset, leader_epoch, .. } = *appended else { return };
        let logs = self.view.logs.read();
        let log = logs.get(&produce.tp).expect("a partition of the state has its log");
        // A refusal means that state and log disagree; going on would serve wrong offsets.
        log.append(&produce.header, produce.batch, base_offset, leader_epoch)
            .expect("the log continues where the state does");
        drop(logs);
        if self.appended.last() != Some(&produce.tp) {
            self.appended.push(produce.tp);
        }
    }

    fn open(&mut self, partitions: &[TopicPartition]) {
        let mut logs = self.view.logs.write();
        for &tp in partitions {
            let log =
                self.view.store.open(tp, self.group, PartitionOptions::default(), LogPosition::default());
            logs.insert(tp, log);
        }
    }

    fn close(&mut self, partitions: &[TopicPartition]) {
        let mut logs = self.view.logs.write();
        for tp in partitions {
            logs.remove(tp);
            self.view.store.delete(*tp);
        }
    }

    /// The partitions that got records since the last call.
    pub fn touched(&mut self) -> &[TopicPartition] {
        std::mem::swap(&mut self.appended, &mut self.told);
        self.appended.clear();
        &self.told
    }

    /// Takes the state as it is now, and marks the place in the segment writer's queue that belongs to it.
    pub fn begin_checkpoint(&mut self) -> PendingCheckpoint {
        let mark = Arc::new(self.view.store.begin_checkpoint(self.group));
        self.mark = Some(mark.clone());
        let mut parts = Parts::new();
        self.view.state.read().encode(&mut parts);
        PendingCheckpoint { state: parts.into_bytes(), store: self.view.store.clone(), mark }
    }

    /// The checkpoint that was begun last is durable: files that only older ones need may go.
    pub fn checkpoint_durable(&mut self, through: LogIndex) {
        if let Some(mark) = self.mark.take().and_then(Arc::into_inner) {
            self.view.store.checkpoint_durable(mark, through);
        }
    }

    /// Takes over a checkpoint's state, before any apply. Touches no file.
    pub fn restore(&mut self, checkpoint: Bytes) -> Result<(), RestoreError> {
        let (state, positions) = data_checkpoint::decode(checkpoint)?;
        let journal_at = tallymq_broker::account::journal::partition(self.group);
        let position = positions.get(&journal_at).cloned().unwrap_or_default();
        if (position.log_start, position.log_end) != state.journal_bounds() {
            return Err(RestoreError::Mismatch(journal_at));
        }
        let mut logs = self.view.logs.write();
        logs.clear();
        for (tp, partition) in state.partitions() {
            let position = positions.get(&tp).cloned().unwrap_or_default();
            if position.log_end != partition.log_end() || position.log_start != partition.log_start() {
                return Err(RestoreError::Mismatch(tp));
            }
            logs.insert(tp, self.view.store.open(tp, self.group, PartitionOptions::default(), position));
        }
        drop(logs);
        if position.log_end > Offset::ZERO {
            journal::open(&self.view, self.group, position);
        }
        *self.view.state.write() = state;
        Ok(())
    }

    /// The state, for tests and tools.
    pub fn state(&self) -> impl std::ops::Deref<Target = DataGroup> + '_ {
        self.view.state()
    }
}

impl PendingCheckpoint {
    /// Waits until all records of the state are in their segments and synced, then gives the checkpoint's bytes. Blocks.
    pub fn finish(self) -> Result<Vec<Bytes>, FlushError> {
        let positions = self.store.finish_checkpoint(&self.mark)?;
        Ok(data_checkpoint::encode(&self.state, &positions))
    }
}
