//! A consumer group (KIP-848) as the log knows it: epochs, subscriptions, the target assignment, and how far each member
//! is on its way to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymq_model::{TopicId, TopicPartition};

use crate::group::names::{InstanceId, MemberId, Text};
use crate::group::request::Protocol;
use crate::group::topics::PartitionSet;

/// The epoch of a static member that left for a while.
pub const LEFT_FOR_A_WHILE: i32 = -2;

/// How far a member is on its way to its target assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It holds what it is meant to hold, at its epoch.
    #[default]
    Stable,
    /// It has to give partitions up before it may go on.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up yet.
    UnreleasedPartitions,
}

/// What a member of a consumer group has that uses the classic protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicFacet {
    /// Milliseconds without a heartbeat until it counts as gone.
    pub session_timeout_ms: u32,
    /// What it supports, in its order of preference. Not empty.
    pub protocols: Vec<Protocol>,
}

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMember {
    /// Its id.
    pub id: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// Its rack.
    pub rack: Option<Text>,
    /// The client's id.
    pub client_id: Text,
    /// The client's address.
    pub client_host: Text,
    /// Milliseconds that it may take to give partitions up.
    pub rebalance_timeout_ms: u32,
    /// Topics subscribed to by name; sorted, each once.
    pub topics: Vec<Text>,
    /// The regular expression subscribed to.
    pub regex: Option<Text>,
    /// The assignor it prefers.
    pub assignor: Option<Text>,
    /// 0 before it got its first assignment, or [`LEFT_FOR_A_WHILE`].
    pub epoch: i32,
    /// The epoch before; a heartbeat with it is accepted, because the answer with the newer one may be lost.
    pub previous_epoch: i32,
    /// How far it is.
    pub state: MemberState,
    /// Partitions that it may consume. Invariant: no partition is in `assigned` or `revoking` of two members.
    pub assigned: PartitionSet,
    /// Partitions that it has to give up.
    pub revoking: PartitionSet,
    /// Present if it uses the classic protocol.
    pub classic: Option<ClassicFacet>,
}

impl ConsumerMember {
    /// A member that holds nothing yet.
    pub fn new(id: MemberId) -> ConsumerMember {
        ConsumerMember {
            id,
            instance: None,
            rack: None,
            client_id: "".into(),
            client_host: "".into(),
            rebalance_timeout_ms: 0,
            topics: Vec::new(),
            regex: None,
            assignor: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: PartitionSet::new(),
            revoking: PartitionSet::new(),
            classic: None,
        }
    }

    /// Whether it holds a partition, or has not given it up yet.
    pub fn holds(&self, tp: &TopicPartition) -> bool {
        self.assigned.contains(tp) || self.revoking.contains(tp)
    }

    /// Whether it has arrived at the target of an epoch.
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroup {
    /// Rises with every command; one that was decided on an older state is refused.
    pub revision: u64,
    /// Rises with every change of members, subscriptions or topics.
    pub epoch: i32,
    /// The epoch that `targets` were made for. Invariant: never above `epoch`.
    pub target_epoch: i32,
    /// By id.
    pub members: BTreeMap<MemberId, Arc<ConsumerMember>>,
    /// What each member is meant to hold.
    pub targets: BTreeMap<MemberId, Arc<PartitionSet>>,
    /// The subscribed topics and their partition counts at `epoch`.
    pub topics: BTreeMap<TopicId, u32>,
}

impl ConsumerGroup {
    /// The member that has an instance id.
    pub fn static_member(&self, instance: &InstanceId) -> Option<&Arc<ConsumerMember>> {
        self.members.values().find(|member| member.instance.as_ref() == Some(instance))
    }

    /// The member that holds a partition, or has not given it up yet.
    pub fn holder(&self, tp: &TopicPartition) -> Option<&Arc<ConsumerMember>> {
        self.members.values().find(|member| member.holds(tp))
    }

    /// What a member is meant to hold.
    pub fn target(&self, member: &MemberId) -> PartitionSet {
        self.targets.get(member).map(|target| target.as_ref().clone()).unwrap_or_default()
    }

    /// Whether it has members and all of them use the classic protocol, those in `without` not counted.
    pub fn is_all_classic_without(&self, without: &[MemberId]) -> bool {
        let mut rest = self.members.values().filter(|member| !without.contains(&member.id)).peekable();
        rest.peek().is_some() && rest.all(|member| member.classic.is_some())
    }
}
