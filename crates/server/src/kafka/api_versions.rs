//! ApiVersions: what is served, and the features that clients switch on by (KIP-584). A version that is not known is
//! answered by the session itself (KIP-511).

use tallymq_gateway::kafka::{
    api::ApiKey,
    error_code::ErrorCode,
    messages::api_versions::{
        ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
    },
};

use super::CallContext;

/// The new group protocol (KIP-848) is on.
const GROUP_VERSION: (&str, i16) = ("group.version", 1);
/// The first version that names the client's software, and with it the rules for the name (KIP-511).
const SOFTWARE_NAME_VERSION: i16 = 3;
/// Before this version Java clients end the connection over a feature whose least level is 0 (KAFKA-17011).
const LEVEL_ZERO_VERSION: i16 = 4;

/// Answers with the table of APIs.
pub fn handle(context: &CallContext, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    if context.version >= SOFTWARE_NAME_VERSION
        && !(is_valid(&request.client_software_name) && is_valid(&request.client_software_version))
    {
        return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest, ..Default::default() };
    }
    let (name, level) = GROUP_VERSION;
    let supported = SupportedFeatureKey { name: name.to_owned(), min_version: 0, max_version: level };
    ApiVersionsResponse {
        api_keys: ApiKey::ALL.iter().map(|api| api.advertisement()).collect(),
        supported_features: if context.version < LEVEL_ZERO_VERSION { Vec::new() } else { vec![supported] },
        finalized_features_epoch: 0,
        finalized_features: vec![FinalizedFeatureKey {
            name: name.to_owned(),
            max_version_level: level,
            min_version_level: level,
        }],
        ..Default::default()
    }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
fn is_valid(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(name.chars().next())
        && ends(name.chars().last())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}
