//! ListGroups (key 16): the groups that a broker coordinates. Wire layout only, no meaning. Source: KIP-518,
//! KIP-848.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=5, flexible 3..;

    /// ListGroups request: the groups that a broker coordinates.
    pub struct ListGroupsRequest {
        /// The states of the groups we want to list. If empty, all groups are returned with their state.
        states_filter: Vec<String>, versions 4..;
        /// The types of the groups we want to list. If empty, all groups are returned with their type.
        types_filter: Vec<String>, versions 5..;
    }

    /// What a broker answers to [`ListGroupsRequest`].
    pub struct ListGroupsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// Each group in the response.
        groups: Vec<ListedGroup>;
    }

    /// One element of [`ListGroupsResponse::groups`].
    pub struct ListedGroup {
        /// The group ID.
        group_id: String;
        /// The group protocol type.
        protocol_type: String;
        /// The group state name.
        group_state: String, versions 4.., ignorable true;
        /// The group type name.
        group_type: String, versions 5.., ignorable true;
    }
}
