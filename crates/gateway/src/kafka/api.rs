//! The table of the APIs that are spoken: key, name, and what is advertised. Which versions can be read, and from
//! which on they are flexible, stands in each message file. No other place lists APIs.

use std::fmt;
use std::ops::RangeInclusive;

use super::messages::api_versions::ApiVersion;
use super::messages::*;
use super::wire::Structure;

/// Hands the table to the macro `$callback`: key, name, message file and its two messages, advertised versions.
macro_rules! with_apis {
    ($callback:ident) => {
        $callback! {
            // From 0, though 0 to 2 cannot be read: old librdkafka compresses only then (KAFKA-18659).
            0 Produce produce::{ProduceRequest, ProduceResponse} 0..=13;
            1 Fetch fetch::{FetchRequest, FetchResponse} 4..=18;
            2 ListOffsets list_offsets::{ListOffsetsRequest, ListOffsetsResponse} 1..=11;
            3 Metadata metadata::{MetadataRequest, MetadataResponse} 0..=13;
            8 OffsetCommit offset_commit::{OffsetCommitRequest, OffsetCommitResponse} 2..=10;
            9 OffsetFetch offset_fetch::{OffsetFetchRequest, OffsetFetchResponse} 1..=10;
            10 FindCoordinator find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse} 0..=6;
            11 JoinGroup join_group::{JoinGroupRequest, JoinGroupResponse} 0..=9;
            12 Heartbeat heartbeat::{HeartbeatRequest, HeartbeatResponse} 0..=4;
            13 LeaveGroup leave_group::{LeaveGroupRequest, LeaveGroupResponse} 0..=5;
            14 SyncGroup sync_group::{SyncGroupRequest, SyncGroupResponse} 0..=5;
            15 DescribeGroups describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse} 0..=6;
            16 ListGroups list_groups::{ListGroupsRequest, ListGroupsResponse} 0..=5;
            18 ApiVersions api_versions::{ApiVersionsRequest, ApiVersionsResponse} 0..=4;
            19 CreateTopics create_topics::{CreateTopicsRequest, CreateTopicsResponse} 2..=7;
            20 DeleteTopics delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse} 1..=6;
            21 DeleteRecords delete_records::{DeleteRecordsRequest, DeleteRecordsResponse} 0..=2;
            22 InitProducerId init_producer_id::{InitProducerIdRequest, InitProducerIdResponse} 0..=5;
            23 OffsetForLeaderEpoch
                offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse} 2..=4;
            32 DescribeConfigs describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse} 1..=4;
            33 AlterConfigs alter_configs::{AlterConfigsRequest, AlterConfigsResponse} 0..=2;
            35 DescribeLogDirs describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse} 1..=5;
            37 CreatePartitions create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse} 0..=3;
            42 DeleteGroups delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse} 0..=2;
            44 IncrementalAlterConfigs
                incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse} 0..=1;
            47 OffsetDelete offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse} 0..=0;
            60 DescribeCluster describe_cluster::{DescribeClusterRequest, DescribeClusterResponse} 0..=2;
            61 DescribeProducers describe_producers::{DescribeProducersRequest, DescribeProducersResponse} 0..=0;
            68 ConsumerGroupHeartbeat
                consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse} 0..=1;
            69 ConsumerGroupDescribe
                consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse} 0..=1;
            74 ListConfigResources
                list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse} 0..=1;
            75 DescribeTopicPartitions
                describe_topic_partitions::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse} 0..=0;
        }
    };
}
pub(super) use with_apis;

macro_rules! api_key {
    ($($key:literal $name:ident $file:ident::{$request:ident, $response:ident} $advertised:expr;)*) => {
        /// An API of the Kafka protocol that is spoken here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!("Key ", $key, ", see [`", stringify!($file), "`].")] $name = $key,)*
        }

        impl ApiKey {
            /// Every API, in the order of their keys.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name,)*];

            /// The API with this key.
            pub fn from_key(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name for it.
            pub fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// The versions to advertise, some of which may be refused (see the table).
            pub fn advertised(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $advertised,)*
                }
            }

            /// The versions that can be read and written.
            pub fn decodable(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $file::$request::VERSIONS,)*
                }
            }

            /// The first flexible version (KIP-482), if any.
            pub fn flexible_from(self) -> Option<i16> {
                match self {
                    $(ApiKey::$name => $file::$request::FLEXIBLE_FROM,)*
                }
            }
        }
    };
}

with_apis!(api_key);

impl ApiKey {
    /// The number on the wire.
    pub fn key(self) -> i16 {
        self as i16
    }

    /// Whether `version` is flexible (KIP-482), also beyond the versions that are known.
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|first| version >= first)
    }

    /// The entry for an ApiVersions response.
    pub fn advertisement(self) -> ApiVersion {
        let advertised = self.advertised();
        ApiVersion { api_key: self.key(), min_version: *advertised.start(), max_version: *advertised.end() }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_can_be_read() {
        for api in ApiKey::ALL {
            assert_eq!(ApiKey::from_key(api.key()), Some(*api));
            assert_eq!(api.advertised().end(), api.decodable().end(), "{api}");
            if *api != ApiKey::Produce {
                assert_eq!(api.advertised(), api.decodable(), "{api}");
            }
        }
        assert_eq!(ApiKey::Produce.decodable(), 3..=13);
        assert_eq!(ApiKey::from_key(17), None);
    }
}
