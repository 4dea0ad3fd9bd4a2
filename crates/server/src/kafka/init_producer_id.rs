//! InitProducerId: a fresh id for an idempotent producer (KIP-98), or a higher epoch of one that had to reset (KIP-360).

use std::sync::Arc;

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
};

use crate::node::Node;

/// Answers with an id that nobody has had.
pub async fn handle(node: &Arc<Node>, request: InitProducerIdRequest) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        // Not retriable: a client that retried would hang, because transactions are not served.
        return refused(node, ErrorCode::InvalidRequest);
    }
    match node.next_producer_id().await {
        Ok(id) => InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() },
        // The only retriable error after which clients do not look for a coordinator of transactions, which there is none of.
        Err(_) => refused(node, ErrorCode::CoordinatorLoadInProgress),
    }
}

fn refused(node: &Node, error_code: ErrorCode) -> InitProducerIdResponse {
    node.metrics.requests.failed("InitProducerId", error_code.name());
    InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }
}
