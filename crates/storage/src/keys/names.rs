//! Where indexes of keys are: `keys/<topic id>/<partition>/<first offset, 20 digits>.keys`.

use tallymq_model::{Offset, TopicId, TopicPartition};

/// The directory above all.
pub(super) const KEYS: &str = "keys";

/// What a file in a partition's directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// An index.
    Index(Offset),
    /// One that was not finished, or postings on their way to be sorted: of no use once nobody builds it.
    Unfinished,
}

pub(super) fn topic_dir(topic: TopicId) -> String {
    format!("{KEYS}/{}", topic.0.as_hyphenated())
}

pub(super) fn partition_dir(tp: TopicPartition) -> String {
    format!("{KEYS}/{}/{}", tp.topic.0.as_hyphenated(), tp.partition.0)
}

pub(super) fn index(tp: TopicPartition, from: Offset) -> String {
    format!("{}/{:020}.keys", partition_dir(tp), from.0)
}

pub(super) fn unfinished(tp: TopicPartition, from: Offset) -> String {
    format!("{}/{:020}.keys.new", partition_dir(tp), from.0)
}

pub(super) fn sorting(tp: TopicPartition, from: Offset) -> String {
    format!("{}/{:020}.keys.sort", partition_dir(tp), from.0)
}

/// Reads a file's name back.
pub(super) fn parse_file(name: &str) -> Option<FileKind> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let from = Offset(digits.parse().ok()?);
    match extension {
        "keys" => Some(FileKind::Index(from)),
        "keys.new" | "keys.sort" => Some(FileKind::Unfinished),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::PartitionIndex;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn names_are_read_back() {
        let tp = TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(12) };
        let name = |path: String| path.rsplit_once('/').map(|(_, name)| parse_file(name));
        assert_eq!(name(index(tp, Offset(3))), Some(Some(FileKind::Index(Offset(3)))));
        assert_eq!(name(unfinished(tp, Offset(3))), Some(Some(FileKind::Unfinished)));
        assert_eq!(name(sorting(tp, Offset(3))), Some(Some(FileKind::Unfinished)));
        for other in ["3.keys", "00000000000000000003.log", "", "+0000000000000000003.keys"] {
            assert_eq!(parse_file(other), None, "{other}");
        }
    }
}
