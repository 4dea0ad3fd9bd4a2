//! LeaveGroup (key 13): members leave a classic group. Wire layout only, no meaning. Source: KIP-345,
//! KIP-800.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=5, flexible 4..;

    /// LeaveGroup request: members leave a classic group.
    pub struct LeaveGroupRequest {
        /// The ID of the group to leave.
        group_id: String;
        /// The member ID to remove from the group.
        member_id: String, versions 0..=2;
        /// List of leaving member identities.
        members: Vec<MemberIdentity>, versions 3..;
    }

    /// One element of [`LeaveGroupRequest::members`].
    pub struct MemberIdentity {
        /// The member ID to remove from the group.
        member_id: String;
        /// The group instance ID to remove from the group.
        group_instance_id: Option<String>;
        /// The reason why the member left the group.
        reason: Option<String>, versions 5.., ignorable true;
    }

    /// What a broker answers to [`LeaveGroupRequest`].
    pub struct LeaveGroupResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// List of leaving member responses.
        members: Vec<MemberResponse>, versions 3..;
    }

    /// One element of [`LeaveGroupResponse::members`].
    pub struct MemberResponse {
        /// The member ID to remove from the group.
        member_id: String;
        /// The group instance ID to remove from the group.
        group_instance_id: Option<String>, default Some(String::new());
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
    }
}
