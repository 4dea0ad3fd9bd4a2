//! What a data group's log decides about consumer groups. `apply` is deterministic and cannot fail, only answer. Nothing
//! here knows a request, a timer or who waits.

pub mod apply;
pub mod classic;
mod codec;
pub mod command;
pub mod consumer;
pub mod positions;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use apply::GroupOutcome;
pub use classic::{ClassicGroup, ClassicMember, ClassicPhase, MemberAssignment};
pub use command::{ClassicGeneration, CommandRefused, ConsumerFact, GroupCommand};
pub use consumer::{ClassicFacet, ConsumerGroup, ConsumerMember, MemberState};
pub use positions::{CommitPosition, Fence, Position, Positions};

use super::names::{GroupId, Text};

/// A consumer group of either type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// Members assign among themselves.
    Classic(ClassicGroup),
    /// The broker assigns (KIP-848).
    Consumer(ConsumerGroup),
}

impl GroupState {
    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        match self {
            GroupState::Classic(group) => group.members.is_empty(),
            GroupState::Consumer(group) => group.members.is_empty(),
        }
    }

    /// The generation, or the group epoch. Rises, and is kept when the type changes.
    pub fn epoch(&self) -> i32 {
        match self {
            GroupState::Classic(group) => group.generation,
            GroupState::Consumer(group) => group.epoch,
        }
    }

    /// The protocol type, if it has one.
    pub fn protocol_type(&self) -> Option<Text> {
        match self {
            GroupState::Classic(group) => group.protocol_type.clone(),
            GroupState::Consumer(_) => Some("consumer".into()),
        }
    }
}

/// The durable groups and positions of one data group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The groups that live here.
    groups: BTreeMap<GroupId, Arc<GroupState>>,
    /// Positions in the partitions that live here, of groups that may live elsewhere.
    positions: Positions,
}

impl Groups {
    /// No groups.
    pub fn new() -> Groups {
        Groups::default()
    }

    /// The group of this name.
    pub fn group(&self, group: &GroupId) -> Option<&Arc<GroupState>> {
        self.groups.get(group)
    }

    /// All groups, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupId, &Arc<GroupState>)> {
        self.groups.iter()
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The committed positions.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
}
