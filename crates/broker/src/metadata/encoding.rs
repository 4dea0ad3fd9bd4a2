//! The metadata state as bytes, for checkpoints. What can be counted again (load, name indexes) is not written.

use std::collections::BTreeMap;

use bytes::Bytes;
use tallymq_model::{LogIndex, NodeId, RaftGroup, Term};

use super::command::{ConfigVersion, put_configs, read_configs};
use super::deleted::DeletedNames;
use super::placement::Load;
use super::topic::Topic;
use super::{DATA_GROUPS_MAX, Metadata, Topics, VersionedConfigs};
use crate::codec::{DecodeError, Parts, Reader};

const STATE_VERSION: u8 = 2;
/// Before it, names of deleted topics were not kept.
const DELETED_NAMES_VERSION: u8 = 2;

impl Metadata {
    /// Appends the whole state to `out`. The same state gives the same bytes.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(STATE_VERSION);
        out.put_u64(self.applied.0);
        out.put_u64(self.term.0);
        out.put_option(self.cluster_id.as_deref(), Parts::put_text);
        out.put_u32(self.data_groups);
        out.put_i64(self.next_producer_id);
        out.put_length(self.nodes.len());
        for (node, directory) in &self.nodes {
            out.put_i32(node.0);
            out.put_uuid(*directory);
        }
        out.put_length(self.topics.len());
        for topic in self.topics.iter() {
            topic.encode(out);
        }
        out.put_length(self.broker_configs.len());
        for (node, held) in &self.broker_configs {
            out.put_option(*node, |out, node| out.put_i32(node.0));
            held.encode(out);
        }
        out.put_length(self.group_configs.len());
        for (group, held) in &self.group_configs {
            out.put_text(group);
            held.encode(out);
        }
        out.put_length(self.groups.len());
        for (group, placed) in &self.groups {
            out.put_text(group);
            out.put_u32(placed.0);
        }
        self.topics.deleted.encode(out);
    }

    /// Reads the state from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<Metadata, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let version = reader.version("the metadata state", STATE_VERSION)?;
        let applied = LogIndex(reader.u64("the applied index")?);
        let term = Term(reader.u64("the applied term")?);
        let cluster_id = reader.option("a cluster id", |reader| reader.text("a cluster id"))?;
        let data_groups = reader.u32("the number of data groups")?;
        if data_groups > DATA_GROUPS_MAX {
            return Err(DecodeError::Range("the number of data groups"));
        }
        let next_producer_id = reader.i64("the next producer id")?;
        let nodes = read_map(reader, "the nodes", |reader| {
            Ok((NodeId(reader.i32("a node id")?), reader.uuid("a directory id")?))
        })?;
        let mut topics = Topics::default();
        topics.open_groups(data_groups);
        for _ in 0..reader.count("the topics", 20)? {
            let topic = Topic::decode(reader)?;
            if topics.by_id(topic.id).is_some() || topics.by_name(&topic.name).is_some() {
                return Err(DecodeError::Range("a topic that is there twice"));
            }
            topics.restore(topic);
        }
        let broker_configs = read_map(reader, "broker configs", |reader| {
            let node = reader.option("a broker", |reader| reader.i32("a node id").map(NodeId))?;
            Ok((node, VersionedConfigs::decode(reader)?))
        })?;
        let group_configs = read_map(reader, "group configs", |reader| {
            Ok((reader.text("a group id")?, VersionedConfigs::decode(reader)?))
        })?;
        let groups = read_map(reader, "placed groups", |reader| {
            Ok((reader.text("a group id")?, RaftGroup(reader.u32("a group's place")?)))
        })?;
        topics.deleted = match version < DELETED_NAMES_VERSION {
            true => DeletedNames::none_up_to(applied),
            false => DeletedNames::decode(reader)?,
        };
        let mut group_load = Load::over(data_groups);
        groups.values().for_each(|&placed| group_load.add(placed));
        Ok(Metadata {
            applied,
            term,
            cluster_id,
            data_groups,
            nodes,
            topics,
            broker_configs,
            group_configs,
            next_producer_id,
            groups,
            group_load,
        })
    }
}

impl VersionedConfigs {
    fn encode(&self, out: &mut Parts) {
        out.put_u64(self.version.0);
        put_configs(out, &self.configs);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<VersionedConfigs, DecodeError> {
        let version = ConfigVersion(reader.u64("a config version")?);
        Ok(VersionedConfigs { configs: read_configs(reader)?, version })
    }
}

fn read_map<K: Ord, V>(
    reader: &mut Reader<'_>,
    what: &'static str,
    mut entry: impl FnMut(&mut Reader<'_>) -> Result<(K, V), DecodeError>,
) -> Result<BTreeMap<K, V>, DecodeError> {
    let count = reader.count(what, 2)?;
    (0..count).map(|_| entry(reader)).collect()
}
