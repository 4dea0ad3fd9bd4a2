//! Which errors of librdkafka mean "certainly not stored". All others mean "unknown": a wrong "not stored" would invite
//! a second send of a stored record. Pure.

use rdkafka::types::RDKafkaErrorCode as Code;

/// What an error says about the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The broker looked at it and said no, or it never left.
    Refused,
    /// There is no such topic or partition.
    NoTopic,
    /// The answer is missing or says nothing.
    Unknown,
}

/// The verdict on a delivery that failed for good.
pub(super) fn of(code: Option<Code>) -> Verdict {
    match code {
        Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition) => Verdict::NoTopic,
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessage
            | Code::InvalidRecord
            | Code::InvalidMessageSize
            | Code::MessageBatchTooLarge
            | Code::InvalidTimestamp
            | Code::InvalidTopic
            | Code::PolicyViolation
            | Code::InvalidArgument
            | Code::UnsupportedCompressionType
            | Code::UnsupportedForMessageFormat
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => Verdict::Refused,
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_answer_is_never_called_a_refusal() {
        for code in [
            Code::MessageTimedOut,
            Code::BrokerTransportFailure,
            Code::RequestTimedOut,
            Code::NotEnoughReplicasAfterAppend,
            Code::KafkaStorageError,
            Code::OutOfOrderSequenceNumber,
            Code::PurgeInflight,
            Code::Fatal,
            Code::Unknown,
        ] {
            assert_eq!(of(Some(code)), Verdict::Unknown, "{code:?}");
        }
        assert_eq!(of(None), Verdict::Unknown);
        assert_eq!(of(Some(Code::MessageSizeTooLarge)), Verdict::Refused);
    }
}
