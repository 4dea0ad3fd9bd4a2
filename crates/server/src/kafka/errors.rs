//! What the broker's refusals are called in the Kafka protocol: one place, so that two APIs cannot disagree.

use std::fmt;

use tallymq_broker::{
    data::EpochMismatch,
    group::GroupError,
    produce::{AdmitError, RecordError},
};
use tallymq_consensus::ProposeError;
use tallymq_gateway::kafka::error_code::ErrorCode;
use tallymq_storage::log::ReadError;

/// An error code with the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A code with a message of its own.
    pub fn new(code: ErrorCode, message: impl fmt::Display) -> Refusal {
        Refusal { code, message: message.to_string() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal { code, message: code.message().to_owned() }
    }
}

/// Why a batch was not admitted.
pub fn admit_refusal(error: &AdmitError) -> Refusal {
    let code = match error {
        AdmitError::Corrupt(_) | AdmitError::UnknownCompression(_) => ErrorCode::CorruptMessage,
        AdmitError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AdmitError::ZstdTooEarly(_) => ErrorCode::UnsupportedCompressionType,
        AdmitError::Timestamp(_) | AdmitError::Record(RecordError::Timestamp { .. }) => {
            ErrorCode::InvalidTimestamp
        }
        AdmitError::NoTransaction => ErrorCode::InvalidTxnState,
        AdmitError::NoBatch
        | AdmitError::ManyBatches
        | AdmitError::Magic(_)
        | AdmitError::Inconsistent(_)
        | AdmitError::Control
        | AdmitError::Record(_) => ErrorCode::InvalidRecord,
    };
    Refusal::new(code, error)
}

/// Why a command has no outcome. Clients retry all of these but the last, and a retried batch is stored once.
pub fn propose_refusal(error: &ProposeError) -> Refusal {
    let code = match error {
        ProposeError::NotLeader { .. } | ProposeError::ShuttingDown => ErrorCode::NotLeaderOrFollower,
        ProposeError::Unknown => ErrorCode::RequestTimedOut,
        ProposeError::TooLarge { .. } => ErrorCode::MessageTooLarge,
    };
    Refusal::new(code, error)
}

/// Why a command about a group has no outcome: the coordinator's names for the same.
pub fn coordinator_refusal(error: &ProposeError) -> ErrorCode {
    match error {
        ProposeError::NotLeader { .. } | ProposeError::ShuttingDown => ErrorCode::NotCoordinator,
        ProposeError::Unknown => ErrorCode::CoordinatorNotAvailable,
        ProposeError::TooLarge { .. } => ErrorCode::InvalidRequest,
    }
}

/// Why a read has no records.
pub fn read_refusal(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Corrupt(_) => ErrorCode::CorruptMessage,
        ReadError::Io { .. } => ErrorCode::KafkaStorageError,
        ReadError::Deleted => ErrorCode::UnknownTopicOrPartition,
    }
}

/// Why a group refuses.
pub fn group_refusal(error: &GroupError) -> ErrorCode {
    match error {
        GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
        GroupError::InvalidRequest(_) => ErrorCode::InvalidRequest,
        GroupError::NotCoordinator => ErrorCode::NotCoordinator,
        GroupError::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
        GroupError::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
        GroupError::UnknownMemberId => ErrorCode::UnknownMemberId,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::MemberIdRequired(_) => ErrorCode::MemberIdRequired,
        GroupError::FencedInstanceId => ErrorCode::FencedInstanceId,
        GroupError::UnreleasedInstanceId => ErrorCode::UnreleasedInstanceId,
        GroupError::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        // Nothing says it better: what clients do not retry, and what names a limit.
        GroupError::GroupMaxSizeReached | GroupError::TooManyGroups => ErrorCode::GroupMaxSizeReached,
        GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        GroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
        GroupError::FencedMemberEpoch => ErrorCode::FencedMemberEpoch,
        GroupError::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
        GroupError::UnsupportedAssignor => ErrorCode::UnsupportedAssignor,
        GroupError::InvalidRegularExpression => ErrorCode::InvalidRegularExpression,
        GroupError::UnsupportedVersion | GroupError::ProtocolNotServed => ErrorCode::UnsupportedVersion,
    }
}

/// The sentence that goes with a group's refusal; console tools print Kafka's for a group that does not exist.
pub fn group_message(error: &GroupError, group_id: &str) -> String {
    match error {
        GroupError::GroupIdNotFound => format!("Group {group_id} not found."),
        other => other.to_string(),
    }
}

/// Whose leader epoch is out of date (KIP-320).
pub fn epoch_refusal(mismatch: EpochMismatch) -> ErrorCode {
    match mismatch {
        EpochMismatch::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
        EpochMismatch::Unknown { .. } => ErrorCode::UnknownLeaderEpoch,
    }
}
