//! What the coordinator answers, in no protocol's wire terms.

use bytes::Bytes;

use super::durable::{Fence, MemberState};
use super::error::GroupError;
use super::names::{GroupId, InstanceId, MemberId, Text};
use super::request::Request;
use super::topics::{NamedPartitions, PartitionSet};

/// The answer to the request of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To `Join`.
    Join(Result<Joined, GroupError>),
    /// To `Sync`.
    Sync(Result<Synced, GroupError>),
    /// To `Heartbeat`.
    Heartbeat(Result<(), GroupError>),
    /// To `Leave`: per member, in the request's order.
    Leave(Result<Vec<Left>, GroupError>),
    /// To `CommitCheck`: the fence that the commit must carry.
    CommitCheck(Result<Fence, GroupError>),
    /// To `FetchCheck`.
    FetchCheck(Result<(), GroupError>),
    /// To `Describe`.
    Describe(Result<Described, GroupError>),
    /// To `List`.
    List(Vec<Listed>),
    /// To `Delete`: delete the group's positions now, in every data group.
    Delete(Result<(), GroupError>),
    /// To `DeletePositionsCheck`: positions of these topics must stay, because members are subscribed to them.
    DeletePositionsCheck(Result<Vec<Text>, GroupError>),
    /// To `ConsumerHeartbeat`.
    ConsumerHeartbeat(Result<HeartbeatDone, GroupError>),
    /// To `ConsumerDescribe`.
    ConsumerDescribe(Result<ConsumerDescribed, GroupError>),
}

impl Response {
    /// The refusal of a request; a list, which cannot be refused, is empty.
    pub fn refuse(request: &Request, error: GroupError) -> Response {
        match request {
            Request::Join(_) => Response::Join(Err(error)),
            Request::Sync(_) => Response::Sync(Err(error)),
            Request::Heartbeat(_) => Response::Heartbeat(Err(error)),
            Request::Leave(_) => Response::Leave(Err(error)),
            Request::CommitCheck(_) => Response::CommitCheck(Err(error)),
            Request::FetchCheck(_) => Response::FetchCheck(Err(error)),
            Request::Describe(_) => Response::Describe(Err(error)),
            Request::List(_) => Response::List(Vec::new()),
            Request::Delete(_) => Response::Delete(Err(error)),
            Request::DeletePositionsCheck(_) => Response::DeletePositionsCheck(Err(error)),
            Request::ConsumerHeartbeat(_) => Response::ConsumerHeartbeat(Err(error)),
            Request::ConsumerDescribe(_) => Response::ConsumerDescribe(Err(error)),
        }
    }
}

/// A completed join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The member's id.
    pub member: MemberId,
    /// The group's generation, or the member's epoch in a consumer group.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<Text>,
    /// The protocol that was selected.
    pub protocol: Option<Text>,
    /// Who assigns; empty in a consumer group, where the broker does.
    pub leader: MemberId,
    /// For the leader: all members.
    pub members: Vec<JoinedMember>,
    /// The leader must not assign anew (KIP-814).
    pub skip_assignment: bool,
}

/// A member as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member's id.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// Its metadata for the selected protocol.
    pub metadata: Bytes,
}

/// A completed sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<Text>,
    /// The protocol that was selected.
    pub protocol: Option<Text>,
    /// What the member gets.
    pub assignment: Assignment,
}

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// As the leader wrote it.
    Opaque(Bytes),
    /// Made by the broker: the caller encodes it in the embedded consumer protocol.
    Partitions(Vec<NamedPartitions>),
}

/// One member's part of a leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// As in the request.
    pub member: MemberId,
    /// As in the request.
    pub instance: Option<InstanceId>,
    /// Whether it left.
    pub result: Result<(), GroupError>,
}

/// A described classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// The group's protocol type; empty if it has none.
    pub protocol_type: Text,
    /// The selected protocol, while the group is stable.
    pub protocol: Text,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member of a described classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member's id.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// The client's id.
    pub client_id: Text,
    /// The client's address.
    pub client_host: Text,
    /// Its metadata for the selected protocol, while the group is stable.
    pub metadata: Bytes,
    /// Its assignment, while the group is stable.
    pub assignment: Assignment,
}

/// A listed group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The group.
    pub group: GroupId,
    /// Its protocol type; empty if it has none.
    pub protocol_type: Text,
    /// Kafka's name of the state.
    pub state: &'static str,
    /// `Classic` or `Consumer`.
    pub group_type: &'static str,
}

/// A heartbeat that was taken (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatDone {
    /// The member's id.
    pub member: MemberId,
    /// The member's epoch now.
    pub member_epoch: i32,
    /// Milliseconds until the next heartbeat.
    pub heartbeat_interval_ms: u32,
    /// The member's partitions; None if they did not change.
    pub assignment: Option<PartitionSet>,
}

/// A described consumer group (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribed {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// The group's epoch.
    pub group_epoch: i32,
    /// The epoch of the target assignment.
    pub assignment_epoch: i32,
    /// The assignor's name.
    pub assignor: &'static str,
    /// The members.
    pub members: Vec<ConsumerDescribedMember>,
}

/// A member of a described consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribedMember {
    /// The member's id.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// The member's rack.
    pub rack: Option<Text>,
    /// The member's epoch.
    pub member_epoch: i32,
    /// The client's id.
    pub client_id: Text,
    /// The client's address.
    pub client_host: Text,
    /// Topics subscribed to by name.
    pub topics: Vec<Text>,
    /// The regular expression subscribed to.
    pub regex: Option<Text>,
    /// What the member holds.
    pub assignment: PartitionSet,
    /// What the member is meant to hold.
    pub target: PartitionSet,
    /// Whether it uses the classic protocol.
    pub classic: bool,
    /// How far it is.
    pub state: MemberState,
}
