//! A classic group as the log knows it: the last generation whose members were told of it. Waiting joins, timers and
//! members that nobody was told of are not here.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::group::names::{InstanceId, MemberId, Text};
use crate::group::request::{Protocol, Subscription};
use crate::group::topics::PartitionSet;

/// How far a classic group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassicPhase {
    /// No members.
    #[default]
    Empty,
    /// Its members have to join again.
    RebalanceDue,
    /// The generation was formed, its leader has not assigned yet.
    Assigning,
    /// All is assigned.
    Stable,
}

/// What a member was assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberAssignment {
    /// As the leader wrote it; None if the broker made it.
    pub opaque: Option<Bytes>,
    /// The same in partitions, where it is known.
    pub partitions: PartitionSet,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// Its id.
    pub id: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// The client's id.
    pub client_id: Text,
    /// The client's address.
    pub client_host: Text,
    /// Milliseconds without a heartbeat until it counts as gone.
    pub session_timeout_ms: u32,
    /// Milliseconds that it needs to join again.
    pub rebalance_timeout_ms: u32,
    /// What it supports, in its order of preference. Not empty.
    pub protocols: Vec<Protocol>,
    /// Its parsed subscription, in a group of the embedded consumer protocol. `owned` is empty.
    pub subscription: Option<Subscription>,
    /// What it was assigned last.
    pub assignment: MemberAssignment,
}

impl ClassicMember {
    /// Its metadata for a protocol; empty if it does not support it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|one| &*one.name == protocol);
        found.map(|one| one.metadata.clone()).unwrap_or_default()
    }
}

/// A classic group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicGroup {
    /// Rises with every completed rebalance; 0 before the first.
    pub generation: i32,
    /// None before the first member.
    pub protocol_type: Option<Text>,
    /// What was selected; None while it has no members.
    pub protocol: Option<Text>,
    /// Who assigns. Invariant: one of the members, if there are any and no rebalance is due.
    pub leader: Option<MemberId>,
    /// By id.
    pub members: BTreeMap<MemberId, Arc<ClassicMember>>,
    /// How far it is. Invariant: `Empty` has no members.
    pub phase: ClassicPhase,
}

impl ClassicGroup {
    /// The member that has an instance id.
    pub fn static_member(&self, instance: &InstanceId) -> Option<&Arc<ClassicMember>> {
        self.members.values().find(|member| member.instance.as_ref() == Some(instance))
    }
}
