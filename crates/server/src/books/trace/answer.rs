//! The answer's shape. Only fields; how they are found is in the other rooms.

use serde::Serialize;

use super::stored::StoredRecord;
use super::story_event::{GroupStory, StoryEvent};

/// The answer.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// The topic.
    pub topic: String,
    /// What was found, newest first.
    pub records: Vec<TracedRecord>,
    /// What is known instead; absent if something was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_here: Option<NotHere>,
    /// How much was looked at.
    pub searched: Searched,
    /// How much of the journals was read.
    pub journal: JournalRead,
}

/// One record and what became of it.
#[derive(Debug, Serialize)]
pub struct TracedRecord {
    /// Where it is.
    pub partition: i32,
    /// Where in it.
    pub offset: i64,
    /// What the log says.
    pub stored: StoredRecord,
    /// What happened to it for all groups: removed, lost, withdrawn.
    pub log: Vec<StoryEvent>,
    /// What happened to it group by group.
    pub groups: Vec<GroupStory>,
}

/// Nothing was found.
#[derive(Debug, Serialize)]
pub struct NotHere {
    /// Why, as far as it is known.
    pub why: String,
    /// The partitions that were looked into.
    pub partitions: Vec<Bounds>,
    /// What happened at that place for all groups, if a place was asked for.
    pub log: Vec<StoryEvent>,
    /// What happened there group by group.
    pub groups: Vec<GroupStory>,
}

/// A partition, and what is next to the record that is not in it.
#[derive(Debug, Serialize)]
pub struct Bounds {
    /// The partition.
    pub partition: i32,
    /// The first offset that is kept.
    pub log_start: i64,
    /// The offset behind the last record.
    pub log_end: i64,
    /// The nearest record of the same producer with a lower sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Neighbour>,
    /// The nearest one with a higher sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Neighbour>,
}

/// A record next to the one that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// Its sequence.
    pub sequence: u64,
    /// Where it is.
    pub offset: i64,
    /// Its timestamp (that of its batch where that was not opened), in milliseconds.
    pub timestamp: i64,
}

/// How much a search looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Searched {
    /// Partitions.
    pub partitions: usize,
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// Bytes of batches.
    pub bytes: u64,
    /// Records that were looked up in indexes of keys, and only read where these say that the key may be.
    pub indexed_records: u64,
    /// Whether everything was looked at that could match. Otherwise the search came to its limit of time or records.
    pub complete: bool,
    /// The oldest timestamp that was looked at, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_to: Option<i64>,
    /// About how many bytes are left to look at, where it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_bytes: Option<u64>,
    /// Given back as the parameter of this name, the search goes on where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// How much of the journals was read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JournalRead {
    /// Events.
    pub events: u64,
    /// Whether it was read up to the end. Otherwise the time was up, or it could not be read on.
    pub complete: bool,
    /// Older events were trimmed: deliveries may be missing.
    pub trimmed: bool,
    /// Events from before this time, in milliseconds by the broker's clock, were not looked at, since a search was bounded so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Events that damage took: they are missing, and what is behind them was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}
