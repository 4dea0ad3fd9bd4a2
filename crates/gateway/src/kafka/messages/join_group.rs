//! JoinGroup (key 11): join a classic group and wait for its next generation. Wire layout only, no meaning.
//! Source: KIP-62, KIP-345, KIP-394, KIP-559, KIP-800.

use bytes::Bytes;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=9, flexible 6..;

    /// JoinGroup request: join a classic group and wait for its next generation.
    pub struct JoinGroupRequest {
        /// The group identifier.
        group_id: String;
        /// The coordinator considers the consumer dead if it receives no heartbeat after this timeout in
        /// milliseconds.
        session_timeout_ms: i32;
        /// The maximum time in milliseconds that the coordinator will wait for each member to rejoin when
        /// rebalancing the group.
        rebalance_timeout_ms: i32, versions 1.., default -1, ignorable true;
        /// The member id assigned by the group coordinator.
        member_id: String;
        /// The unique identifier of the consumer instance provided by end user.
        group_instance_id: Option<String>, versions 5..;
        /// The unique name the for class of protocols implemented by the group we want to join.
        protocol_type: String;
        /// The list of protocols that the member supports.
        protocols: Vec<JoinGroupRequestProtocol>;
        /// The reason why the member (re-)joins the group.
        reason: Option<String>, versions 8.., ignorable true;
    }

    /// One element of [`JoinGroupRequest::protocols`].
    pub struct JoinGroupRequestProtocol {
        /// The protocol name.
        name: String;
        /// The protocol metadata.
        metadata: Bytes;
    }

    /// What a broker answers to [`JoinGroupRequest`].
    pub struct JoinGroupResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 2.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The generation ID of the group.
        generation_id: i32, default -1;
        /// The group protocol name.
        protocol_type: Option<String>, versions 7.., ignorable true;
        /// The group protocol selected by the coordinator.
        protocol_name: Option<String>, nullable 7.., default Some(String::new());
        /// The leader of the group.
        leader: String;
        /// True if the leader must skip running the assignment.
        skip_assignment: bool, versions 9..;
        /// The member ID assigned by the group coordinator.
        member_id: String;
        /// The group members.
        members: Vec<JoinGroupResponseMember>;
    }

    /// One element of [`JoinGroupResponse::members`].
    pub struct JoinGroupResponseMember {
        /// The group member ID.
        member_id: String;
        /// The unique identifier of the consumer instance provided by end user.
        group_instance_id: Option<String>, versions 5.., ignorable true;
        /// The group member metadata.
        metadata: Bytes;
    }
}
