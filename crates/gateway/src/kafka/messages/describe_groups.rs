//! DescribeGroups (key 15): state and members of classic groups. Wire layout only, no meaning. Source:
//! KIP-430, KIP-345, KIP-1043.

use bytes::Bytes;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=6, flexible 5..;

    /// DescribeGroups request: state and members of classic groups.
    pub struct DescribeGroupsRequest {
        /// The names of the groups to describe.
        groups: Vec<String>;
        /// Whether to include authorized operations.
        include_authorized_operations: bool, versions 3..;
    }

    /// What a broker answers to [`DescribeGroupsRequest`].
    pub struct DescribeGroupsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// Each described group.
        groups: Vec<DescribedGroup>;
    }

    /// One element of [`DescribeGroupsResponse::groups`].
    pub struct DescribedGroup {
        /// The describe error, or 0 if there was no error.
        error_code: ErrorCode;
        /// The describe error message, or null if there was no error.
        error_message: Option<String>, versions 6..;
        /// The group ID string.
        group_id: String;
        /// The group state string, or the empty string.
        group_state: String;
        /// The group protocol type, or the empty string.
        protocol_type: String;
        /// The group protocol data, or the empty string.
        protocol_data: String;
        /// The group members.
        members: Vec<DescribedGroupMember>;
        /// 32-bit bitfield to represent authorized operations for this group.
        authorized_operations: i32, versions 3.., default i32::MIN;
    }

    /// One element of [`DescribedGroup::members`].
    pub struct DescribedGroupMember {
        /// The member id.
        member_id: String;
        /// The unique identifier of the consumer instance provided by end user.
        group_instance_id: Option<String>, versions 4.., ignorable true;
        /// The client ID used in the member's latest join group request.
        client_id: String;
        /// The client host.
        client_host: String;
        /// The metadata corresponding to the current group protocol in use.
        member_metadata: Bytes;
        /// The current assignment provided by the group leader.
        member_assignment: Bytes;
    }
}
