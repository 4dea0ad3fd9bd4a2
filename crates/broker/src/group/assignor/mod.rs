//! Server-side assignors (KIP-848): who is meant to hold which partition. Pure functions of subscriptions and the target
//! before; the same input gives the same target on every node.

mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use tallymq_model::{PartitionIndex, TopicId, TopicPartition};

use super::names::MemberId;
use super::topics::PartitionSet;

/// A server-side assignor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Balanced over all topics, and moving as little as possible.
    Uniform,
    /// Contiguous ranges of each topic, so that equal partitions of topics with the same subscribers come together.
    Range,
}

/// What an assignor knows of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignedMember {
    /// Orders members for [`Assignor::Range`]: the instance id of a static member, whose member id changes.
    pub order: String,
    /// Topics subscribed to.
    pub topics: BTreeSet<TopicId>,
    /// The target before.
    pub before: PartitionSet,
}

impl Assignor {
    /// The assignor of this name.
    pub fn named(name: &str) -> Option<Assignor> {
        match name {
            "uniform" => Some(Assignor::Uniform),
            "range" => Some(Assignor::Range),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// Gives every partition of `topics` (counts by id) that has a subscriber to exactly one of its subscribers.
    pub fn assign(
        self,
        members: &BTreeMap<MemberId, AssignedMember>,
        topics: &BTreeMap<TopicId, u32>,
    ) -> BTreeMap<MemberId, PartitionSet> {
        match self {
            Assignor::Uniform => uniform::assign(members, topics),
            Assignor::Range => range::assign(members, topics),
        }
    }
}

fn partitions_of(topic: TopicId, count: u32) -> impl Iterator<Item = TopicPartition> {
    (0..count.min(i32::MAX as u32) as i32)
        .map(move |partition| TopicPartition { topic, partition: PartitionIndex(partition) })
}

fn subscribers<'a>(
    members: &'a BTreeMap<MemberId, AssignedMember>,
    topic: &TopicId,
) -> Vec<(&'a MemberId, &'a AssignedMember)> {
    members.iter().filter(|(_, member)| member.topics.contains(topic)).collect()
}
