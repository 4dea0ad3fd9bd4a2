//! Brings marks into the log: before a commit that may rely on them, and now and then. Waits for no disk.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use tallymq_broker::{
    account::{AccountCommand, Committer, CommitterKind, Who},
    data::DataCommand,
    group::{GroupError, GroupId},
};
use tallymq_consensus::ProposeError;
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tokio::time::sleep;

use super::{Accounting, Peer, accounting::DataMarks, marks::Commit, reads::Known, ready::Batch};
use crate::node::{DataHandle, Node};

/// How soon marks are looked at, when there are any: what a crash may take of them at least.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// Marks that are worth a command after one look; more wait for more looks.
const READY_PER_LOOK: usize = 25;
/// Looks after which they are flushed in any case.
const LOOKS_MAX: u32 = 10;

/// Who commits positions, as the request says.
pub struct CommitBy<'a> {
    /// In whose name.
    pub group: &'a GroupId,
    /// As this member; empty for none.
    pub member: &'a str,
    /// The request names a generation or a member epoch.
    pub is_member: bool,
    /// Its client's name.
    pub client_id: &'a str,
    /// From where.
    pub client: SocketAddr,
}

/// Marks that were taken; they go back unless they got their place in the log.
struct Taken<'a> {
    own: &'a DataMarks,
    batch: Option<Batch>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.own.marks.lock().give_back(batch);
        }
    }
}

impl Accounting {
    /// Enqueues everything that is ready: when this returns it is in the log before whatever is enqueued later.
    pub async fn flush(&self, handle: &DataHandle) -> Result<(), ProposeError> {
        let Some(own) = self.data.get(&handle.id) else { return Ok(()) };
        let _turn = own.turn.lock().await;
        loop {
            let batch = own.marks.lock().take();
            let Some(batch) = batch else { return Ok(()) };
            let command = DataCommand::Account(batch.command());
            let mut taken = Taken { own, batch: Some(batch) };
            // Nobody waits for the outcome: marks have none.
            drop(handle.enqueue(command).await?);
            taken.batch = None;
        }
    }

    /// Does so soon after there is something, and the later the more there is: a mark is short-lived where a crash would take
    /// many of few, and the journal stays small where there are thousands of partitions.
    pub async fn flush_forever(&self, node: &Node) {
        loop {
            self.waiting.notified().await;
            sleep(LOOK_INTERVAL).await;
            for handle in node.data_groups() {
                let Some(own) = self.data.get(&handle.id) else { continue };
                let ready = own.marks.lock().ready();
                let looks = own.looks.fetch_add(1, Ordering::Relaxed) + 1;
                if ready == 0 || looks >= LOOKS_MAX || looks as usize * READY_PER_LOOK >= ready {
                    own.looks.store(0, Ordering::Relaxed);
                } else {
                    self.waiting.notify_one();
                    continue;
                }
                if ready > 0
                    && let Err(error) = self.flush(handle).await
                {
                    tracing::warn!(%error, group = %handle.id, "deliveries could not be entered in the account");
                }
            }
        }
    }
}

impl Node {
    /// In what role somebody commits. Who is no member, and read what it commits, assigns its partitions itself.
    pub fn committer(
        &self,
        by: &CommitBy<'_>,
        mut positions: impl Iterator<Item = (RaftGroup, TopicPartition)>,
    ) -> Committer {
        let accounting = &self.accounting;
        if !accounting.is_on() {
            return Committer::default();
        }
        let peer = Peer::new(by.client, by.client_id);
        let mut has_read = || {
            positions.any(|(data, tp)| {
                let own = accounting.data.get(&data);
                own.is_some_and(|own| own.marks.lock().has_unclaimed(&peer, [tp].into_iter()))
            })
        };
        let kind = match by.is_member {
            true => CommitterKind::Member,
            false if has_read() => CommitterKind::Standalone,
            false => CommitterKind::Admin,
        };
        Committer { kind, who: Who::new(by.member, by.client_id, &by.client.to_string()) }
    }

    /// To be called before a commit is enqueued: then everything that its group was given below its positions is in the log
    /// before it. Without that, what was read would count as skipped.
    pub async fn mark_before_commit(
        &self,
        handle: &DataHandle,
        by: &CommitBy<'_>,
        positions: &[(TopicPartition, Offset)],
    ) -> Result<(), ProposeError> {
        let accounting = &self.accounting;
        let Some(own) = accounting.data.get(&handle.id).filter(|_| accounting.is_on()) else { return Ok(()) };
        let peer = Peer::new(by.client, by.client_id);
        let commit = Commit { peer: &peer, group: by.group, is_member: by.is_member, positions };
        let known = |tp| {
            let state = handle.view.state();
            Known {
                position: state.groups().positions().position(by.group, &tp).map(|position| position.offset),
                is_open: state.accounts().account(tp, by.group).is_some(),
            }
        };
        own.marks.lock().before(&commit, |number| accounting.connections.is_open(number), known);
        accounting.flush(handle).await
    }

    /// The coordinator refused a commit: if that was because the member is fenced, its account counts it.
    pub async fn commit_refused(
        &self,
        by: &CommitBy<'_>,
        committer: &Committer,
        error: &GroupError,
        positions: impl Iterator<Item = (RaftGroup, Vec<(TopicPartition, Offset)>)>,
    ) {
        let is_fenced = matches!(
            error,
            GroupError::UnknownMemberId
                | GroupError::IllegalGeneration
                | GroupError::FencedInstanceId
                | GroupError::FencedMemberEpoch
                | GroupError::StaleMemberEpoch
        );
        if !is_fenced || !self.accounting.is_on() {
            return;
        }
        let at = self.now();
        for (data, mut positions) in positions {
            let Some(handle) = self.data(data) else { continue };
            {
                let state = handle.view.state();
                positions.retain(|(tp, _)| state.accounts().account(*tp, by.group).is_some());
            }
            if positions.is_empty() {
                continue;
            }
            let (group, by) = (by.group.clone(), committer.clone());
            let refused = AccountCommand::Refused { group, positions, by, at };
            if let Err(error) = handle.enqueue(DataCommand::Account(refused)).await {
                tracing::warn!(%error, "a refused commit could not be entered in the account");
            }
        }
    }
}
