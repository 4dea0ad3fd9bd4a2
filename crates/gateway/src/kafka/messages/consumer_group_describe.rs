//! ConsumerGroupDescribe (key 69): state and members of groups of the consumer protocol. Wire layout only, no
//! meaning. Source: KIP-848, KIP-1099.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=1, flexible 0..;

    /// ConsumerGroupDescribe request: state and members of groups of the consumer protocol.
    pub struct ConsumerGroupDescribeRequest {
        /// The ids of the groups to describe.
        group_ids: Vec<String>;
        /// Whether to include authorized operations.
        include_authorized_operations: bool;
    }

    /// What a broker answers to [`ConsumerGroupDescribeRequest`].
    pub struct ConsumerGroupDescribeResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Each described group.
        groups: Vec<DescribedGroup>;
    }

    /// One element of [`ConsumerGroupDescribeResponse::groups`].
    pub struct DescribedGroup {
        /// The describe error, or 0 if there was no error.
        error_code: ErrorCode;
        /// The top-level error message, or null if there was no error.
        error_message: Option<String>;
        /// The group ID string.
        group_id: String;
        /// The group state string, or the empty string.
        group_state: String;
        /// The group epoch.
        group_epoch: i32;
        /// The assignment epoch.
        assignment_epoch: i32;
        /// The selected assignor.
        assignor_name: String;
        /// The members.
        members: Vec<Member>;
        /// 32-bit bitfield to represent authorized operations for this group.
        authorized_operations: i32, default i32::MIN;
    }

    /// One element of [`DescribedGroup::members`].
    pub struct Member {
        /// The member ID.
        member_id: String;
        /// The member instance ID.
        instance_id: Option<String>;
        /// The member rack ID.
        rack_id: Option<String>;
        /// The current member epoch.
        member_epoch: i32;
        /// The client ID.
        client_id: String;
        /// The client host.
        client_host: String;
        /// The subscribed topic names.
        subscribed_topic_names: Vec<String>;
        /// The subscribed topic regex otherwise or null of not provided.
        subscribed_topic_regex: Option<String>;
        /// The current assignment.
        assignment: Assignment;
        /// The target assignment.
        target_assignment: Assignment;
        /// -1 for unknown. 0 for classic member. +1 for consumer member.
        member_type: i8, versions 1.., default -1, ignorable true;
    }

    /// The value of [`Member::assignment`].
    pub struct Assignment {
        /// The assigned topic-partitions to the member.
        topic_partitions: Vec<TopicPartitions>;
    }

    /// One element of [`Assignment::topic_partitions`].
    pub struct TopicPartitions {
        /// The topic ID.
        topic_id: Uuid;
        /// The topic name.
        topic_name: String;
        /// The partitions.
        partitions: Vec<i32>;
    }
}
