//! What clients ask of a group, in no protocol's wire terms. The caller translates, and gives what is random.

use bytes::Bytes;
use tallymq_model::TopicPartition;

use super::names::{GroupId, InstanceId, MemberId, Text};
use super::topics::NamedPartitions;

/// One request to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// JoinGroup.
    Join(Join),
    /// SyncGroup.
    Sync(Sync),
    /// Heartbeat.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(Leave),
    /// May this member commit positions (OffsetCommit, TxnOffsetCommit)?
    CommitCheck(CommitCheck),
    /// May this member read positions (OffsetFetch from version 9 on)?
    FetchCheck(FetchCheck),
    /// DescribeGroups, one group.
    Describe(GroupId),
    /// ListGroups.
    List(List),
    /// DeleteGroups, one group.
    Delete(GroupId),
    /// May positions of this group be deleted (OffsetDelete)?
    DeletePositionsCheck(DeletePositionsCheck),
    /// ConsumerGroupHeartbeat (KIP-848).
    ConsumerHeartbeat(ConsumerHeartbeat),
    /// ConsumerGroupDescribe (KIP-848), one group.
    ConsumerDescribe(GroupId),
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client id of the connection; may be empty.
    pub id: Text,
    /// The peer's address.
    pub host: Text,
}

/// One protocol that a classic member supports, with what it has to say to its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The protocol's name, such as `range`.
    pub name: Text,
    /// Opaque to the broker.
    pub metadata: Bytes,
}

/// The embedded consumer protocol's subscription, parsed by the caller from the first protocol's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Topics subscribed to.
    pub topics: Vec<Text>,
    /// Partitions that the member says it owns.
    pub owned: Vec<NamedPartitions>,
    /// Generation of `owned`.
    pub generation: Option<i32>,
    /// The member's rack.
    pub rack: Option<Text>,
}

/// A member joins, or joins again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The group.
    pub group: GroupId,
    /// Empty for a member without an id.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// Who asks.
    pub client: Client,
    /// Milliseconds without a heartbeat until the member counts as gone.
    pub session_timeout_ms: u32,
    /// Milliseconds that the member needs to join again.
    pub rebalance_timeout_ms: u32,
    /// Opaque, but `consumer` is the embedded consumer protocol.
    pub protocol_type: Text,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The embedded consumer protocol's subscription, if the protocol type is `consumer` and it could be parsed.
    pub subscription: Option<Subscription>,
    /// A fresh UUID, for a member id if one is needed.
    pub fresh_id: Text,
    /// A member without an id gets one and is asked to join again with it (from version 4 on).
    pub requires_known_id: bool,
    /// The client understands `skip_assignment` (from version 9 on).
    pub supports_skip_assignment: bool,
}

/// What a leader assigned to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncAssignment {
    /// The member.
    pub member: MemberId,
    /// Opaque to the broker.
    pub assignment: Bytes,
    /// The same, parsed, if the protocol type is `consumer` and it could be parsed.
    pub partitions: Vec<NamedPartitions>,
}

/// A member asks for its assignment; the leader brings all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// The generation joined.
    pub generation: i32,
    /// Must be the group's, if given.
    pub protocol_type: Option<Text>,
    /// Must be the group's, if given.
    pub protocol: Option<Text>,
    /// From the leader only.
    pub assignments: Vec<SyncAssignment>,
}

/// A classic member is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// The generation joined.
    pub generation: i32,
}

/// One member that leaves, named by its id, its instance id, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Empty to name the member by its instance id alone.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
}

/// Members leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The group.
    pub group: GroupId,
    /// Who leaves.
    pub members: Vec<Leaving>,
}

/// Checks member and generation of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitCheck {
    /// The group.
    pub group: GroupId,
    /// Empty if the committer is no member.
    pub member: MemberId,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// Generation or member epoch; negative for a committer that is no member.
    pub generation: i32,
    /// Part of a transaction (TxnOffsetCommit).
    pub transactional: bool,
    /// The request's version can carry a member epoch (OffsetCommit from version 9 on).
    pub supports_member_epoch: bool,
}

/// Checks member and epoch of a fetch of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchCheck {
    /// The group.
    pub group: GroupId,
    /// None if the asker is no member.
    pub member: Option<MemberId>,
    /// Negative if the asker is no member.
    pub member_epoch: i32,
}

/// Lists groups; an empty filter lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// State names, compared without regard to case.
    pub states: Vec<Text>,
    /// Type names, compared without regard to case.
    pub types: Vec<Text>,
}

/// Checks whether positions may be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletePositionsCheck {
    /// The group.
    pub group: GroupId,
}

/// A member of a consumer group is alive, joins, leaves or changes (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: GroupId,
    /// Empty for a member that leaves the choice to the broker (version 0).
    pub member: MemberId,
    /// 0 joins, -1 leaves, -2 leaves for a while (static members).
    pub member_epoch: i32,
    /// The static member's name.
    pub instance: Option<InstanceId>,
    /// None if unchanged.
    pub rack: Option<Text>,
    /// None if unchanged.
    pub rebalance_timeout_ms: Option<u32>,
    /// None if unchanged.
    pub topics: Option<Vec<Text>>,
    /// None if unchanged, empty to unsubscribe.
    pub regex: Option<Text>,
    /// None if unchanged.
    pub assignor: Option<Text>,
    /// The partitions that the member owns; None if unchanged.
    pub owned: Option<Vec<TopicPartition>>,
    /// Who asks.
    pub client: Client,
    /// A fresh UUID, for a member id if one is needed.
    pub fresh_id: Text,
}

impl Request {
    /// The group it is about; None for a list.
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Request::Join(request) => Some(&request.group),
            Request::Sync(request) => Some(&request.group),
            Request::Heartbeat(request) => Some(&request.group),
            Request::Leave(request) => Some(&request.group),
            Request::CommitCheck(request) => Some(&request.group),
            Request::FetchCheck(request) => Some(&request.group),
            Request::Describe(group) | Request::Delete(group) | Request::ConsumerDescribe(group) => {
                Some(group)
            }
            Request::DeletePositionsCheck(request) => Some(&request.group),
            Request::ConsumerHeartbeat(request) => Some(&request.group),
            Request::List(_) => None,
        }
    }
}
