//! InitProducerId (key 22): give a producer its id and epoch. Wire layout only, no meaning. Source: KIP-98,
//! KIP-360.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=5, flexible 2..;

    /// InitProducerId request: give a producer its id and epoch.
    pub struct InitProducerIdRequest {
        /// The transactional id, or null if the producer is not transactional.
        transactional_id: Option<String>, default Some(String::new());
        /// The time in ms to wait before aborting idle transactions sent by this producer. This is only
        /// relevant if a TransactionalId has been defined.
        transaction_timeout_ms: i32;
        /// The producer id. This is used to disambiguate requests if a transactional id is reused following
        /// its expiration.
        producer_id: i64, versions 3.., default -1;
        /// The producer's current epoch. This will be checked against the producer epoch on the broker, and
        /// the request will return an error if they do not match.
        producer_epoch: i16, versions 3.., default -1;
    }

    /// What a broker answers to [`InitProducerIdRequest`].
    pub struct InitProducerIdResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The current producer id.
        producer_id: i64, default -1;
        /// The current epoch associated with the producer id.
        producer_epoch: i16;
    }
}
