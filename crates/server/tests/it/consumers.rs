//! Members of consumer groups, of both protocols, as far as a test needs them: joining, fetching, committing.

use bytes::Bytes;
use tallymq_gateway::kafka::{
    ErrorCode,
    consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartitions, encode},
    messages::{
        consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, TopicPartitions as Held},
        heartbeat::HeartbeatRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment},
    },
};

use crate::client::{Client, answer, fetch_partitions, values_of};

/// A member of a group, mostly its only one. Fetches over one connection and speaks for its group over another, as most clients do.
pub struct Member {
    pub speaker: Client,
    pub client: Client,
    pub group: String,
    pub id: String,
    pub generation: i32,
}

async fn join(client: &mut Client, group: &str, topic: &str, member: &str) -> JoinGroupResponse {
    answer!(client.call(join_request(group, topic, member)).await, JoinGroup)
}

/// A request to join by the classic protocol.
pub fn join_request(group: &str, topic: &str, member: &str) -> JoinGroupRequest {
    let subscription = ConsumerProtocolSubscription { topics: vec![topic.to_owned()], ..Default::default() };
    let metadata = encode(&subscription, 0).unwrap();
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: 300_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata }],
        ..Default::default()
    }
}

fn assignment(topic: &str, partitions: &[i32]) -> Bytes {
    let held = TopicPartitions { topic: topic.to_owned(), partitions: partitions.to_vec() };
    encode(&ConsumerProtocolAssignment { assigned_partitions: vec![held], user_data: None }, 0).unwrap()
}

impl Member {
    /// The same one after a restart of the broker.
    pub fn again(self, speaker: Client, client: Client) -> Member {
        Member { speaker, client, ..self }
    }

    /// Joins by the classic protocol, and gives itself these partitions.
    pub async fn classic(mut speaker: Client, client: Client, group: &str, held: (&str, &[i32])) -> Member {
        let id = join(&mut speaker, group, held.0, "").await.member_id;
        let mut member = Member { speaker, client, group: group.to_owned(), id, generation: -1 };
        member.join(held.0).await;
        member.sync(held).await;
        member
    }

    /// Joins a group that has a member already, which joins again; nothing is assigned then.
    pub async fn beside(other: &mut Member, speaker: Client, client: Client, topic: &str) -> Member {
        let (mut speaker, group) = (speaker, other.group.clone());
        let id = join(&mut speaker, &group, topic, "").await.member_id;
        speaker.send(join_request(&group, topic, &id)).await;
        other.rejoin_when_told(topic).await;
        let joined = answer!(speaker.receive().await, JoinGroup);
        assert_eq!(joined.error_code, ErrorCode::None);
        Member { speaker, client, group, id, generation: joined.generation_id }
    }

    /// Beats until its group rebalances, and joins again.
    async fn rejoin_when_told(&mut self, topic: &str) {
        loop {
            let beat = HeartbeatRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                ..Default::default()
            };
            match answer!(self.speaker.call(beat).await, Heartbeat).error_code {
                ErrorCode::RebalanceInProgress => return self.join(topic).await,
                code => assert_eq!(code, ErrorCode::None),
            }
        }
    }

    /// Joins, again for all that it knows: its group rebalances.
    pub async fn join(&mut self, topic: &str) {
        let joined = join(&mut self.speaker, &self.group, topic, &self.id).await;
        assert_eq!(joined.error_code, ErrorCode::None);
        self.generation = joined.generation_id;
    }

    /// Gives itself these partitions.
    pub async fn sync(&mut self, (topic, partitions): (&str, &[i32])) {
        let id = self.id.clone();
        self.sync_all(topic, &[(&id, partitions)]).await;
    }

    /// Gives members these partitions; nothing, if it is not the leader.
    pub async fn sync_all(&mut self, topic: &str, given: &[(&str, &[i32])]) {
        let given = given.iter().map(|(member, partitions)| SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: assignment(topic, partitions),
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: given.collect(),
            ..Default::default()
        };
        assert_eq!(answer!(self.speaker.call(request).await, SyncGroup).error_code, ErrorCode::None);
    }

    /// Joins by the consumer protocol (KIP-848), and waits until it holds something.
    pub async fn consumer(mut speaker: Client, client: Client, group: &str, topic: &str) -> Member {
        let id = format!("member-of-{group}");
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: group.to_owned(),
            member_id: id.clone(),
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(vec![topic.to_owned()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        };
        loop {
            let beaten = answer!(speaker.call(request.clone()).await, ConsumerGroupHeartbeat);
            assert_eq!(beaten.error_code, ErrorCode::None, "{:?}", beaten.error_message);
            let held: Vec<Held> = beaten.assignment.map(|given| given.topic_partitions).unwrap_or_default();
            if !held.is_empty() {
                let (group, generation) = (group.to_owned(), beaten.member_epoch);
                return Member { speaker, client, group, id, generation };
            }
            request.member_epoch = beaten.member_epoch;
        }
    }

    /// Reads what there is of a partition from an offset on; gives how many records came.
    pub async fn read(&mut self, topic: &str, partition: i32, from: i64) -> usize {
        values_of(&self.client.fetch(fetch_partitions(topic, &[(partition, from)])).await).len()
    }

    /// Commits a position.
    pub async fn commit(&mut self, topic: &str, partition: i32, offset: i64) -> ErrorCode {
        self.commit_with(topic, partition, offset, None).await
    }

    /// With metadata.
    pub async fn commit_with(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: Option<&str>,
    ) -> ErrorCode {
        let mut request =
            commit_request(&self.group, (topic, partition, offset), (&self.id, self.generation));
        request.topics[0].partitions[0].committed_metadata = metadata.map(str::to_owned);
        answer!(self.speaker.call(request).await, OffsetCommit).topics[0].partitions[0].error_code
    }
}

/// A commit of one position by a member.
pub fn commit_request(
    group: &str,
    (topic, partition, offset): (&str, i32, i64),
    (member, generation): (&str, i32),
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member.to_owned(),
        topics: vec![topic],
        ..Default::default()
    }
}
