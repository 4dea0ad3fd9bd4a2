//! The trace of one message: when it was stored, and what the journal says became of it, group by group. Found by its
//! place, or searched for newest first; a search is bounded in time and says how far it came. Changes nothing.
//!
//! ```text
//!  Question ─► search: logs, backwards, window by window ─► Hit ─► StoredRecord
//!              (scan: a window read, or looked up)          └───► story: one pass over the journals of the hits
//! ```

mod answer;
mod matching;
mod resume;
mod scan;
mod search;
mod stored;
mod story;
mod story_event;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use tallymq_broker::metadata::Topic;
use tallymq_model::{Offset, PartitionIndex, TopicPartition};
use thiserror::Error;
use tokio::time::Instant;

pub use answer::{Bounds, JournalRead, Neighbour, NotHere, Searched, Trace, TracedRecord};
pub use matching::Wanted;
pub use resume::Resume;
pub use stored::StoredRecord;
pub use story_event::{GroupStory, StoryEvent};

use crate::node::Node;
use scan::Hit;
pub(super) use scan::joined;
use search::Search;
use story::Stories;
pub(super) use windows::{Rest, Window};

/// Records in one answer at most.
pub const RECORDS_MAX: usize = 100;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The topic.
    pub topic: String,
    /// Which record.
    pub wanted: Wanted,
    /// In this partition only; for a key the one that its hash gives comes first.
    pub partition: Option<i32>,
    /// Records from this time on, in milliseconds.
    pub since: Option<i64>,
    /// Records before this time, in milliseconds.
    pub until: Option<i64>,
    /// Stop after so many records, newest first; at most [`RECORDS_MAX`].
    pub records_max: usize,
    /// Where an earlier search for the same has ended, to go on from there.
    pub resume: Option<Resume>,
    /// Stop after so long.
    pub time_max: Duration,
}

/// Why there is no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TraceError {
    /// There is no such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(String),
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The topic has other partitions than an earlier search went through.
    #[error("`resume` is of another search, or the topic has changed: begin anew")]
    UnfitResume,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Answers.
pub async fn trace(node: &Arc<Node>, question: &Question) -> Result<Trace, TraceError> {
    let deadline = Instant::now() + question.time_max;
    let topic =
        node.topic(&question.topic).ok_or_else(|| TraceError::UnknownTopic(question.topic.clone()))?;
    let partitions = partitions(&topic, question)?;
    let mut search = Search::new(node, &topic, &partitions, question)?;
    let hits = match question.wanted {
        Wanted::Place(offset) => search.read_one(partitions[0], offset).await?,
        _ => search.run(deadline).await?,
    };
    // Of a place that is not in the log (any more) the journal may still know.
    let mut places: Vec<(TopicPartition, Offset)> =
        hits.iter().map(|hit| (hit.tp, hit.record.offset)).collect();
    if let (Wanted::Place(offset), true) = (&question.wanted, places.is_empty()) {
        places.push((partitions[0], *offset));
    }
    // Who stored the newest records is not in the journal yet.
    crate::account::stored::write_down(node).await;
    let mut stories = Stories::new(node, &topic, &places);
    // A record that is named by its place may be of any age, and so may what became of it.
    let since = question.since.filter(|_| !matches!(question.wanted, Wanted::Place(_)));
    let journal = stories.read(node, since, deadline).await?;
    let not_here = hits.is_empty().then(|| search.not_here(question, stories.take_first()));
    let records = hits.iter().map(|hit| traced(node, &topic, &mut stories, hit)).collect();
    Ok(Trace { topic: topic.name.clone(), records, not_here, searched: search.searched, journal })
}

fn traced(node: &Node, topic: &Topic, stories: &mut Stories, hit: &Hit) -> TracedRecord {
    let (log, mut groups) = stories.take(hit.tp, hit.record.offset);
    groups.iter_mut().for_each(|group| group.retry_topics = retry_topics(node, topic, group));
    TracedRecord {
        partition: hit.tp.partition.0,
        offset: hit.record.offset.0,
        stored: StoredRecord::new(&hit.header, &hit.record),
        log,
        groups,
    }
}

/// Where a copy of the record may be that is to be tried again: the SDK then acknowledges the original without a receipt. Its names:
/// `orders.billing.retry-1` and so on.
fn retry_topics(node: &Node, topic: &Topic, story: &GroupStory) -> Vec<String> {
    let has = |wanted: &str| story.events.iter().any(|event| event.what == wanted);
    if !has("acknowledged") || has("handled") || has("dead_lettered") {
        return Vec::new();
    }
    let names = (1..).map(|level| format!("{}.{}.retry-{level}", topic.name, story.group));
    names.take_while(|name| node.topic(name).is_some()).collect()
}

/// The partitions to look into, the likeliest first; not empty.
fn partitions(topic: &Topic, question: &Question) -> Result<Vec<TopicPartition>, TraceError> {
    let all: Vec<TopicPartition> = topic.topic_partitions().map(|(tp, _)| tp).collect();
    let unknown = |partition| TraceError::UnknownPartition { topic: topic.name.clone(), partition };
    if let Some(partition) = question.partition {
        let found = all.iter().find(|tp| tp.partition == PartitionIndex(partition));
        return Ok(vec![*found.ok_or_else(|| unknown(partition))?]);
    }
    if all.is_empty() {
        return Err(unknown(0));
    }
    Ok(all)
}
