//! ApiVersions (key 18): which requests a broker answers, in which versions. Wire layout only, no meaning.
//! Source: KIP-35, KIP-511, KIP-584, KIP-1242.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=4, flexible 3..;

    /// ApiVersions request: which requests a broker answers, in which versions.
    pub struct ApiVersionsRequest {
        /// The name of the client.
        client_software_name: String, versions 3.., ignorable true;
        /// The version of the client.
        client_software_version: String, versions 3.., ignorable true;
    }

    /// What a broker answers to [`ApiVersionsRequest`].
    pub struct ApiVersionsResponse {
        /// The top-level error code.
        error_code: ErrorCode;
        /// The APIs supported by the broker.
        api_keys: Vec<ApiVersion>;
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// Features supported by the broker. Note: in v0-v3, features with MinSupportedVersion = 0 are
        /// omitted.
        supported_features: Vec<SupportedFeatureKey>, versions 3.., tag 0, ignorable true;
        /// The monotonically increasing epoch for the finalized features information. Valid values are >= 0.
        /// A value of -1 is special and represents unknown epoch.
        finalized_features_epoch: i64, versions 3.., tag 1, default -1, ignorable true;
        /// List of cluster-wide finalized features. The information is valid only if FinalizedFeaturesEpoch
        /// >= 0.
        finalized_features: Vec<FinalizedFeatureKey>, versions 3.., tag 2, ignorable true;
        /// Set by a KRaft controller if the required configurations for ZK migration are present.
        zk_migration_ready: bool, versions 3.., tag 3, ignorable true;
    }

    /// One element of [`ApiVersionsResponse::api_keys`].
    pub struct ApiVersion {
        /// The API index.
        api_key: i16;
        /// The minimum supported version, inclusive.
        min_version: i16;
        /// The maximum supported version, inclusive.
        max_version: i16;
    }

    /// One element of [`ApiVersionsResponse::supported_features`].
    pub struct SupportedFeatureKey {
        /// The name of the feature.
        name: String;
        /// The minimum supported version for the feature.
        min_version: i16;
        /// The maximum supported version for the feature.
        max_version: i16;
    }

    /// One element of [`ApiVersionsResponse::finalized_features`].
    pub struct FinalizedFeatureKey {
        /// The name of the feature.
        name: String;
        /// The cluster-wide finalized max version level for the feature.
        max_version_level: i16;
        /// The cluster-wide finalized min version level for the feature.
        min_version_level: i16;
    }
}
