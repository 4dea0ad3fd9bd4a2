//! FindCoordinator: where a group's coordinator is. On a single node it is always this one.

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse},
};

use super::{dispatch::CallContext, endpoint::endpoint, errors::Refusal};
use crate::node::Node;

/// From this version on a request asks for many keys (KIP-699).
const MANY_KEYS_VERSION: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers for every key.
pub async fn handle(
    node: &Node,
    context: &CallContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if context.version >= MANY_KEYS_VERSION {
        let keys = request.coordinator_keys.into_iter();
        let coordinators = keys.map(|key| coordinator(node, context, request.key_type, key)).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let found = coordinator(node, context, request.key_type, request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn coordinator(node: &Node, context: &CallContext, key_type: i8, key: String) -> Coordinator {
    let refusal = match key_type {
        GROUP => {
            let (host, port) = endpoint(node, context);
            return Coordinator { key, node_id: node.identity.node().0, host, port, ..Default::default() };
        }
        // An error that clients do not retry: they would wait for a coordinator that never comes.
        TRANSACTION => Refusal::new(ErrorCode::InvalidRequest, "transactions are not served yet"),
        other => {
            Refusal::new(ErrorCode::InvalidRequest, format_args!("there is no coordinator of type {other}"))
        }
    };
    node.metrics.requests.failed("FindCoordinator", refusal.code.name());
    Coordinator {
        key,
        node_id: -1,
        host: String::new(),
        port: -1,
        error_code: refusal.code,
        error_message: Some(refusal.message),
    }
}
