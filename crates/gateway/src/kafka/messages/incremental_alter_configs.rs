//! IncrementalAlterConfigs (key 44): set, remove, append to or subtract from single settings. Wire layout
//! only, no meaning. Source: KIP-339.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=1, flexible 1..;

    /// IncrementalAlterConfigs request: set, remove, append to or subtract from single settings.
    pub struct IncrementalAlterConfigsRequest {
        /// The incremental updates for each resource.
        resources: Vec<AlterConfigsResource>;
        /// True if we should validate the request, but not change the configurations.
        validate_only: bool;
    }

    /// One element of [`IncrementalAlterConfigsRequest::resources`].
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
        /// The type (Set, Delete, Append, Subtract) of operation.
        config_operation: i8;
        /// The value to set for the configuration key.
        value: Option<String>, default Some(String::new());
    }

    /// What a broker answers to [`IncrementalAlterConfigsRequest`].
    pub struct IncrementalAlterConfigsResponse {
        /// Duration in milliseconds for which the request was throttled due to a quota violation, or zero if
        /// the request did not violate any quota.
        throttle_time_ms: i32;
        /// The responses for each resource.
        responses: Vec<AlterConfigsResourceResponse>;
    }

    /// One element of [`IncrementalAlterConfigsResponse::responses`].
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
