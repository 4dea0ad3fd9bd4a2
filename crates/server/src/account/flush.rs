//! Brings marks into the log: before a commit that may rely on them, with other commands, and now and then. Waits for no disk.

use std::{net::SocketAddr, sync::atomic::Ordering};

use futures_util::future::join_all;
use tallymq_broker::{
    account::{AccountCommand, Committer, CommitterKind, Who},
    data::{DataCommand, DataOutcome},
    group::{GroupError, GroupId},
};
use tallymq_consensus::{Proposal, ProposeError, Room};
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tokio::time::{Instant, sleep_until};

use super::{
    Accounting, DataMarks, Peer,
    marks::{Commit, Marks},
    pace::{Due, Pace, next_look},
    reads::Known,
};
use crate::node::{DataEntry, DataHandle, Node};

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

impl DataHandle {
    /// The oldest marks, if there is room for them now; to be placed before the lock is given back.
    fn rider(&self, marks: &mut Marks) -> Option<(Room, DataEntry)> {
        let room = self.group.room_now(marks.next_size_bytes()?)?;
        let command = marks.take(room.size_bytes())?.into_command();
        Some((room, DataEntry(DataCommand::Account(command))))
    }

    /// Queues a command; its place in the log among later ones is fixed when this returns. Marks that wait for a ride go along:
    /// then they cost neither an entry nor a sync of their own.
    pub async fn enqueue(&self, command: DataCommand) -> Result<Proposal<DataOutcome>, ProposeError> {
        let entry = DataEntry(command);
        let room = self.group.room(tallymq_consensus::Command::size_bytes(&entry)).await?;
        self.place_behind_marks((room, entry), |own| own.wants_ride.swap(false, Ordering::AcqRel))
    }

    /// Places a command, behind the oldest marks if they are to ride and there is room for them.
    pub(super) fn place_behind_marks(
        &self,
        (room, entry): (Room, DataEntry),
        ride: impl FnOnce(&DataMarks) -> bool,
    ) -> Result<Proposal<DataOutcome>, ProposeError> {
        if let Some(own) = self.marks.as_ref().filter(|own| ride(own)) {
            let mut marks = own.marks.lock();
            if let Some(rider) = self.rider(&mut marks) {
                return self.group.place_with_rider((room, entry), rider);
            }
        }
        self.group.place(room, entry)
    }

    /// Enqueues all marks: when this returns they are in the log before whatever is enqueued later, and what was in doubt stays so.
    pub async fn flush_marks(&self) -> Result<(), ProposeError> {
        if let Some(own) = &self.marks {
            own.marks.lock().decide_all();
        }
        self.flush_ready().await
    }

    /// Those that are ready.
    pub(super) async fn flush_ready(&self) -> Result<(), ProposeError> {
        let Some(own) = &self.marks else { return Ok(()) };
        loop {
            let Some(size_bytes) = own.marks.lock().next_size_bytes() else { return Ok(()) };
            // Nothing is held while this waits; more may be ready then, or nothing any more.
            let room = self.group.room(size_bytes).await?;
            let mut marks = own.marks.lock();
            if let Some(batch) = marks.take(room.size_bytes()) {
                let command = DataCommand::Account(batch.into_command());
                // Nobody waits for the outcome: marks have none.
                drop(self.group.place(room, DataEntry(command))?);
            }
        }
    }

    /// Does so soon after there is something, but lets it ride with other commands first. All data groups look at the same
    /// moments since they began: marks that go alone share one sync then.
    async fn flush_forever(&self, began: Instant) {
        let Some(own) = &self.marks else { return std::future::pending().await };
        let mut pace = Pace::default();
        loop {
            own.waiting.notified().await;
            loop {
                let (number, at) = next_look(began.elapsed());
                sleep_until(began + at).await;
                let (waiting, records) = {
                    let mut marks = own.marks.lock();
                    marks.look_at_doubts();
                    (marks.waiting(), marks.ready_records())
                };
                match pace.look(number, waiting, records) {
                    Due::Nothing => break,
                    Due::Later => {}
                    Due::Ride => own.wants_ride.store(true, Ordering::Release),
                    Due::Alone => {
                        own.wants_ride.store(false, Ordering::Release);
                        if let Err(error) = self.flush_ready().await {
                            tracing::warn!(%error, group = %self.id, "deliveries could not be entered in the account");
                        }
                    }
                }
            }
        }
    }
}

impl Accounting {
    /// Brings marks into the logs of all data groups, each in its own time.
    pub async fn flush_forever(&self, node: &Node) {
        let began = Instant::now();
        join_all(node.data_groups().map(|handle| handle.flush_forever(began))).await;
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
        let CommitBy { group, member, is_member, .. } = *by;
        let holds = |tp| accounting.owners.holds(group, tp);
        let commit = Commit { peer: &peer, group, member, is_member, holds: &holds, positions };
        let known = |tp| {
            let state = handle.view.state();
            Known {
                position: state.groups().positions().position(by.group, &tp).map(|position| position.offset),
                is_open: state.accounts().account(tp, by.group).is_some(),
            }
        };
        own.marks.lock().before(&commit, |number| accounting.connections.is_open(number), known);
        if tallymq_model::planted("account-not-in-commit-group") {
            return Ok(());
        }
        handle.flush_ready().await
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
