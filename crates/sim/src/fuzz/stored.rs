//! What is read back from a disk: commands, states and checkpoints of the broker, entries of the consensus log. What is
//! taken must come out the same when it is written and read again.

use bytes::Bytes;
use tallymq_broker::{
    Parts, config,
    data::{DataCommand, DataGroup},
    group::{GroupCommand, GroupId, MemberId, durable::ConsumerFact},
    metadata::{ConfigScope, ConfigVersion, CreatePartitions, Metadata, MetadataCommand},
};
use tallymq_consensus::{EntryId, stored_commands};
use tallymq_model::{LogIndex, NodeId, RaftGroup, Term, Timestamp, TopicId};
use tallymq_replica::decode_data_checkpoint;
use uuid::Uuid;

use super::Target;
use crate::world;

/// Worlds whose remains are the samples.
const WORLDS: std::ops::Range<u64> = 1..4;

fn commands(metadata: bool) -> Vec<Vec<u8>> {
    let all = WORLDS.flat_map(|seed| world::samples(seed).commands);
    let ours = all.filter(|(group, _)| (*group == RaftGroup::METADATA) == metadata);
    let mut ours: Vec<Vec<u8>> = ours.map(|(_, command)| command.to_vec()).collect();
    ours.sort();
    ours.dedup_by_key(|command| command.len());
    ours
}

fn states(metadata: bool) -> Vec<Vec<u8>> {
    let all = WORLDS.flat_map(|seed| world::samples(seed).states);
    let ours = all.filter(|(group, _)| (*group == RaftGroup::METADATA) == metadata);
    ours.map(|(_, state)| state.to_vec()).collect()
}

fn encoded(encode: impl FnOnce(&mut Parts)) -> Bytes {
    let mut parts = Parts::new();
    encode(&mut parts);
    parts.into_bytes()
}

pub(super) fn metadata_command() -> Target {
    let topic = TopicId(Uuid::from_u128(9));
    let configs = || [("retention.ms".to_owned(), "1000".to_owned())].into();
    let version = ConfigVersion(2);
    let more = [
        MetadataCommand::DeleteTopic { topic },
        MetadataCommand::CreatePartitions(CreatePartitions { topic, count: 4, assigned: None }),
        MetadataCommand::CreatePartitions(CreatePartitions {
            topic,
            count: 4,
            assigned: Some(vec![vec![NodeId(1)]]),
        }),
        MetadataCommand::SetConfigs {
            scope: ConfigScope::Topic(topic),
            based_on: version,
            configs: configs(),
        },
        MetadataCommand::SetConfigs {
            scope: ConfigScope::Broker(None),
            based_on: version,
            configs: configs(),
        },
        MetadataCommand::SetConfigs {
            scope: ConfigScope::Group("g".to_owned()),
            based_on: version,
            configs: configs(),
        },
        MetadataCommand::AllocateProducerIds { node: NodeId(3) },
        MetadataCommand::PlaceGroup { group: "group".to_owned(), groups_max: 100_000 },
        MetadataCommand::ForgetGroup { group: "group".to_owned() },
    ];
    let mut seeds = commands(true);
    seeds.extend(more.iter().map(|command| encoded(|out| command.encode(out)).to_vec()));
    let run = |input: &[u8]| {
        let mut bytes = Bytes::copy_from_slice(input);
        let Ok(command) = MetadataCommand::decode(&mut bytes) else { return false };
        let mut again = encoded(|out| command.encode(out));
        assert_eq!(MetadataCommand::decode(&mut again).as_ref(), Ok(&command), "reads back");
        true
    };
    Target { name: "metadata-command", seeds, run: Box::new(run) }
}

