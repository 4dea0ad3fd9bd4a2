//! Topics come and go, and records are deleted: what an administrator asks for, and what the node itself does so that the
//! data groups follow the metadata group.

use std::{collections::BTreeMap, sync::Arc};

use tallymq_broker::{
    data::{DataCommand, LogStartReason, MoveLogStart, OpenPartition},
    metadata::{CreateTopic, MetadataCommand, PartitionPlan, ProducerIdBlock},
};
use tallymq_model::{LeaderEpoch, NodeId, Offset, RaftGroup, Timestamp, TopicId};
use uuid::Uuid;

use super::{
    machine::Command,
    node::{DATA_GROUPS, Node},
    scene::{Place, Scene, Topic, Waiting},
    unsettled::Effect,
};
use crate::history::{Kind, Op};

const PROCESS: i64 = 1;
const TOPICS_MAX: usize = 5;
/// Above every offset.
const EVERYTHING: i64 = i64::MAX / 2;

/// The first commands of a cluster; harmless later.
pub(super) fn set_up(scene: &mut Scene) {
    let bootstrap = MetadataCommand::Bootstrap { cluster_id: "world".to_owned(), data_groups: DATA_GROUPS };
    scene.send(RaftGroup::METADATA, Command::Metadata(bootstrap), Waiting::Close);
    let register = MetadataCommand::RegisterNode { node: NodeId(0), directory: Uuid::from_u128(7) };
    scene.send(RaftGroup::METADATA, Command::Metadata(register), Waiting::Close);
}

pub(super) fn create_topic(scene: &mut Scene) {
    if scene.topics.values().filter(|topic| !topic.doomed).count() >= TOPICS_MAX {
        return;
    }
    let number = scene.number();
    let topic = TopicId(Uuid::from_u128(u128::from(number)));
    let name: Arc<str> = format!("topic-{number}").into();
    let create = CreateTopic {
        id: topic,
        name: name.to_string(),
        partitions: PartitionPlan::Count { count: 1 + scene.random.below(3) as i32, replicas: 1 },
        configs: BTreeMap::new(),
        now: Timestamp(0),
    };
    scene.topics.insert(topic, Topic { name, created: false, doomed: false, places: Vec::new() });
    let command = Command::Metadata(MetadataCommand::CreateTopic(create));
    scene.send(RaftGroup::METADATA, command, Waiting::Create { topic });
}

pub(super) fn allocate_ids(scene: &mut Scene) {
    let allocate = MetadataCommand::AllocateProducerIds { node: NodeId(0) };
    scene.send(RaftGroup::METADATA, Command::Metadata(allocate), Waiting::Ids);
}

/// A block of producer ids was handed out. An error says that part of it was handed out before.
pub(super) fn allocated(scene: &mut Scene, block: ProducerIdBlock) -> Result<(), String> {
    let below = std::mem::replace(&mut scene.promises.ids_below, block.first.0 + block.count);
    if block.first.0 < below {
        return Err(format!("producer ids from {} were handed out twice", block.first));
    }
    Ok(())
}

pub(super) fn delete_topic(scene: &mut Scene) {
    let Some(place) = scene.pick_place() else { return };
    let topic = place.tp.topic;
    let Some(known) = scene.topics.get_mut(&topic) else { return };
    known.doomed = true;
    for place in &known.places {
        scene.journal.position(PROCESS, (Op::Trim, Kind::Invoke), place.spot(), EVERYTHING, None);
    }
    scene.send(
        RaftGroup::METADATA,
        Command::Metadata(MetadataCommand::DeleteTopic { topic }),
        Waiting::Delete,
    );
}

pub(super) fn trim(node: &Node, scene: &mut Scene) {
    let Some(place) = scene.pick_place() else { return };
    let Some(log) = node.data(place.group).log(place.tp) else { return };
    let (start, end) = log.bounds();
    let to = start.0 + scene.random.below((end.0 - start.0) as u64 + 1) as i64;
    scene.journal.position(PROCESS, (Op::Trim, Kind::Invoke), place.spot(), to, None);
    let highest = scene.promises.trims.entry(place.tp).or_default();
    *highest = to.max(*highest);
    let moved = MoveLogStart {
        tp: place.tp,
        to: Offset(to),
        why: LogStartReason::DeleteRecords { by: "admin".to_owned() },
        now: Timestamp(0),
    };
    let waiting = Waiting::Trim { place: place.clone(), to };
    scene.send(place.group, Command::Data(DataCommand::MoveLogStart(moved)), waiting);
}

/// Lets the data groups follow: opens what a topic has, closes what no topic has. An error says which topic is lost.
pub(super) fn reconcile(node: &Node, scene: &mut Scene) -> Result<(), String> {
    let view = node.metadata();
    let state = view.state();
    for (id, topic) in &scene.topics {
        if topic.created && !topic.doomed && state.topics().by_id(*id).is_none() {
            return Err(format!("{} is lost", topic.name));
        }
    }
    for group in (1..=DATA_GROUPS).map(RaftGroup) {
        let mut wanted = Vec::new();
        for topic in state.topics().iter() {
            let ours = topic.topic_partitions().filter(|(_, of)| *of == group);
            wanted.extend(ours.map(|(tp, group)| Place { topic: topic.name.as_str().into(), tp, group }));
        }
        let view = node.data(group);
        let there = view.state();
        let mut orphans: Vec<_> = there.partitions().map(|(tp, _)| tp).collect();
        orphans.sort_unstable();
        orphans.retain(|tp| wanted.iter().all(|place| place.tp != *tp));
        wanted.retain(|place| !is_open(scene, place));
        if !wanted.is_empty() {
            let open = |place: &Place| OpenPartition { tp: place.tp, leader_epoch: LeaderEpoch(0) };
            let partitions = wanted.iter().map(open).collect();
            let command = Command::Data(DataCommand::OpenPartitions { partitions });
            scene.send(group, command, Waiting::Open { places: wanted });
        }
        if !orphans.is_empty() {
            let command = Command::Data(DataCommand::ClosePartitions { partitions: orphans });
            scene.send(group, command, Waiting::Close);
        }
    }
    Ok(())
}

fn is_open(scene: &Scene, place: &Place) -> bool {
    scene.topics.get(&place.tp.topic).is_some_and(|topic| topic.places.contains(place))
}

/// Partitions are there now, and are so from now on.
pub(super) fn opened(scene: &mut Scene, places: Vec<Place>) {
    for place in places {
        let Some(topic) = scene.topics.get_mut(&place.tp.topic) else { continue };
        topic.created = true;
        if topic.doomed {
            scene.journal.position(PROCESS, (Op::Trim, Kind::Invoke), place.spot(), EVERYTHING, None);
        }
        if !topic.places.contains(&place) {
            scene.unsettled.note(Effect::Opened { place: place.clone() });
            topic.places.push(place);
        }
    }
}

/// Records below `to` were deleted.
pub(super) fn trimmed(scene: &mut Scene, place: &Place, to: i64) {
    scene.journal.position(PROCESS, (Op::Trim, Kind::Ok), place.spot(), to, None);
}

/// All partitions that should be there, with their topics' names.
pub(super) fn standing(scene: &Scene) -> Vec<Place> {
    let topics = scene.topics.values().filter(|topic| !topic.doomed);
    topics.flat_map(|topic| topic.places.iter().cloned()).collect()
}
