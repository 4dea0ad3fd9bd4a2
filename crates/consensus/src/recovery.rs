//! What a group starts from: its newest usable checkpoint, its vote, and where its log begins and ends. A hole between
//! checkpoint and log is refused, never skipped.

use std::sync::Arc;

use bytes::Bytes;
use openraft::vote::RaftVote;
use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::{checkpoint, disk::Disk, wal::RecoveredGroup};

use crate::{
    EntryId, StartError,
    batch::joined,
    format::{CheckpointHeader, decode_vote},
    raft::{StoredLog, StoredMembership, Vote},
};

/// What a group starts from.
pub(crate) struct Recovery {
    pub(crate) log: StoredLog,
    pub(crate) vote: Option<Vote>,
    pub(crate) membership: StoredMembership,
    /// The state of the checkpoint, and through which entry it goes.
    pub(crate) state: Option<(EntryId, Bytes)>,
}

impl Recovery {
    /// Reads the checkpoint and fits it to what the write-ahead log recovered.
    pub(crate) fn read(
        disk: &Arc<dyn Disk>,
        group: RaftGroup,
        wal: &RecoveredGroup,
    ) -> Result<Recovery, StartError> {
        let stored = checkpoint::load(disk.as_ref(), group)
            .map_err(|source| StartError::Checkpoint { group, source })?;
        let mut rotten = Vec::new();
        let mut recovery = match stored {
            None => Recovery {
                log: StoredLog::default(),
                vote: None,
                membership: StoredMembership::default(),
                state: None,
            },
            Some(checkpoint::Loaded { checkpoint: stored, damaged }) => {
                for damage in &damaged {
                    tracing::error!(group = group.0, %damage, "a checkpoint is damaged, the one before is tried");
                }
                let header = CheckpointHeader::decode(stored.header)
                    .map_err(|source| StartError::CheckpointHeader { group, source })?;
                let applied = EntryId { term: stored.term, index: stored.applied };
                let log = StoredLog { purged: Some(applied), last: Some(applied) };
                let state = Some((applied, joined(stored.state)));
                rotten = damaged;
                Recovery { log, vote: header.vote, membership: header.membership, state }
            }
        };
        recovery.add_log(group, wal)?;
        recovery.add_vote(group, wal)?;
        // Only now is it known that it is enough, and soon the log is purged through it.
        if recovery.state.is_some() {
            checkpoint::settle(disk.as_ref(), group, &rotten)
                .map_err(|source| StartError::Settle { group, source })?;
        }
        Ok(recovery)
    }

    /// Whether nothing was ever stored for the group.
    pub(crate) fn is_new(&self) -> bool {
        self.log.last.is_none() && self.vote.is_none()
    }

    fn add_log(&mut self, group: RaftGroup, wal: &RecoveredGroup) -> Result<(), StartError> {
        let covered = self.log.purged.map_or(LogIndex(0), |purged| purged.index);
        let first = if wal.last.is_some() { wal.first } else { wal.purged_through.next() };
        if first > covered.next() {
            return Err(StartError::Gap { group, checkpoint: covered, first });
        }
        if let Some((index, term)) = wal.last
            && index > covered
        {
            self.log.last = Some(EntryId { term, index });
        }
        Ok(())
    }

    /// The vote never goes back: of the two the later one counts.
    fn add_vote(&mut self, group: RaftGroup, wal: &RecoveredGroup) -> Result<(), StartError> {
        let Some(bytes) = wal.vote.clone() else {
            return Ok(());
        };
        let vote = decode_vote(bytes).map_err(|source| StartError::Vote { group, source })?;
        let later = self
            .vote
            .is_none_or(|other| RaftVote::partial_cmp(&vote, &other).is_none_or(|order| order.is_ge()));
        if later {
            self.vote = Some(vote);
        }
        Ok(())
    }
}
