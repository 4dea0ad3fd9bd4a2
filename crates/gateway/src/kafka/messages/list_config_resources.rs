//! ListConfigResources (key 74): the resources that have settings. Wire layout only, no meaning. Source:
//! KIP-714, KIP-1142.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=1, flexible 0..;

    /// ListConfigResources request: the resources that have settings.
    pub struct ListConfigResourcesRequest {
        /// The list of resource type. If the list is empty, it uses default supported config resource types.
        resource_types: Vec<i8>, versions 1..;
    }

    /// What a broker answers to [`ListConfigResourcesRequest`].
    pub struct ListConfigResourcesResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// Each config resource in the response.
        config_resources: Vec<ConfigResource>;
    }

    /// One element of [`ListConfigResourcesResponse::config_resources`].
    pub struct ConfigResource {
        /// The resource name.
        resource_name: String;
        /// The resource type.
        resource_type: i8, versions 1.., default 16, ignorable true;
    }
}
