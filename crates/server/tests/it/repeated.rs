//! A request that names one thing many times gets one answer about it: a small request never asks for a huge answer.

use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        consumer_group_describe::ConsumerGroupDescribeRequest,
        create_topics::{CreatableTopic, CreateTopicsRequest},
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResource},
        describe_groups::DescribeGroupsRequest,
        describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest},
        describe_producers::{DescribeProducersRequest, TopicRequest},
        list_config_resources::ListConfigResourcesRequest,
        metadata::{MetadataRequest, MetadataRequestTopic},
        offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic},
    },
};

use crate::{client::answer, disks::TestDisk, world::start_on};

const MANY: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_many_times_is_answered_once() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 2).await;
    let name = || "t".to_owned();

    let topic = MetadataRequestTopic { name: Some(name()), ..Default::default() };
    let asked = MetadataRequest { topics: Some(vec![topic; MANY]), ..Default::default() };
    assert_eq!(answer!(client.call(asked).await, Metadata).topics.len(), 1);

    let asked = DescribeGroupsRequest { groups: vec![name(); MANY], ..Default::default() };
    assert_eq!(answer!(client.call(asked).await, DescribeGroups).groups.len(), 1);
    let asked = ConsumerGroupDescribeRequest { group_ids: vec![name(); MANY], ..Default::default() };
    assert_eq!(answer!(client.call(asked).await, ConsumerGroupDescribe).groups.len(), 1);

    let asked = ListConfigResourcesRequest { resource_types: vec![2; MANY] };
    assert_eq!(answer!(client.call(asked).await, ListConfigResources).config_resources.len(), 1);
    let resource =
        DescribeConfigsResource { resource_type: 2, resource_name: name(), configuration_keys: None };
    let asked = DescribeConfigsRequest { resources: vec![resource; MANY], ..Default::default() };
    assert_eq!(answer!(client.call(asked).await, DescribeConfigs).results.len(), 1);

    let topics = vec![TopicRequest { name: name(), partition_indexes: vec![1; MANY] }; 2];
    let producers = answer!(client.call(DescribeProducersRequest { topics }).await, DescribeProducers);
    assert_eq!((producers.topics.len(), producers.topics[0].partitions.len()), (1, 1));
    let topics = Some(vec![DescribableLogDirTopic { topic: name(), partitions: vec![1; MANY] }; 2]);
    let directories = answer!(client.call(DescribeLogDirsRequest { topics }).await, DescribeLogDirs);
    let topics = &directories.results[0].topics;
    assert_eq!((topics.len(), topics[0].partitions.len()), (1, 1));

    let topics = Some(vec![OffsetFetchRequestTopic { name: name(), partition_indexes: vec![1; MANY] }; 2]);
    let asked = OffsetFetchRequest { group_id: "g".to_owned(), topics, ..Default::default() };
    let fetched = answer!(client.call(asked).await, OffsetFetch);
    assert_eq!((fetched.topics.len(), fetched.topics[0].partitions.len()), (1, 1));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_what_need_not_exist_are_bounded() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    let group = |number: usize| DescribeConfigsResource {
        resource_type: 32,
        resource_name: number.to_string(),
        configuration_keys: Some(vec!["consumer.session.timeout.ms".to_owned()]),
    };
    let resources = (0..=10_000).map(group).collect();
    let asked = DescribeConfigsRequest { resources, ..Default::default() };
    let described = answer!(client.call(asked).await, DescribeConfigs);
    let codes: Vec<_> = described.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes.len(), 10_001);
    assert!(codes[..10_000].iter().all(|code| *code == ErrorCode::None));
    assert_eq!(codes[10_000], ErrorCode::InvalidRequest);

    let topic = |name: String| CreatableTopic { name, num_partitions: 0, ..Default::default() };
    let mut topics: Vec<_> = (0..=20_000).map(|number| topic(number.to_string())).collect();
    topics.push(topic("7".to_owned()));
    let asked = CreateTopicsRequest { topics, validate_only: true, ..Default::default() };
    let created = answer!(client.call(asked).await, CreateTopics);
    assert_eq!(created.topics.len(), 20_001, "a name that comes twice is answered once");
    let codes: Vec<_> = created.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!((codes[7], codes[8]), (ErrorCode::InvalidRequest, ErrorCode::InvalidPartitions));
    assert_eq!(codes[20_000], ErrorCode::InvalidRequest);
    broker.stop().await;
}
