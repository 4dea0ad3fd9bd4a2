//! Committed positions. They live with the partition they are about, and stay until their group or topic is deleted.
//!
//! A commit is fenced here a second time, behind the coordinator's check: a rebalance may have passed between the two.
//! A classic generation is shared by all members, so one below the highest seen for the group is refused. Member epochs
//! differ inside a consumer group while it reconciles (KIP-848), but a partition changes hands only upwards, so there
//! the highest epoch is remembered per partition.

use std::collections::BTreeMap;

use tallymq_model::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};

use crate::group::names::{GroupId, Text};

/// What a committer was when the coordinator checked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// No member: nothing is checked.
    None,
    /// A member of a classic group, at this generation.
    Generation(i32),
    /// A member of a consumer group, at this member epoch.
    MemberEpoch(i32),
}

/// A committed position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next offset to consume.
    pub offset: Offset,
    /// Leader epoch of the record before; -1 if unknown.
    pub leader_epoch: LeaderEpoch,
    /// The committer's own words.
    pub metadata: Text,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// The highest generation or epoch that committed here; -1 for none.
    pub fence: i32,
}

/// A position to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPosition {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to consume.
    pub offset: Offset,
    /// Leader epoch of the record before; -1 if unknown.
    pub leader_epoch: LeaderEpoch,
    /// The committer's own words; bounded by admission.
    pub metadata: Text,
    /// When it is committed.
    pub committed_at: Timestamp,
}

/// One group's positions in this data group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupPositions {
    /// The highest classic generation that committed here; -1 for none.
    pub(super) generation: i32,
    pub(super) positions: BTreeMap<TopicPartition, Position>,
}

impl Default for GroupPositions {
    fn default() -> GroupPositions {
        GroupPositions { generation: -1, positions: BTreeMap::new() }
    }
}

/// The positions of all groups in the partitions of one data group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    pub(super) groups: BTreeMap<GroupId, GroupPositions>,
}

impl Positions {
    /// A group's position in a partition.
    pub fn position(&self, group: &GroupId, tp: &TopicPartition) -> Option<&Position> {
        self.groups.get(group)?.positions.get(tp)
    }

    /// All positions of a group.
    pub fn of_group(&self, group: &GroupId) -> impl Iterator<Item = (&TopicPartition, &Position)> {
        self.groups.get(group).into_iter().flat_map(|one| one.positions.iter())
    }

    /// The groups that have positions here.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.groups.keys()
    }

    /// Commits, and gives back the partitions whose commit is refused because a newer generation or epoch was seen.
    pub(super) fn commit(
        &mut self,
        group: &GroupId,
        fence: Fence,
        commits: Vec<CommitPosition>,
    ) -> Vec<TopicPartition> {
        let own = self.groups.entry(group.clone()).or_default();
        let mut fenced = Vec::new();
        let seen = match fence {
            Fence::None => None,
            Fence::Generation(generation) if generation < own.generation => {
                return commits.into_iter().map(|commit| commit.partition).collect();
            }
            Fence::Generation(generation) => {
                own.generation = generation;
                Some(generation)
            }
            Fence::MemberEpoch(epoch) => Some(epoch),
        };
        for commit in commits {
            let before = own.positions.get(&commit.partition).map_or(-1, |position| position.fence);
            if seen.is_some_and(|seen| seen < before) {
                fenced.push(commit.partition);
                continue;
            }
            let position = Position {
                offset: commit.offset,
                leader_epoch: commit.leader_epoch,
                metadata: commit.metadata,
                committed_at: commit.committed_at,
                fence: seen.unwrap_or(before),
            };
            own.positions.insert(commit.partition, position);
        }
        fenced
    }

    /// Deletes some, or with None all and what is known of generations; gives back how many there were.
    pub(super) fn delete(&mut self, group: &GroupId, partitions: Option<&[TopicPartition]>) -> usize {
        let Some(partitions) = partitions else {
            return self.groups.remove(group).map_or(0, |own| own.positions.len());
        };
        let Some(own) = self.groups.get_mut(group) else {
            return 0;
        };
        partitions.iter().filter(|tp| own.positions.remove(tp).is_some()).count()
    }

    /// A topic is gone, and with it its positions.
    pub(super) fn drop_topic(&mut self, topic: TopicId) {
        for own in self.groups.values_mut() {
            own.positions.retain(|tp, _| tp.topic != topic);
        }
    }
}
