//! Heartbeat (key 12): a classic group member says that it lives. Wire layout only, no meaning. Source:
//! KIP-345.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=4, flexible 4..;

    /// Heartbeat request: a classic group member says that it lives.
    pub struct HeartbeatRequest {
        /// The group id.
        group_id: String;
        /// The generation of the group.
        generation_id: i32;
        /// The member ID.
        member_id: String;
        /// The unique identifier of the consumer instance provided by end user.
        group_instance_id: Option<String>, versions 3..;
    }

    /// What a broker answers to [`HeartbeatRequest`].
    pub struct HeartbeatResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
    }
}
