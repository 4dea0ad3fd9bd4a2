//! DescribeCluster: this broker, which is all there is (KIP-700).

use std::sync::Arc;

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse},
};

use super::{CallContext, endpoint::endpoint, operations};
use crate::node::Node;

/// Clients ask brokers with 1 and controllers with 2 (KIP-919).
const ENDPOINT_BROKERS: i8 = 1;

/// Answers with the cluster.
pub fn handle(
    node: &Arc<Node>,
    context: &CallContext,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != ENDPOINT_BROKERS {
        return DescribeClusterResponse {
            error_code: ErrorCode::MismatchedEndpointType,
            error_message: Some(
                "The request was sent to an endpoint of a type that is not broker".to_owned(),
            ),
            ..Default::default()
        };
    }
    let (host, port) = endpoint(node, context);
    DescribeClusterResponse {
        endpoint_type: ENDPOINT_BROKERS,
        cluster_id: node.identity.cluster_id.clone(),
        controller_id: node.identity.node_id,
        cluster_authorized_operations: operations::of_cluster(request.include_cluster_authorized_operations),
        brokers: vec![DescribeClusterBroker {
            broker_id: node.identity.node_id,
            host,
            port,
            ..Default::default()
        }],
        ..Default::default()
    }
}
