//! The state machine as the engine drives it: on one task, in log order. It adds what the engine must not decide: an
//! entry is applied, and its outcomes become [`Committed`](crate::Committed), only once its durability here is proven.

use std::{io, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use openraft::{
    EntryPayload, OptionalSend,
    storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, SnapshotMeta},
    type_config::alias,
};
use tallymq_model::{LogIndex, Term};
use tokio::sync::{oneshot, watch};

use super::{EngineLogId, StoredMembership, Types, entry_id, log::RaftLog};
use crate::{BuildState, EntryId, applier::Applier};

/// What openraft calls a snapshot: a checkpoint that is on this node's disk. A cluster streams it from there.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointData;

type Meta = alias::SnapshotMetaOf<Types>;
type Snapshot = alias::SnapshotOf<Types, CheckpointData>;

/// What the state machine starts from.
pub(crate) struct Start {
    pub(crate) applier: Box<dyn Applier>,
    pub(crate) applied: Option<EntryId>,
    pub(crate) membership: StoredMembership,
}

/// One group's state machine.
pub(crate) struct RaftMachine {
    log: Arc<RaftLog>,
    applier: Box<dyn Applier>,
    applied: Option<EngineLogId>,
    membership: StoredMembership,
    /// The newest durable checkpoint.
    checkpoint: Option<Meta>,
    progress: watch::Sender<EntryId>,
    /// Tells the group, by being dropped, that nothing is applied any more.
    _ended: oneshot::Sender<()>,
}

/// A checkpoint that was begun.
pub(crate) struct Begun {
    pub(crate) applied: EntryId,
    pub(crate) membership: StoredMembership,
    pub(crate) build: BuildState,
}

impl RaftMachine {
    pub(crate) fn new(
        log: Arc<RaftLog>,
        start: Start,
        progress: watch::Sender<EntryId>,
        ended: oneshot::Sender<()>,
    ) -> RaftMachine {
        let applied = start.applied.map(super::engine_log_id);
        let checkpoint = applied.map(|applied| SnapshotMeta {
            last_log_id: Some(applied),
            last_membership: start.membership.clone(),
        });
        let applier = start.applier;
        RaftMachine {
            log,
            applier,
            applied,
            membership: start.membership,
            checkpoint,
            progress,
            _ended: ended,
        }
    }

    /// Takes the state as it is now; `None` if a checkpoint already covers it.
    pub(crate) fn begin_checkpoint(&mut self) -> Option<Begun> {
        let applied = self.applied?;
        if self.checkpoint.as_ref().is_some_and(|newest| newest.last_log_id >= Some(applied)) {
            return None;
        }
        let build = self.applier.begin_checkpoint();
        Some(Begun { applied: entry_id(&applied), membership: self.membership.clone(), build })
    }

    /// The checkpoint is on disk.
    pub(crate) fn checkpoint_durable(&mut self, applied: EntryId, membership: StoredMembership) {
        let last_log_id = Some(super::engine_log_id(applied));
        self.checkpoint = Some(SnapshotMeta { last_log_id, last_membership: membership });
        self.applier.checkpoint_durable(applied.index);
    }

    fn newest(&self) -> Option<Snapshot> {
        let meta = self.checkpoint.clone()?;
        Some(Snapshot { meta, snapshot: CheckpointData })
    }

    async fn apply_all<S>(&mut self, entries: &mut S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = Pin::new(&mut *entries).next().await {
            let (entry, responder) = next?;
            self.apply_entry(entry).await?;
            responder.into_iter().for_each(|responder| responder.send(()));
        }
        Ok(())
    }

    async fn apply_entry(&mut self, entry: super::Entry) -> io::Result<()> {
        let at = entry_id(&entry.log_id);
        let Some(proof) = self.log.watermark.reached(at.index).await else {
            return Err(io::Error::other("the group has ended"));
        };
        debug_assert!(
            self.applied.as_ref().is_none_or(|applied| applied.index + 1 == entry.log_id.index),
            "no holes"
        );
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(batch) => self.applier.apply(at, batch, &proof)?,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
        }
        self.applied = Some(entry.log_id);
        Ok(())
    }
}

impl Drop for RaftMachine {
    /// A command that is committed and cannot be applied: nothing behind it ever can.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.log.fate.fail("applying a command panicked");
        }
    }
}

impl RaftStateMachine<Types> for RaftMachine {
    type SnapshotData = CheckpointData;
    type SnapshotBuilder = NewestCheckpoint;

    async fn applied_state(&mut self) -> Result<(Option<EngineLogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        if let Err(error) = self.apply_all(&mut entries).await {
            // an entry that cannot be applied must not be skipped: what would follow is another state
            self.log.fate.fail(&error);
            return Err(error);
        }
        self.applier.finish_run();
        if let Some(applied) = self.applied {
            self.log.applied(&applied);
            self.progress.send_replace(entry_id(&applied));
        }
        self.applier.deliver(); // last: who has an outcome sees all that led to it
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<NewestCheckpoint> {
        self.newest().map(NewestCheckpoint)
    }

    async fn get_snapshot_builder(&mut self) -> NewestCheckpoint {
        let empty = Meta { last_log_id: None, last_membership: StoredMembership::default() };
        NewestCheckpoint(self.newest().unwrap_or(Snapshot { meta: empty, snapshot: CheckpointData }))
    }

    async fn install_snapshot(&mut self, meta: &Meta, _: CheckpointData) -> Result<(), io::Error> {
        // the engine installs at start what it finds newer than the state; the state is restored before it starts
        let through = meta
            .last_log_id
            .as_ref()
            .map_or((LogIndex(0), Term(0)), |id| (entry_id(id).index, entry_id(id).term));
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "a checkpoint through entry {} of term {} from another node: this node has no cluster network",
                through.0, through.1
            ),
        ))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.newest())
    }
}

/// Tells the engine of the newest checkpoint. Building it is not the engine's business: a checkpoint that fails must be
/// able to do so without ending the engine.
pub(crate) struct NewestCheckpoint(Snapshot);

impl RaftSnapshotBuilder<Types> for NewestCheckpoint {
    type SnapshotData = CheckpointData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        Ok(self.0.clone())
    }
}
