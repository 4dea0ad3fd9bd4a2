//! Defaults are those of Kafka's definitions: a default message of ours is a default message of the crate
//! kafka-protocol, in every version both know.

use bytes::BytesMut;
use kafka_protocol::protocol::Encodable;
use tallymq_gateway::kafka::messages as ours;
use tallymq_gateway::kafka::wire::{Structure, Writer};

fn assert_same<Ours: Structure + Default, Theirs: Encodable + Default>(name: &str) {
    for version in Ours::VERSIONS {
        let mut theirs = BytesMut::new();
        if Theirs::default().encode(&mut theirs, version).is_err() {
            continue;
        }
        let mut writer = Writer::new();
        Ours::default().encode(&mut writer, version).expect("defaults can be written in every version");
        assert_eq!(writer.into_pieces().concat(), theirs, "{name} {version}");
    }
}

macro_rules! same_defaults {
    ($($test:ident: $($file:ident::$message:ident)*;)*) => {$(
        #[test]
        fn $test() {
            $(assert_same::<ours::$file::$message, kafka_protocol::messages::$message>(stringify!($message));)*
        }
    )*};
}

same_defaults! {
    data: produce::ProduceRequest produce::ProduceResponse fetch::FetchRequest fetch::FetchResponse
        list_offsets::ListOffsetsRequest metadata::MetadataRequest metadata::MetadataResponse
        delete_records::DeleteRecordsRequest init_producer_id::InitProducerIdResponse
        offset_for_leader_epoch::OffsetForLeaderEpochRequest api_versions::ApiVersionsRequest
        api_versions::ApiVersionsResponse;
    groups: offset_commit::OffsetCommitRequest offset_fetch::OffsetFetchRequest
        offset_fetch::OffsetFetchResponse find_coordinator::FindCoordinatorRequest
        join_group::JoinGroupRequest join_group::JoinGroupResponse heartbeat::HeartbeatRequest
        leave_group::LeaveGroupRequest sync_group::SyncGroupRequest sync_group::SyncGroupResponse
        describe_groups::DescribeGroupsRequest list_groups::ListGroupsRequest
        consumer_group_heartbeat::ConsumerGroupHeartbeatRequest
        consumer_group_heartbeat::ConsumerGroupHeartbeatResponse
        consumer_group_describe::ConsumerGroupDescribeRequest;
    administration: create_topics::CreateTopicsRequest delete_topics::DeleteTopicsRequest
        describe_configs::DescribeConfigsRequest alter_configs::AlterConfigsRequest
        incremental_alter_configs::IncrementalAlterConfigsRequest
        describe_log_dirs::DescribeLogDirsRequest describe_log_dirs::DescribeLogDirsResponse
        create_partitions::CreatePartitionsRequest describe_cluster::DescribeClusterRequest
        describe_cluster::DescribeClusterResponse
        list_config_resources::ListConfigResourcesRequest
        describe_topic_partitions::DescribeTopicPartitionsRequest
        describe_topic_partitions::DescribeTopicPartitionsResponse;
}
