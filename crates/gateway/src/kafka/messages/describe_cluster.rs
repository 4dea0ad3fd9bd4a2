//! DescribeCluster (key 60): the brokers of the cluster. Wire layout only, no meaning. Source: KIP-700,
//! KIP-919, KIP-1073.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=2, flexible 0..;

    /// DescribeCluster request: the brokers of the cluster.
    pub struct DescribeClusterRequest {
        /// Whether to include cluster authorized operations.
        include_cluster_authorized_operations: bool;
        /// The endpoint type to describe. 1=brokers, 2=controllers.
        endpoint_type: i8, versions 1.., default 1;
        /// Whether to include fenced brokers when listing brokers.
        include_fenced_brokers: bool, versions 2..;
    }

    /// What a broker answers to [`DescribeClusterRequest`].
    pub struct DescribeClusterResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The top-level error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The top-level error message, or null if there was no error.
        error_message: Option<String>;
        /// The endpoint type that was described. 1=brokers, 2=controllers.
        endpoint_type: i8, versions 1.., default 1;
        /// The cluster ID that responding broker belongs to.
        cluster_id: String;
        /// The ID of the controller. When handled by a controller, returns the current voter leader ID. When
        /// handled by a broker, returns a random alive broker ID as a fallback.
        controller_id: i32, default -1;
        /// Each broker in the response.
        brokers: Vec<DescribeClusterBroker>;
        /// 32-bit bitfield to represent authorized operations for this cluster.
        cluster_authorized_operations: i32, default i32::MIN;
    }

    /// One element of [`DescribeClusterResponse::brokers`].
    pub struct DescribeClusterBroker {
        /// The broker ID.
        broker_id: i32;
        /// The broker hostname.
        host: String;
        /// The broker port.
        port: i32;
        /// The rack of the broker, or null if it has not been assigned to a rack.
        rack: Option<String>;
        /// Whether the broker is fenced.
        is_fenced: bool, versions 2..;
    }
}
