//! Where the files of a partition are: `topics/<topic id>/<partition>/<base offset, 20 digits>.log` and `.index`.

use tallymq_model::{Offset, PartitionIndex, TopicId, TopicPartition};
use uuid::Uuid;

/// The directory above all topics.
pub(super) const TOPICS: &str = "topics";

/// What a file in a partition's directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Record batches.
    Segment(Offset),
    /// The sparse index beside it.
    Index(Offset),
}

/// A topic's directory.
pub(super) fn topic_dir(topic: TopicId) -> String {
    format!("{TOPICS}/{}", topic.0.as_hyphenated())
}

/// A partition's directory.
pub(super) fn partition_dir(tp: TopicPartition) -> String {
    format!("{TOPICS}/{}/{}", tp.topic.0.as_hyphenated(), tp.partition.0)
}

/// A segment file.
pub(super) fn segment(tp: TopicPartition, base: Offset) -> String {
    format!("{}/{:020}.log", partition_dir(tp), base.0)
}

/// The index beside a segment file.
pub(super) fn index(tp: TopicPartition, base: Offset) -> String {
    format!("{}/{:020}.index", partition_dir(tp), base.0)
}

/// Reads a file's name back.
pub(super) fn parse_file(name: &str) -> Option<FileKind> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let base = Offset(digits.parse().ok()?);
    match extension {
        "log" => Some(FileKind::Segment(base)),
        "index" => Some(FileKind::Index(base)),
        _ => None,
    }
}

/// Reads a topic directory's name back; only the spelling that [`topic_dir`] writes.
pub(crate) fn parse_topic(name: &str) -> Option<TopicId> {
    let id = Uuid::try_parse(name).ok()?;
    (id.as_hyphenated().to_string() == name).then_some(TopicId(id))
}

/// Reads a partition directory's name back; only the spelling that [`partition_dir`] writes.
pub(crate) fn parse_partition(name: &str) -> Option<PartitionIndex> {
    let partition: i32 = name.parse().ok()?;
    (partition >= 0 && partition.to_string() == name).then_some(PartitionIndex(partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_not_taken_for_ours() {
        let tp = TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(12) };
        let path = segment(tp, Offset(345));
        let mut parts = path.split('/').skip(1);
        assert_eq!(parts.next().and_then(parse_topic), Some(tp.topic));
        assert_eq!(parts.next().and_then(parse_partition), Some(tp.partition));
        assert_eq!(parts.next().and_then(parse_file), Some(FileKind::Segment(Offset(345))));
        for name in [
            "345.log",
            "00000000000000000345.tmp",
            "+0000000000000000345.log",
            "99999999999999999999.log",
            "",
        ] {
            assert_eq!(parse_file(name), None, "{name}");
        }
        assert_eq!(parse_partition("007"), None);
        assert_eq!(parse_partition("-1"), None);
    }
}
