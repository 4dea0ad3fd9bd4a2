//! DeleteGroups (key 42): delete empty groups. Wire layout only, no meaning. Source: KIP-229.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=2, flexible 2..;

    /// DeleteGroups request: delete empty groups.
    pub struct DeleteGroupsRequest {
        /// The group names to delete.
        groups_names: Vec<String>;
    }

    /// What a broker answers to [`DeleteGroupsRequest`].
    pub struct DeleteGroupsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The deletion results.
        results: Vec<DeletableGroupResult>;
    }

    /// One element of [`DeleteGroupsResponse::results`].
    pub struct DeletableGroupResult {
        /// The group id.
        group_id: String;
        /// The deletion error, or 0 if the deletion succeeded.
        error_code: ErrorCode;
    }
}
