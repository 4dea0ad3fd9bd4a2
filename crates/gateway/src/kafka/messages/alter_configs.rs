//! AlterConfigs (key 33): replace all settings of a resource. Wire layout only, no meaning. Source: KIP-133.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=2, flexible 2..;

    /// AlterConfigs request: replace all settings of a resource.
    pub struct AlterConfigsRequest {
        /// The updates for each resource.
        resources: Vec<AlterConfigsResource>;
        /// True if we should validate the request, but not change the configurations.
        validate_only: bool;
    }

    /// One element of [`AlterConfigsRequest::resources`].
    pub struct AlterConfigsResource {
        /// The resource type.
        resource_type: i8;
        /// The resource name.
        resource_name: String;
        /// The configurations.
        configs: Vec<AlterableConfig>;
    }

    /// One element of [`AlterConfigsResource::configs`].
    pub struct AlterableConfig {
        /// The configuration key name.
        name: String;
        /// The value to set for the configuration key.
        value: Option<String>, default Some(String::new());
    }

    /// What a broker answers to [`AlterConfigsRequest`].
    pub struct AlterConfigsResponse {
        /// Duration in milliseconds for which the request was throttled due to a quota violation, or zero if
        /// the request did not violate any quota.
        throttle_time_ms: i32;
        /// The responses for each resource.
        responses: Vec<AlterConfigsResourceResponse>;
    }

    /// One element of [`AlterConfigsResponse::responses`].
    pub struct AlterConfigsResourceResponse {
        /// The resource error code.
        error_code: ErrorCode;
        /// The resource error message, or null if there was no error.
        error_message: Option<String>;
        /// The resource type.
        resource_type: i8;
        /// The resource name.
        resource_name: String;
    }
}
