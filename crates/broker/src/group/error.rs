//! Why a group request is refused, in Kafka's terms but without its code numbers.

use thiserror::Error;

use super::names::MemberId;

/// A refusal. The name is that of Kafka's error of the same meaning.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GroupError {
    /// The group's name is empty.
    #[error("the group id is invalid")]
    InvalidGroupId,
    /// A field that contradicts the protocol, with the reason.
    #[error("invalid request: {0}")]
    InvalidRequest(&'static str),
    /// This node does not lead the group's data group, or stopped doing so.
    #[error("not the coordinator of the group")]
    NotCoordinator,
    /// The command could not be brought into the log; a retry may succeed.
    #[error("the coordinator is not available")]
    CoordinatorNotAvailable,
    /// There are as many groups as there may be: a retry is of no use until some are deleted.
    #[error("there are as many consumer groups as group.max.count allows")]
    TooManyGroups,
    /// Too many requests of this group are waiting; a retry may succeed.
    #[error("the coordinator has too much to do")]
    CoordinatorLoadInProgress,
    /// The member is not known in the group.
    #[error("unknown member id")]
    UnknownMemberId,
    /// The generation is not the group's.
    #[error("illegal generation")]
    IllegalGeneration,
    /// The group rebalances: join again.
    #[error("a rebalance is in progress")]
    RebalanceInProgress,
    /// Join again with this id (KIP-394).
    #[error("a member id is required: {0}")]
    MemberIdRequired(MemberId),
    /// Another member has taken the instance id over (KIP-345).
    #[error("the instance id was taken over by another member")]
    FencedInstanceId,
    /// Another member still holds the instance id (KIP-848).
    #[error("the instance id is still held by another member")]
    UnreleasedInstanceId,
    /// Protocol type or protocols do not fit those of the group.
    #[error("inconsistent group protocol")]
    InconsistentGroupProtocol,
    /// The session timeout is outside of the bounds.
    #[error("invalid session timeout")]
    InvalidSessionTimeout,
    /// The group has as many members as it may have.
    #[error("the group has reached its maximum size")]
    GroupMaxSizeReached,
    /// The group has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// There is no such group, or it is of the other type.
    #[error("the group does not exist")]
    GroupIdNotFound,
    /// The member epoch is not the member's: give up all partitions and join again (KIP-848).
    #[error("fenced member epoch")]
    FencedMemberEpoch,
    /// The member epoch of a commit or fetch is not the member's current one (KIP-848).
    #[error("stale member epoch")]
    StaleMemberEpoch,
    /// No such server-side assignor.
    #[error("unsupported assignor")]
    UnsupportedAssignor,
    /// The subscription's regular expression does not compile, or is too big.
    #[error("invalid regular expression")]
    InvalidRegularExpression,
    /// The member's protocol needs a newer version of the request.
    #[error("unsupported version")]
    UnsupportedVersion,
    /// The settings leave the consumer protocol out.
    #[error("group.coordinator.rebalance.protocols leaves 'consumer' out")]
    ProtocolNotServed,
}
