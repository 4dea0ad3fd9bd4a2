//! Checkpoints of one group: the state is taken between two entries, finished and stored elsewhere while apply goes on,
//! and only when it is durable does the log lose what it covers.

use std::{io, sync::Arc};

use openraft::async_runtime::AsyncRuntime;
use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::{
    checkpoint::{self, Checkpoint},
    disk::Disk,
};

use crate::{
    CheckpointFailed,
    fate::{Fate, Phase},
    format::CheckpointHeader,
    raft::{Begun, Engine, RaftLog, Runtime},
};

/// Makes a group's checkpoints, one at a time.
pub(crate) struct Checkpointer {
    pub(crate) group: RaftGroup,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) engine: Engine,
    pub(crate) log: Arc<RaftLog>,
    pub(crate) fate: Arc<Fate>,
    /// Held by the work itself and not only by who waits for it: a caller that is dropped must not let the next checkpoint
    /// write the same files beside the one that still runs.
    pub(crate) one: Arc<tokio::sync::Mutex<()>>,
}

impl Checkpointer {
    /// See [`Group::checkpoint`](crate::Group::checkpoint).
    pub(crate) async fn run(&self) -> Result<Option<LogIndex>, CheckpointFailed> {
        let one = self.one.clone().lock_owned().await;
        let begun = self.engine.with_state_machine(|machine| {
            let begun = machine.begin_checkpoint();
            Box::pin(async move { begun })
        });
        let Some(Begun { applied, membership, build }) =
            begun.await.map_err(|_| CheckpointFailed::ShuttingDown)?
        else {
            return Ok(None);
        };
        let built =
            Runtime::spawn_blocking(move || build().map(|state| (state, one))).await.and_then(|built| built);
        let (state, one) = built.map_err(|error| {
            // after a failed sync the next one may succeed and lie: the log must not be purged by any later checkpoint
            self.fate.fail(format_args!("the state of a checkpoint could not be made durable: {error}"));
            CheckpointFailed::Build(error)
        })?;
        let header = CheckpointHeader { vote: self.log.vote(), membership: membership.clone() }.encode();
        let checkpoint = Checkpoint { applied: applied.index, term: applied.term, header, state };
        let (disk, group) = (self.disk.clone(), self.group);
        let save = move || checkpoint::save(disk.as_ref(), group, &checkpoint).map(|()| one);
        let saved = Runtime::spawn_blocking(save).await.map_err(CheckpointFailed::Build)?;
        let _one = saved.map_err(|error| self.not_saved(error))?;
        let durable = self.engine.with_state_machine(move |machine| {
            machine.checkpoint_durable(applied, membership);
            Box::pin(async {})
        });
        durable.await.map_err(|_| CheckpointFailed::ShuttingDown)?;
        self.purge(applied.index).await?;
        Ok(Some(applied.index))
    }

    /// The engine purges what its newest snapshot covers, so it is told of this one.
    async fn purge(&self, through: LogIndex) -> Result<(), CheckpointFailed> {
        self.engine.trigger().snapshot().await.map_err(|_| CheckpointFailed::ShuttingDown)?;
        tokio::select! {
            () = self.log.purged_through(through) => Ok(()),
            () = self.fate.reached(Phase::Ended) => Err(CheckpointFailed::ShuttingDown),
        }
    }

    fn not_saved(&self, error: checkpoint::SaveError) -> CheckpointFailed {
        // a checkpoint is written into a new file: one that did not fit leaves nothing behind that is relied on; but once it
        // has its name, a failed sync of the directory must not be followed by one that succeeds and lies
        if error.source.kind() == io::ErrorKind::StorageFull && !error.named {
            return CheckpointFailed::NoSpace(error);
        }
        self.fate.fail(format_args!("a checkpoint could not be stored: {error}"));
        CheckpointFailed::Save(error)
    }
}
