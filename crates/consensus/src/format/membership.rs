//! Who votes, and where the nodes are.
//!
//! ```text
//!  | configs u16 | per config:  | voters u16 | voters × node i32 |          two configs while the membership changes
//!  | nodes u16   | per node:    | node i32 | length u16 | address, UTF-8 | voters and learners
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use openraft::BasicNode;
use tallymq_model::NodeId;

use super::{take_i32, take_slice, take_u16};
use crate::{DecodeError, raft::Membership};

pub(super) fn encode(membership: &Membership, out: &mut BytesMut) {
    out.put_u16(membership.get_joint_config().len() as u16);
    for voters in membership.get_joint_config() {
        out.put_u16(voters.len() as u16);
        voters.iter().for_each(|node| out.put_i32(node.0));
    }
    out.put_u16(membership.nodes().count() as u16);
    for (id, node) in membership.nodes() {
        out.put_i32(id.0);
        out.put_u16(node.addr.len() as u16);
        out.put_slice(node.addr.as_bytes());
    }
}

pub(super) fn decode(bytes: &mut Bytes) -> Result<Membership, DecodeError> {
    const WHAT: &str = "the membership";
    let mut configs = Vec::new();
    for _ in 0..take_u16(bytes, WHAT)? {
        let mut voters = BTreeSet::new();
        for _ in 0..take_u16(bytes, WHAT)? {
            voters.insert(NodeId(take_i32(bytes, WHAT)?));
        }
        configs.push(voters);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..take_u16(bytes, WHAT)? {
        let id = NodeId(take_i32(bytes, WHAT)?);
        let length = take_u16(bytes, WHAT)? as usize;
        let address = take_slice(bytes, length, WHAT)?;
        let address =
            std::str::from_utf8(&address).map_err(|_| DecodeError::new("a node's address is not UTF-8"))?;
        nodes.insert(id, BasicNode::new(address));
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes)
        .map_err(|error| DecodeError::new(format!("the membership is invalid: {error}")))
}
