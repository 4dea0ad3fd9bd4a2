//! SyncGroup (key 14): hand out the assignment that the leader of a classic group has made. Wire layout only,
//! no meaning. Source: KIP-345, KIP-559.

use bytes::Bytes;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=5, flexible 4..;

    /// SyncGroup request: hand out the assignment that the leader of a classic group has made.
    pub struct SyncGroupRequest {
        /// The unique group identifier.
        group_id: String;
        /// The generation of the group.
        generation_id: i32;
        /// The member ID assigned by the group.
        member_id: String;
        /// The unique identifier of the consumer instance provided by end user.
        group_instance_id: Option<String>, versions 3..;
        /// The group protocol type.
        protocol_type: Option<String>, versions 5.., ignorable true;
        /// The group protocol name.
        protocol_name: Option<String>, versions 5.., ignorable true;
        /// Each assignment.
        assignments: Vec<SyncGroupRequestAssignment>;
    }

    /// One element of [`SyncGroupRequest::assignments`].
    pub struct SyncGroupRequestAssignment {
        /// The ID of the member to assign.
        member_id: String;
        /// The member assignment.
        assignment: Bytes;
    }

    /// What a broker answers to [`SyncGroupRequest`].
    pub struct SyncGroupResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The group protocol type.
        protocol_type: Option<String>, versions 5.., ignorable true;
        /// The group protocol name.
        protocol_name: Option<String>, versions 5.., ignorable true;
        /// The member assignment.
        assignment: Bytes;
    }
}
