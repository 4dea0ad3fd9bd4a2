//! FindCoordinator (key 10): find the broker that coordinates a group or a transaction. Wire layout only, no
//! meaning. Source: KIP-98, KIP-699, KIP-932.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=6, flexible 3..;

    /// FindCoordinator request: find the broker that coordinates a group or a transaction.
    pub struct FindCoordinatorRequest {
        /// The coordinator key.
        key: String, versions 0..=3;
        /// The coordinator key type. (group, transaction, share).
        key_type: i8, versions 1..;
        /// The coordinator keys.
        coordinator_keys: Vec<String>, versions 4..;
    }

    /// What a broker answers to [`FindCoordinatorRequest`].
    pub struct FindCoordinatorResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 1.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode, versions 0..=3;
        /// The error message, or null if there was no error.
        error_message: Option<String>, versions 1..=3, ignorable true;
        /// The node id.
        node_id: i32, versions 0..=3;
        /// The host name.
        host: String, versions 0..=3;
        /// The port.
        port: i32, versions 0..=3;
        /// Each coordinator result in the response.
        coordinators: Vec<Coordinator>, versions 4..;
    }

    /// One element of [`FindCoordinatorResponse::coordinators`].
    pub struct Coordinator {
        /// The coordinator key.
        key: String;
        /// The node id.
        node_id: i32;
        /// The host name.
        host: String;
        /// The port.
        port: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The error message, or null if there was no error.
        error_message: Option<String>;
    }
}
