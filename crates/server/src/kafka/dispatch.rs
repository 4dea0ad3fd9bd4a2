//! From a call to its handler: the table of the APIs that are served. What all handlers share is here; what one does is
//! in its own file.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use tallymq_gateway::kafka::{
    request::{Request, Response},
    session::Call,
};

use tokio::sync::watch;

use super::{fetch::sessions::FetchSessions, *};
use crate::{
    net::connection::{Answer, Calls, Peer, Pending, Step},
    node::Node,
    stop::stopped,
};

/// What a handler may want to know of its call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Version of the request.
    pub version: i16,
    /// The client's name for itself; may be empty.
    pub client_id: String,
    /// Where the client is.
    pub client: SocketAddr,
    /// The address that it connected to.
    pub local: SocketAddr,
    /// The connection's number.
    pub connection: u64,
    /// The size of the request's frame.
    pub frame_bytes: usize,
}

/// Handles the calls of all Kafka connections of a node.
pub struct KafkaCalls {
    /// The node that answers.
    pub node: Arc<Node>,
    /// Sessions of fetching clients.
    pub fetch_sessions: FetchSessions,
}

impl KafkaCalls {
    /// Answers from `node`.
    pub fn new(node: Arc<Node>) -> KafkaCalls {
        let fetch_sessions = FetchSessions::new(node.startup.fetch_sessions_max);
        KafkaCalls { node, fetch_sessions }
    }

    /// The table. Everything but Produce is answered before the connection's next call begins.
    async fn handle(self: Arc<Self>, context: CallContext, request: Request) -> Step {
        let node = self.node.clone();
        let response: Response = match request {
            Request::Produce(request) => return produce::begin(node, context, request).await,
            Request::Fetch(request) => return Step::Answered(fetch::handle(&self, &context, request).await),
            Request::ListOffsets(request) => list_offsets::handle(&node, &context, request).await.into(),
            Request::Metadata(request) => metadata::handle(&node, &context, request).await.into(),
            Request::OffsetCommit(request) => offset_commit::handle(&node, &context, request).await.into(),
            Request::OffsetFetch(request) => offset_fetch::handle(&node, &context, request).await.into(),
            Request::FindCoordinator(request) => {
                find_coordinator::handle(&node, &context, request).await.into()
            }
            Request::JoinGroup(request) => join_group::handle(&node, &context, request).await.into(),
            Request::Heartbeat(request) => heartbeat::handle(&node, request).await.into(),
            Request::LeaveGroup(request) => leave_group::handle(&node, &context, request).await.into(),
            Request::SyncGroup(request) => sync_group::handle(&node, request).await.into(),
            Request::DescribeGroups(request) => {
                describe_groups::handle(&node, &context, request).await.into()
            }
            Request::ListGroups(request) => list_groups::handle(&node, request).await.into(),
            Request::ApiVersions(request) => api_versions::handle(&context, &request).into(),
            Request::CreateTopics(request) => create_topics::handle(&node, request).await.into(),
            Request::DeleteTopics(request) => delete_topics::handle(&node, &context, request).await.into(),
            Request::DeleteRecords(request) => delete_records::handle(&node, &context, request).await.into(),
            Request::InitProducerId(request) => init_producer_id::handle(&node, request).await.into(),
            Request::OffsetForLeaderEpoch(request) => offset_for_leader_epoch::handle(&node, request).into(),
            Request::DescribeConfigs(request) => describe_configs::handle(&node, &context, request).into(),
            Request::AlterConfigs(request) => alter_configs::handle(&node, request).await.into(),
            Request::DescribeLogDirs(request) => describe_log_dirs::handle(&node, request).into(),
            Request::CreatePartitions(request) => create_partitions::handle(&node, request).await.into(),
            Request::DeleteGroups(request) => delete_groups::handle(&node, request).await.into(),
            Request::IncrementalAlterConfigs(request) => {
                incremental_alter_configs::handle(&node, request).await.into()
            }
            Request::OffsetDelete(request) => offset_delete::handle(&node, request).await.into(),
            Request::DescribeCluster(request) => describe_cluster::handle(&node, &context, &request).into(),
            Request::DescribeProducers(request) => describe_producers::handle(&node, request).into(),
            Request::ConsumerGroupHeartbeat(request) => {
                consumer_group_heartbeat::handle(&node, &context, request).await.into()
            }
            Request::ConsumerGroupDescribe(request) => {
                consumer_group_describe::handle(&node, request).await.into()
            }
            Request::ListConfigResources(request) => {
                list_config_resources::handle(&node, &context, request).into()
            }
            Request::DescribeTopicPartitions(request) => {
                describe_topic_partitions::handle(&node, request).into()
            }
        };
        Step::Answered(Answer::Response(response))
    }
}

/// The group in which the caller is a member, or wants to be.
fn spoken_for(request: &Request) -> Option<&str> {
    match request {
        Request::JoinGroup(join) => Some(&join.group_id),
        Request::SyncGroup(sync) => Some(&sync.group_id),
        Request::Heartbeat(heartbeat) => Some(&heartbeat.group_id),
        Request::ConsumerGroupHeartbeat(heartbeat) => Some(&heartbeat.group_id),
        Request::OffsetCommit(commit) if commit.generation_id_or_member_epoch >= 0 => Some(&commit.group_id),
        _ => None,
    }
}

/// Whether a call may wait for minutes, and need not be finished if its client is gone.
fn waits_for_others(request: &Request) -> bool {
    let waits_for_its_turn = matches!(request, Request::ListOffsets(_));
    waits_for_its_turn || matches!(request, Request::Fetch(_) | Request::JoinGroup(_) | Request::SyncGroup(_))
}

impl Calls for KafkaCalls {
    fn connected(&self) -> u64 {
        self.node.accounting.connected()
    }

    fn disconnected(&self, connection: u64) {
        self.fetch_sessions.disconnected(connection);
        self.node.accounting.disconnected(connection);
    }

    fn waits_for_others(&self, call: &Call) -> bool {
        waits_for_others(&call.request)
    }

    fn begin(self: &Arc<Self>, peer: Peer, gone: &watch::Receiver<bool>, call: Call) -> Pending<Step> {
        let began = Instant::now();
        let api = call.header.api.name();
        let context = CallContext {
            version: call.header.version,
            client_id: call.header.client_id.unwrap_or_default(),
            client: peer.client,
            local: peer.local,
            connection: peer.connection,
            frame_bytes: call.frame_bytes,
        };
        if let Some(group) = spoken_for(&call.request) {
            self.node.accounting.spoke(peer.connection, group);
        }
        let node = self.node.clone();
        let mut gone = waits_for_others(&call.request).then(|| gone.clone());
        let handling = self.clone().handle(context, call.request);
        Box::pin(async move {
            let step = tokio::select! {
                biased;
                step = handling => step,
                () = async { stopped(gone.as_mut().expect("checked by the guard")).await }, if gone.is_some() => {
                    Step::Answered(Answer::Silence)
                }
            };
            match step {
                Step::Answered(answer) => {
                    node.metrics.requests.answered(api, began.elapsed());
                    Step::Answered(answer)
                }
                Step::Waiting(pending) => Step::Waiting(Box::pin(async move {
                    let answer = pending.await;
                    node.metrics.requests.answered(api, began.elapsed());
                    answer
                })),
            }
        })
    }

    fn moved(&self, received: usize, sent: usize) {
        self.node.metrics.requests.received_bytes.inc_by(received as u64);
        self.node.metrics.requests.sent_bytes.inc_by(sent as u64);
    }
}
