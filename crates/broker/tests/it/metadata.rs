//! The metadata group: topics, names, placement, overrides, producer ids, consumer groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::metadata::{
    ConfigScope, ConfigSet, ConfigVersion, CreatePartitions, CreatePartitionsError, CreateTopic,
    CreateTopicError, DELETED_NAMES_MAX, Metadata, MetadataCommand, MetadataOutcome, NotBootstrapped,
    PartitionPlan, PartitionPlanError, PlaceGroupError, SetConfigsError, Topic, UnknownTopic,
};
use tallymq_broker::{ApplyContext, DecodeError, Parts};
use tallymq_model::{LogIndex, NodeId, PartitionIndex, ProducerId, RaftGroup, Term, TopicId};
use uuid::Uuid;

use crate::batches::NOW;

const AT: ApplyContext = ApplyContext { index: LogIndex(1), term: Term(1) };

fn cluster(data_groups: u32) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.apply(AT, &MetadataCommand::Bootstrap { cluster_id: "c".to_owned(), data_groups });
    metadata.apply(AT, &MetadataCommand::RegisterNode { node: NodeId(1), directory: Uuid::from_u128(1) });
    metadata
}

fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn topic(number: u128, name: &str, count: i32) -> CreateTopic {
    let partitions = PartitionPlan::Count { count, replicas: 1 };
    CreateTopic { id: id(number), name: name.to_owned(), partitions, configs: ConfigSet::new(), now: NOW }
}

fn create(metadata: &mut Metadata, create: CreateTopic) -> Result<Arc<Topic>, CreateTopicError> {
    let tried = metadata.try_create_topic(&create);
    match metadata.apply(AT, &MetadataCommand::CreateTopic(create)) {
        MetadataOutcome::TopicCreated(outcome) => {
            assert_eq!(tried, outcome.as_ref().map(|topic| Topic::clone(topic)).map_err(Clone::clone));
            outcome
        }
        other => panic!("{other:?}"),
    }
}

