//! The network of a node that is alone: everyone is unreachable. A cluster puts its transport in this place.

use std::future::Future;

use openraft::{
    BasicNode, RaftNetworkFactory, RaftNetworkV2,
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
    type_config::alias,
};
use tallymq_model::NodeId;

use super::{RaftMachine, Types, Vote, machine::CheckpointData};

/// Reaches nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoNetwork;

/// The way to a node that cannot be reached.
#[derive(Debug)]
pub(crate) struct NoConnection(NodeId);

impl NoConnection {
    fn unreachable(&self) -> Unreachable<Types> {
        Unreachable::from_string(format!(
            "node {} cannot be reached: this node has no cluster network",
            self.0
        ))
    }
}

impl RaftNetworkFactory<Types> for NoNetwork {
    type Network = NoConnection;

    async fn new_client(&mut self, target: NodeId, _: &BasicNode) -> NoConnection {
        NoConnection(target)
    }
}

impl RaftNetworkV2<Types> for NoConnection {
    type SnapshotData = CheckpointData;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    // without this the engine would count the missing answer as a grant
    async fn pre_vote(
        &mut self,
        _: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: alias::SmSnapshotOf<Types, RaftMachine>,
        _: impl Future<Output = ReplicationClosed> + openraft::OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(self.unreachable().into())
    }
}
