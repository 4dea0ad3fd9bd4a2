//! DescribeConfigs (key 32): settings of topics, brokers and groups, with their sources. Wire layout only, no
//! meaning. Source: KIP-133, KIP-226, KIP-569.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 1..=4, flexible 4..;

    /// DescribeConfigs request: settings of topics, brokers and groups, with their sources.
    pub struct DescribeConfigsRequest {
        /// The resources whose configurations we want to describe.
        resources: Vec<DescribeConfigsResource>;
        /// True if we should include all synonyms.
        include_synonyms: bool;
        /// True if we should include configuration documentation.
        include_documentation: bool, versions 3..;
    }

    /// One element of [`DescribeConfigsRequest::resources`].
    pub struct DescribeConfigsResource {
        /// The resource type.
        resource_type: i8;
        /// The resource name.
        resource_name: String;
        /// The configuration keys to list, or null to list all configuration keys.
        configuration_keys: Option<Vec<String>>, default Some(Vec::new());
    }

    /// What a broker answers to [`DescribeConfigsRequest`].
    pub struct DescribeConfigsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The results for each resource.
        results: Vec<DescribeConfigsResult>;
    }

    /// One element of [`DescribeConfigsResponse::results`].
    pub struct DescribeConfigsResult {
        /// The error code, or 0 if we were able to successfully describe the configurations.
        error_code: ErrorCode;
        /// The error message, or null if we were able to successfully describe the configurations.
        error_message: Option<String>;
        /// The resource type.
        resource_type: i8;
        /// The resource name.
        resource_name: String;
        /// Each listed configuration.
        configs: Vec<DescribeConfigsResourceResult>;
    }

    /// One element of [`DescribeConfigsResult::configs`].
    pub struct DescribeConfigsResourceResult {
        /// The configuration name.
        name: String;
        /// The configuration value.
        value: Option<String>, default Some(String::new());
        /// True if the configuration is read-only.
        read_only: bool;
        /// The configuration source.
        config_source: i8, default -1;
        /// True if this configuration is sensitive.
        is_sensitive: bool;
        /// The synonyms for this configuration key.
        synonyms: Vec<DescribeConfigsSynonym>;
        /// The configuration data type. Type can be one of the following values - BOOLEAN, STRING, INT,
        /// SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD.
        config_type: i8, versions 3.., ignorable true;
        /// The configuration documentation.
        documentation: Option<String>, versions 3.., default Some(String::new()), ignorable true;
    }

    /// One element of [`DescribeConfigsResourceResult::synonyms`].
    pub struct DescribeConfigsSynonym {
        /// The synonym name.
        name: String;
        /// The synonym value.
        value: Option<String>, default Some(String::new());
        /// The synonym source.
        source: i8;
    }
}
