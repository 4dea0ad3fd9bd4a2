//! Where clients are sent: the advertised listener, or the address that the client itself found the node at.

use super::dispatch::CallContext;
use crate::node::Node;

/// Host and port of this node for the client of a call.
pub fn endpoint(node: &Node, context: &CallContext) -> (String, i32) {
    match &node.startup.advertised {
        Some((host, port)) => (host.clone(), i32::from(*port)),
        None => (context.local.ip().to_canonical().to_string(), i32::from(context.local.port())),
    }
}
