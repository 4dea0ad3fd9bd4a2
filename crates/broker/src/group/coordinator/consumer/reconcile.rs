//! One step of a member towards its target (KIP-848, "reconciliation"):
//!
//! ```text
//!  UnrevokedPartitions ──gave up──► UnreleasedPartitions ──others gave up──► Stable at the target's epoch
//!        (old epoch)                   (the target's epoch)
//! ```
//!
//! A member keeps its epoch until it gave up what it must, and gets a partition only when nobody else holds it.

use tallymq_model::TopicPartition;

use crate::group::durable::{ConsumerMember, MemberState};
use crate::group::topics::PartitionSet;

/// What a step depends on.
pub(super) struct Target<'a> {
    pub(super) epoch: i32,
    pub(super) partitions: &'a PartitionSet,
    /// What the member says it owns; None if it does not say.
    pub(super) owned: Option<&'a PartitionSet>,
}

impl Target<'_> {
    /// The next step, if there is one to make. `is_held` tells whether another member holds a partition.
    pub(super) fn step(
        &self,
        member: ConsumerMember,
        is_held: impl Fn(&TopicPartition) -> bool,
    ) -> ConsumerMember {
        match member.state {
            MemberState::Stable if member.epoch == self.epoch => member,
            MemberState::UnrevokedPartitions if self.owns_any(&member.revoking) => member,
            MemberState::UnrevokedPartitions => {
                let epoch = member.epoch + 1;
                self.next(member, epoch, is_held)
            }
            MemberState::Stable | MemberState::UnreleasedPartitions => {
                let epoch = member.epoch;
                self.next(member, epoch, is_held)
            }
        }
    }

    fn owns_any(&self, revoking: &PartitionSet) -> bool {
        self.owned.is_none_or(|owned| !owned.is_disjoint(revoking))
    }

    fn next(
        &self,
        member: ConsumerMember,
        epoch: i32,
        is_held: impl Fn(&TopicPartition) -> bool,
    ) -> ConsumerMember {
        let kept: PartitionSet = member.assigned.intersection(self.partitions).copied().collect();
        let revoking: PartitionSet = member.assigned.difference(&kept).copied().collect();
        if !revoking.is_empty() && self.owns_any(&revoking) {
            return at(member, epoch, MemberState::UnrevokedPartitions, kept, revoking);
        }
        let (unreleased, free): (PartitionSet, PartitionSet) =
            self.partitions.difference(&kept).copied().partition(|tp| is_held(tp));
        let state =
            if unreleased.is_empty() { MemberState::Stable } else { MemberState::UnreleasedPartitions };
        let assigned = kept.union(&free).copied().collect();
        at(member, self.epoch, state, assigned, PartitionSet::new())
    }
}

fn at(
    member: ConsumerMember,
    epoch: i32,
    state: MemberState,
    assigned: PartitionSet,
    revoking: PartitionSet,
) -> ConsumerMember {
    let previous_epoch = if epoch == member.epoch { member.previous_epoch } else { member.epoch };
    ConsumerMember { epoch, previous_epoch, state, assigned, revoking, ..member }
}