pub(super) fn data_command() -> Target {
    let group = || GroupId::from("group");
    let facts = vec![
        ConsumerFact::EpochAdvanced { epoch: 3, topics: vec![(TopicId(Uuid::from_u128(2)), 4)] },
        ConsumerFact::MemberLeft(MemberId::from("member")),
    ];
    let more = [
        GroupCommand::Created { group: group() },
        GroupCommand::ClassicAssigned { group: group(), generation: 3, assignments: Vec::new() },
        GroupCommand::ClassicMembersLeft { group: group(), members: vec![MemberId::from("member")] },
        GroupCommand::ConsumerChanged { group: group(), base: 4, facts },
        GroupCommand::Deleted { group: group() },
        GroupCommand::DeletePositions { group: group(), partitions: None },
    ];
    let mut seeds = commands(false);
    let more = more.into_iter().map(DataCommand::Group);
    let expire = DataCommand::ExpireProducers { idle_before: Timestamp(5) };
    seeds.extend(more.chain([expire]).map(|command| encoded(|out| command.encode(out)).to_vec()));
    seeds.extend(
        super::accounts::commands().iter().map(|command| encoded(|out| command.encode(out)).to_vec()),
    );
    let run = |input: &[u8]| {
        let mut bytes = Bytes::copy_from_slice(input);
        let Ok(command) = DataCommand::decode(&mut bytes) else { return false };
        let mut again = encoded(|out| command.encode(out));
        assert_eq!(DataCommand::decode(&mut again).as_ref(), Ok(&command), "reads back");
        true
    };
    Target { name: "data-command", seeds, run: Box::new(run) }
}

pub(super) fn metadata_state() -> Target {
    let run = |input: &[u8]| {
        let Ok(state) = Metadata::decode(&mut Bytes::copy_from_slice(input)) else { return false };
        let first = encoded(|out| state.encode(out));
        let again = Metadata::decode(&mut first.clone()).expect("what was written can be read");
        assert_eq!(encoded(|out| again.encode(out)), first, "the same state gives the same bytes");
        true
    };
    Target { name: "metadata-state", seeds: states(true), run: Box::new(run) }
}

pub(super) fn data_checkpoint() -> Target {
    let run = |input: &[u8]| {
        let Ok((state, _)) = decode_data_checkpoint(Bytes::copy_from_slice(input)) else { return false };
        let first = encoded(|out| state.encode(out));
        let again = DataGroup::decode(&mut first.clone()).expect("what was written can be read");
        assert_eq!(encoded(|out| again.encode(out)), first, "the same state gives the same bytes");
        true
    };
    Target { name: "data-checkpoint", seeds: states(false), run: Box::new(run) }
}

/// Where the entry of the samples stands.
const AT: EntryId = EntryId { term: Term(3), index: LogIndex(9) };

/// An entry as `docs/formats.md` draws it: version, kind, place, and a list of commands.
fn entry(kind: u8, commands: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![1, kind];
    bytes.extend(AT.term.0.to_be_bytes());
    bytes.extend(AT.index.0.to_be_bytes());
    if kind == 0 {
        return bytes;
    }
    bytes.extend((commands.len() as u32).to_be_bytes());
    commands.iter().for_each(|command| bytes.extend((command.len() as u32).to_be_bytes()));
    commands.iter().for_each(|command| bytes.extend(*command));
    bytes
}

pub(super) fn consensus_entry() -> Target {
    let seeds = (0..4).flat_map(|kind| [entry(kind, &[]), entry(kind, &[b"one", b"", b"three"])]).collect();
    let run = |input: &[u8]| stored_commands(Bytes::copy_from_slice(input), AT).is_ok();
    Target { name: "consensus-entry", seeds, run: Box::new(run) }
}

pub(super) fn config_value() -> Target {
    let keys: Vec<_> = config::broker_keys().collect();
    let texts =
        ["", "1", "-1", "true", "delete", "compact,delete", "0:1,2:3", "*", "9223372036854775807", "0.5"];
    let seeds = (0..keys.len().min(256))
        .flat_map(|at| texts.iter().map(move |text| [&[at as u8], text.as_bytes()].concat()))
        .collect();
    let run = move |input: &[u8]| {
        let Some((at, text)) = input.split_first() else { return false };
        let key = keys[usize::from(*at) % keys.len()];
        key.check(&String::from_utf8_lossy(text)).is_ok()
    };
    Target { name: "config-value", seeds, run: Box::new(run) }
}