fn set(pairs: &[(&str, &str)]) -> ConfigSet {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn encoded(metadata: &Metadata) -> Bytes {
    let mut parts = Parts::new();
    metadata.encode(&mut parts);
    parts.into_bytes()
}

#[test]
fn partitions_go_to_the_least_loaded_groups_in_turn() {
    let mut metadata = cluster(3);
    let groups = |topic: &Topic| topic.partitions.iter().map(|place| place.group.0).collect::<Vec<_>>();
    let first = create(&mut metadata, topic(1, "a", 4)).unwrap();
    assert_eq!(groups(&first), [1, 2, 3, 1]);
    let second = create(&mut metadata, topic(2, "b", 2)).unwrap();
    assert_eq!(groups(&second), [2, 3]);
    metadata.apply(AT, &MetadataCommand::DeleteTopic { topic: id(1) });
    let third = create(&mut metadata, topic(3, "c", 3)).unwrap();
    assert_eq!(groups(&third), [1, 1, 2], "the load of a deleted topic is gone");
    assert_eq!(third.group_of(PartitionIndex(2)), Some(RaftGroup(2)));
    assert_eq!(third.group_of(PartitionIndex(3)), None);
    assert_eq!(third.group_of(PartitionIndex(-1)), None);
    assert_eq!(metadata.topics().partition_count(), 5);
}

#[test]
fn a_name_is_taken_once_and_dots_collide_with_underscores() {
    let mut metadata = cluster(2);
    create(&mut metadata, topic(1, "a.b", 1)).unwrap();
    assert_eq!(
        create(&mut metadata, topic(2, "a.b", 1)),
        Err(CreateTopicError::TopicExists("a.b".to_owned()))
    );
    let collides = CreateTopicError::Collides { name: "a_b".to_owned(), existing: "a.b".to_owned() };
    assert_eq!(create(&mut metadata, topic(2, "a_b", 1)), Err(collides));
    assert!(matches!(create(&mut metadata, topic(2, "no good", 1)), Err(CreateTopicError::InvalidName(_))));
    assert_eq!(create(&mut metadata, topic(1, "other", 1)), Err(CreateTopicError::IdTaken(id(1))));
    metadata.apply(AT, &MetadataCommand::DeleteTopic { topic: id(1) });
    create(&mut metadata, topic(2, "a_b", 1)).unwrap();
    assert!(metadata.topics().by_name("a.b").is_none());
    assert_eq!(metadata.topics().by_name("a_b").unwrap().id, id(2));
    let again = metadata.apply(AT, &MetadataCommand::DeleteTopic { topic: id(1) });
    assert_eq!(again, MetadataOutcome::TopicDeleted(Err(UnknownTopic(id(1)))));
}

#[test]
fn plans_that_cannot_be_met_are_refused() {
    let mut metadata = cluster(2);
    let plan = |partitions: PartitionPlan| CreateTopic { partitions, ..topic(1, "a", 1) };
    let mut refusal = |partitions| match create(&mut metadata, plan(partitions)) {
        Err(CreateTopicError::Plan(error)) => error,
        other => panic!("{other:?}"),
    };
    let count = |count, replicas| PartitionPlan::Count { count, replicas };
    assert_eq!(refusal(count(0, 1)), PartitionPlanError::InvalidPartitions(0));
    assert_eq!(refusal(count(-5, 1)), PartitionPlanError::InvalidPartitions(-5));
    assert!(matches!(refusal(count(i32::MAX, 1)), PartitionPlanError::TooManyPartitions { .. }));
    for replicas in [-1, 0, 2] {
        assert!(matches!(
            refusal(count(1, replicas)),
            PartitionPlanError::InvalidReplicationFactor { nodes: 1, .. }
        ));
    }
    let one = NodeId(1);
    for plan in [vec![vec![]], vec![vec![NodeId(7)]], vec![vec![one, one]], vec![vec![one], vec![]]] {
        assert!(matches!(refusal(PartitionPlan::Assigned(plan)), PartitionPlanError::InvalidAssignment(_)));
    }
    let assigned = create(&mut metadata, plan(PartitionPlan::Assigned(vec![vec![one]; 3]))).unwrap();
    assert_eq!(assigned.partitions.len(), 3);
    let empty = create(&mut Metadata::new(), topic(1, "a", 1));
    assert!(matches!(empty, Err(CreateTopicError::Plan(_))), "{empty:?}");
}

#[test]
fn partitions_are_only_ever_added() {
    let mut metadata = cluster(2);
    create(&mut metadata, topic(1, "a", 3)).unwrap();
    let mut grow = |topic: u128, count: i32, assigned: Option<Vec<Vec<NodeId>>>| {
        let create = CreatePartitions { topic: id(topic), count, assigned };
        match metadata.apply(AT, &MetadataCommand::CreatePartitions(create)) {
            MetadataOutcome::PartitionsCreated(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    };
    for asked in [-1, 0, 2, 3] {
        assert_eq!(grow(1, asked, None), Err(CreatePartitionsError::NotAnIncrease { current: 3, asked }));
    }
    assert_eq!(grow(9, 5, None), Err(CreatePartitionsError::UnknownTopic(UnknownTopic(id(9)))));
    assert!(grow(1, 5, Some(vec![vec![NodeId(1)]])).is_err(), "one assignment for two partitions");
    let (topic, first) = grow(1, 5, Some(vec![vec![NodeId(1)]; 2])).unwrap();
    assert_eq!((topic.partitions.len(), first), (5, PartitionIndex(3)));
    assert_eq!(topic.partitions.iter().map(|place| place.group.0).collect::<Vec<_>>(), [1, 2, 1, 2, 1]);
}

#[test]
fn an_edit_that_missed_another_one_is_refused() {
    let mut metadata = cluster(2);
    create(&mut metadata, topic(1, "a", 1)).unwrap();
    let scopes = [
        ConfigScope::Topic(id(1)),
        ConfigScope::Broker(None),
        ConfigScope::Broker(Some(NodeId(1))),
        ConfigScope::Group("g".to_owned()),
    ];
    for scope in scopes {
        let mut apply = |based_on: u64, pairs: &[(&str, &str)]| {
            let (scope, based_on) = (scope.clone(), ConfigVersion(based_on));
            match metadata.apply(AT, &MetadataCommand::SetConfigs { scope, based_on, configs: set(pairs) }) {
                MetadataOutcome::ConfigsSet(outcome) => outcome,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(apply(0, &[("k", "1")]), Ok(ConfigVersion(1)));
        assert_eq!(apply(0, &[("k", "2")]), Err(SetConfigsError::Changed(ConfigVersion(1))));
        assert_eq!(apply(1, &[("k", "3")]), Ok(ConfigVersion(2)));
    }
    assert_eq!(metadata.topics().by_name("a").unwrap().configs, set(&[("k", "3")]));
    assert_eq!(metadata.broker_configs(None).unwrap().configs, set(&[("k", "3")]));
    assert_eq!(metadata.broker_configs(Some(NodeId(2))), None);
    assert_eq!(metadata.group_configs("g").unwrap().version, ConfigVersion(2));
    assert_eq!(metadata.groups_with_configs().collect::<Vec<_>>(), ["g"]);
}

#[test]
fn producer_ids_are_never_handed_out_twice() {
    let mut metadata = cluster(2);
    let mut next = 0;
    for _ in 0..5 {
        let MetadataOutcome::ProducerIds(Ok(block)) =
            metadata.apply(AT, &MetadataCommand::AllocateProducerIds { node: NodeId(1) })
        else {
            panic!("no ids")
        };
        assert_eq!((block.first, block.count), (ProducerId(next), 1000));
        next += 1000;
        metadata = Metadata::decode(&mut encoded(&metadata)).unwrap();
    }
}

#[test]
fn a_deleted_topic_keeps_its_name_until_too_many_others_are_deleted() {
    let mut metadata = cluster(1);
    create(&mut metadata, topic(1, "orders", 1)).unwrap();
    metadata.apply(AT, &MetadataCommand::DeleteTopic { topic: id(1) });
    create(&mut metadata, topic(2, "orders", 1)).unwrap();
    assert_eq!(
        [1, 2, 3].map(|number| metadata.topics().name_of(id(number))),
        [Some("orders"), Some("orders"), None]
    );
    let mut restored = Metadata::decode(&mut encoded(&metadata)).unwrap();
    assert_eq!(restored, metadata);
    for number in 3..DELETED_NAMES_MAX as u128 + 3 {
        assert_eq!(restored.topics().name_of(id(1)), Some("orders"), "{number}");
        create(&mut restored, topic(number, "another", 1)).unwrap();
        restored.apply(AT, &MetadataCommand::DeleteTopic { topic: id(number) });
    }
    assert_eq!(restored.topics().name_of(id(1)), None);
}

#[test]
fn a_state_from_before_names_of_deleted_topics_were_kept_is_read() {
    let mut metadata = cluster(1);
    create(&mut metadata, topic(1, "orders", 1)).unwrap();
    let now = encoded(&metadata);
    // The version in front; behind, from where names are kept, and how many there are: a byte each.
    let before = [&[1], &now[1..now.len() - 2]].concat();
    let read = Metadata::decode(&mut before.into()).unwrap();
    assert_eq!(read.deleted_names_from(), metadata.applied());
    metadata.forget_deleted_names();
    assert_eq!(read, metadata);
}

#[test]
fn a_state_with_a_topic_twice_is_refused() {
    let mut metadata = cluster(2);
    create(&mut metadata, topic(1, "once", 1)).unwrap();
    let state = encoded(&metadata);
    let topic_at = state.windows(4).position(|text| text == b"once").expect("its name") - 17;
    // the count of topics is one byte in front of the first
    assert_eq!(state[topic_at - 1], 1);
    // behind it are four counts of nothing, and a log index
    let topic = &state[topic_at..state.len() - 5];
    let twice = [&state[..topic_at - 1], &[2], topic, &state[topic_at..]].concat();
    assert!(matches!(Metadata::decode(&mut twice.into()), Err(DecodeError::Range(_))));
}

#[test]
fn a_consumer_group_stays_where_it_was_placed_until_it_is_forgotten() {
    let mut metadata = cluster(2);
    let homes = ["a", "b", "c", "b"].map(|group| place(&mut metadata, group, u32::MAX).unwrap().0);
    assert_eq!(homes, [1, 2, 1, 2]);
    let forget = MetadataCommand::ForgetGroup { group: "b".to_owned() };
    assert_eq!(metadata.apply(AT, &forget), MetadataOutcome::GroupForgotten(true));
    assert_eq!(metadata.apply(AT, &forget), MetadataOutcome::GroupForgotten(false));
    assert_eq!(metadata.placed_group("b"), None);
    assert_eq!(metadata.placed_groups().collect::<BTreeMap<_, _>>().len(), 2);
    assert_eq!(place(&mut Metadata::new(), "x", 1), Err(NotBootstrapped.into()));
}

#[test]
fn a_limit_on_groups_refuses_new_ones_and_leaves_those_that_are_there() {
    let mut metadata = cluster(2);
    assert_eq!(place(&mut metadata, "a", 2), Ok(RaftGroup(1)));
    assert_eq!(place(&mut metadata, "b", 2), Ok(RaftGroup(2)));
    let full = Err(PlaceGroupError::TooManyGroups { limit: 2 });
    assert_eq!(place(&mut metadata, "c", 2), full);
    assert_eq!(metadata.placed_groups().len(), 2);
    assert_eq!(place(&mut metadata, "b", 1), Ok(RaftGroup(2)), "a lower limit drives nobody out");
    metadata.apply(AT, &MetadataCommand::ForgetGroup { group: "b".to_owned() });
    assert_eq!(place(&mut metadata, "c", 2), Ok(RaftGroup(2)));
    assert_eq!(place(&mut metadata, &"x".repeat(1025), 9), Err(PlaceGroupError::NameTooLong(1025)));
    assert_eq!(place(&mut metadata, &"x".repeat(1024), 9), Ok(RaftGroup(1)));
}

#[test]
fn a_place_from_before_groups_were_bounded_is_read_without_a_limit() {
    let command = |kind: &[u8], behind: &[u8]| {
        MetadataCommand::decode(&mut [&[1], kind, &[1, b'g'], behind].concat().into()).unwrap()
    };
    let group = "g".to_owned();
    assert_eq!(command(&[8], &[]), MetadataCommand::PlaceGroup { group, groups_max: u32::MAX });
    assert!(matches!(command(&[10], &[5]), MetadataCommand::PlaceGroup { groups_max: 5, .. }));
}

#[test]
fn a_group_that_lost_its_overrides_is_not_kept_and_no_version_comes_twice() {
    let mut metadata = cluster(2);
    let mut apply = |index: u64, based_on: u64, pairs: &[(&str, &str)]| {
        let (scope, based_on) = (ConfigScope::Group("g".to_owned()), ConfigVersion(based_on));
        let at = ApplyContext { index: LogIndex(index), term: Term(1) };
        match metadata.apply(at, &MetadataCommand::SetConfigs { scope, based_on, configs: set(pairs) }) {
            MetadataOutcome::ConfigsSet(outcome) => (outcome, metadata.group_configs("g").is_some()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(apply(7, 0, &[("k", "1")]), (Ok(ConfigVersion(7)), true));
    assert_eq!(apply(8, 7, &[("k", "2")]), (Ok(ConfigVersion(8)), true));
    assert_eq!(apply(9, 8, &[]), (Ok(ConfigVersion(0)), false));
    assert_eq!(apply(10, 0, &[("k", "3")]), (Ok(ConfigVersion(10)), true));
    assert_eq!(apply(11, 8, &[("k", "4")]), (Err(SetConfigsError::Changed(ConfigVersion(10))), true));
}

fn place(metadata: &mut Metadata, group: &str, groups_max: u32) -> Result<RaftGroup, PlaceGroupError> {
    match metadata.apply(AT, &MetadataCommand::PlaceGroup { group: group.to_owned(), groups_max }) {
        MetadataOutcome::GroupPlaced(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_bootstrap_counts() {
    let mut metadata = cluster(3);
    let again =
        metadata.apply(AT, &MetadataCommand::Bootstrap { cluster_id: "other".to_owned(), data_groups: 9 });
    assert_eq!(again, MetadataOutcome::Bootstrapped { cluster_id: "c".to_owned(), data_groups: 3 });
    assert_eq!(metadata.data_groups().collect::<Vec<_>>(), [RaftGroup(1), RaftGroup(2), RaftGroup(3)]);
}

#[test]
fn topics_are_listed_by_name_and_in_pages() {
    let mut metadata = cluster(2);
    for (number, name) in ["c", "a", "d", "b"].into_iter().enumerate() {
        create(&mut metadata, topic(number as u128 + 1, name, 1)).unwrap();
    }
    let names =
        |topics: Vec<&Arc<Topic>>| topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>().join("");
    assert_eq!(names(metadata.topics().iter().collect()), "abcd");
    assert_eq!(names(metadata.topics().after("b").take(1).collect()), "c");
    assert_eq!(names(metadata.topics().after("bb").collect()), "cd");
}

fn configs() -> impl Strategy<Value = ConfigSet> {
    prop::collection::btree_map("[a-z.]{1,12}", ".{0,12}", 0..4)
}

fn commands() -> impl Strategy<Value = MetadataCommand> {
    let nodes = || prop::collection::vec((0..3).prop_map(NodeId), 0..3);
    let plan = prop_oneof![
        (-1..5, -1..3_i16).prop_map(|(count, replicas)| PartitionPlan::Count { count, replicas }),
        prop::collection::vec(nodes(), 0..4).prop_map(PartitionPlan::Assigned),
    ];
    let scope = prop_oneof![
        (0..8_u128).prop_map(|number| ConfigScope::Topic(id(number))),
        prop::option::of((0..3).prop_map(NodeId)).prop_map(ConfigScope::Broker),
        "[a-c]".prop_map(ConfigScope::Group),
    ];
    prop_oneof![
        ("[a-z]{0,4}", 0..5_u32)
            .prop_map(|(cluster_id, data_groups)| MetadataCommand::Bootstrap { cluster_id, data_groups }),
        (0..3, any::<u128>()).prop_map(|(node, directory)| MetadataCommand::RegisterNode {
            node: NodeId(node),
            directory: Uuid::from_u128(directory)
        }),
        (0..8_u128, "[a-c._]{0,3}", plan, configs()).prop_map(|(number, name, partitions, configs)| {
            MetadataCommand::CreateTopic(CreateTopic { id: id(number), name, partitions, configs, now: NOW })
        }),
        (0..8_u128).prop_map(|number| MetadataCommand::DeleteTopic { topic: id(number) }),
        (0..8_u128, 0..9, prop::option::of(prop::collection::vec(nodes(), 0..4))).prop_map(
            |(number, count, assigned)| MetadataCommand::CreatePartitions(CreatePartitions {
                topic: id(number),
                count,
                assigned
            })
        ),
        (scope, 0..3_u64, configs()).prop_map(|(scope, based_on, configs)| MetadataCommand::SetConfigs {
            scope,
            based_on: ConfigVersion(based_on),
            configs
        }),
        Just(MetadataCommand::AllocateProducerIds { node: NodeId(1) }),
        ("[a-e]", 1..6_u32).prop_map(|(group, groups_max)| MetadataCommand::PlaceGroup { group, groups_max }),
        "[a-e]".prop_map(|group| MetadataCommand::ForgetGroup { group }),
    ]
}

proptest! {
    #[test]
    fn a_restored_state_goes_on_as_if_nothing_had_happened(
        before in prop::collection::vec(commands(), 0..60),
        after in prop::collection::vec(commands(), 0..40),
    ) {
        let mut metadata = cluster(3);
        for command in &before {
            metadata.apply(AT, command);
        }
        let state = encoded(&metadata);
        let mut rest = state.clone();
        let mut restored = Metadata::decode(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&restored, &metadata);
        prop_assert_eq!(encoded(&restored), state);
        for command in &after {
            prop_assert_eq!(restored.apply(AT, command), metadata.apply(AT, command));
        }
        prop_assert_eq!(restored, metadata);
    }

    #[test]
    fn commands_come_back_from_their_bytes(list in prop::collection::vec(commands(), 1..6)) {
        let mut parts = Parts::new();
        for command in &list {
            let before = parts.len();
            command.encode(&mut parts);
            let bytes = parts.len() - before;
            prop_assert!(bytes <= command.size_bytes(), "{bytes} bytes, promised {}", command.size_bytes());
        }
        let mut bytes = parts.into_bytes();
        for command in &list {
            prop_assert_eq!(&MetadataCommand::decode(&mut bytes).unwrap(), command);
        }
        prop_assert!(bytes.is_empty());
    }

    #[test]
    fn damaged_bytes_are_errors_and_never_a_panic(
        list in prop::collection::vec(commands(), 1..20),
        flip in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut metadata = cluster(3);
        let mut parts = Parts::new();
        for command in &list {
            metadata.apply(AT, command);
            command.encode(&mut parts);
        }
        let state = encoded(&metadata);
        for intact in [parts.into_bytes(), state.clone()] {
            let mut damaged = intact.to_vec();
            let position = flip.index(damaged.len());
            damaged[position] ^= 1 << bit;
            let _ = Metadata::decode(&mut Bytes::from(damaged.clone()));
            let mut rest = Bytes::from(damaged);
            while !rest.is_empty() && MetadataCommand::decode(&mut rest).is_ok() {}
        }
        let mut short = state.slice(..cut.index(state.len()));
        prop_assert!(Metadata::decode(&mut short).is_err());
    }
}
