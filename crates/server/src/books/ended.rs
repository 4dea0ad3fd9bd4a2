//! The accounts that have ended, by their last statements. These stand in the journals only, so those are read, newest first, until
//! there are enough, the journals begin, or the time is up; what was not looked at is said.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tallymq_broker::account::{CloseReason, Happening, JournalEvent};
use tallymq_broker::group::GroupId;
use tallymq_model::{Offset, RaftGroup, TopicId};
use tallymq_storage::log::PartitionLog;
use thiserror::Error;
use tokio::time::Instant;

use super::balances::{GroupTopic, PartitionAccount};
use super::journal;
use super::trace::{Rest, Window};
use crate::node::{DataHandle, Node};

/// Which endings.
#[derive(Clone, Debug)]
pub struct EndedFilter {
    /// Of this topic only: its name, also if it is deleted.
    pub topic: Option<String>,
    /// Of this group only.
    pub group: Option<String>,
    /// Partitions at most, over all groups, newest first; the rest is only said to be there.
    pub partitions_max: usize,
    /// Stop after so long.
    pub time_max: Duration,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct EndedReport {
    /// When this was read, in milliseconds.
    pub at: i64,
    /// Whether every equation that is shown came out.
    pub balanced: bool,
    /// Newest first.
    pub ended: Vec<EndedAccount>,
    /// There are more than were asked for.
    pub more: bool,
    /// Older events were trimmed from the journals, and the endings among them.
    pub trimmed: bool,
    /// Whether the journals were read as far as that takes. Otherwise the time was up, or they could not be read on.
    pub complete: bool,
    /// Endings before about this time, in milliseconds, may be missing; absent if all were looked at that there ever were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_since: Option<i64>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// What one group's account of one topic was when it ended: in those partitions where it ended at once.
#[derive(Debug, Serialize)]
pub struct EndedAccount {
    /// When, in milliseconds.
    pub ended_at: i64,
    /// Why: `group_deleted`, `position_deleted`, `topic_deleted` or `switched_off`.
    pub why: &'static str,
    /// Which topic of that name.
    pub topic_id: String,
    /// The topic is not there any more; one that is may have its name.
    pub topic_deleted: bool,
    /// Its last statement.
    #[serde(flatten)]
    pub account: GroupTopic,
}

/// The server is stopping.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the server is stopping")]
pub struct Stopping;

/// One account of one partition, and how it ended.
struct Ending {
    why: &'static str,
    group: GroupId,
    topic: TopicId,
    account: PartitionAccount,
}

/// When, and where in which journal. Endings of one journal have it in the order in which they came.
type Place = (i64, RaftGroup, Offset);

/// The newest endings. Invariant: no more than `max`.
struct Newest {
    max: usize,
    endings: BTreeMap<Place, Ending>,
    /// Some had no place.
    more: bool,
}

/// One journal on the way to its beginning.
struct Walker {
    id: RaftGroup,
    log: Arc<PartitionLog>,
    rest: Rest,
    /// The time of the oldest event that was looked at.
    back_to: Option<i64>,
    /// Nothing older is wanted.
    is_done: bool,
}

/// What a window of a journal had.
#[derive(Default)]
struct Found {
    endings: Vec<(Place, Ending)>,
    back_to: Option<i64>,
    bytes: usize,
    unreadable: Vec<String>,
    /// It could not be read to its end.
    is_broken: bool,
}

/// Reads them.
pub async fn ended(node: &Arc<Node>, filter: &EndedFilter) -> Result<EndedReport, Stopping> {
    let deadline = Instant::now() + filter.time_max;
    let mut newest = Newest { max: filter.partitions_max.max(1), endings: BTreeMap::new(), more: false };
    let mut walkers: Vec<Walker> = node.data_groups().filter_map(Walker::new).collect();
    let (mut complete, mut unreadable) = (true, Vec::new());
    // A window of each in turn.
    let mut turn = 0;
    while let Some(at) = next_turn(&walkers, turn) {
        turn = at + 1;
        let Some(window) = walkers[at].next() else { continue };
        if deadline <= Instant::now() {
            complete = false;
            break;
        }
        let found = walkers[at].read(node, filter, window).await?;
        complete &= !found.is_broken;
        found.unreadable.into_iter().for_each(|text| journal::cannot_read(&mut unreadable, text));
        let walker = &mut walkers[at];
        walker.rest.below = window.from;
        walker.back_to = found.back_to.or(walker.back_to);
        for (place, ending) in found.endings {
            // What is before it in its journal is older still.
            walker.is_done |= !newest.add(place, ending);
        }
    }
    let at = node.now().0;
    let known_since = walkers.iter().filter_map(|walker| walker.known_since(at)).chain(newest.from()).max();
    let trimmed = walkers.iter().any(|walker| walker.rest.log_start > Offset::ZERO);
    let more = newest.more;
    let ended = rows(node, newest);
    let balanced = ended.iter().all(|row| row.account.balanced);
    Ok(EndedReport { at, balanced, ended, more, trimmed, complete, known_since, unreadable })
}

/// The next walker from there on that is not done.
fn next_turn(walkers: &[Walker], from: usize) -> Option<usize> {
    let all = (from..walkers.len()).chain(0..from.min(walkers.len()));
    all.into_iter().find(|at| !walkers[*at].is_done)
}

impl Walker {
    fn new(handle: &DataHandle) -> Option<Walker> {
        let log = handle.view.journal()?;
        let (log_start, below) = log.bounds();
        let rest = Rest { log_start, below };
        Some(Walker { id: handle.id, log, rest, back_to: None, is_done: false })
    }

    /// None at the beginning.
    fn next(&mut self) -> Option<Window> {
        let window = self.rest.next(&self.log.segments(), &[], None);
        self.is_done = window.is_none();
        window
    }

    /// Looks into a window on a thread that may block, and pays for what came from files.
    async fn read(&self, node: &Arc<Node>, filter: &EndedFilter, window: Window) -> Result<Found, Stopping> {
        let is_in_memory = self.log.is_in_memory(window.from);
        let (id, log, filter, names) = (self.id, self.log.clone(), filter.clone(), node.clone());
        let reading = move || read_window(&log, window, |at, event| ending(&names, &filter, (id, at), event));
        let found = tokio::task::spawn_blocking(reading).await.map_err(|_| Stopping)?;
        if !is_in_memory {
            node.catchup.pay(found.bytes, node.startup.catchup_bytes_per_second).await;
        }
        Ok(found)
    }

    /// From when on its endings are known, if not from ever.
    fn known_since(&self, now: i64) -> Option<i64> {
        let is_whole = self.rest.log_start == Offset::ZERO && self.rest.below <= self.rest.log_start;
        (!is_whole).then(|| self.back_to.unwrap_or(now))
    }
}

fn read_window(
    log: &PartitionLog,
    window: Window,
    ending: impl Fn(Offset, JournalEvent) -> Option<(Place, Ending)>,
) -> Found {
    let mut found = Found::default();
    let mut at = window.from;
    while at < window.to {
        match journal::read(log, at) {
            Ok(piece) => {
                found.bytes += piece.bytes;
                found.unreadable.extend(piece.unreadable);
                let inside = piece.events.into_iter().filter(|(at, _)| (window.from..window.to).contains(at));
                for (at, event) in inside {
                    found.back_to.get_or_insert(event.at.0);
                    found.endings.extend(ending(at, event));
                }
                at = piece.next;
            }
            Err(text) => {
                found.unreadable.push(text);
                found.is_broken = true;
                break;
            }
        }
    }
    found
}

/// What an event says of an account that ended, if it is wanted.
fn ending(
    node: &Node,
    filter: &EndedFilter,
    (id, at): (RaftGroup, Offset),
    event: JournalEvent,
) -> Option<(Place, Ending)> {
    let Happening::Closed { why, statement } = event.what else { return None };
    let (tp, group) = (event.tp?, event.group?);
    let is_wanted = filter.group.as_deref().is_none_or(|wanted| wanted == group.as_str())
        && filter.topic.as_deref().is_none_or(|wanted| wanted == node.topic_name(tp.topic));
    if !is_wanted {
        return None;
    }
    let account = PartitionAccount::new(tp, &statement.last_view());
    Some(((event.at.0, id, at), Ending { why: reason(why), group, topic: tp.topic, account }))
}

/// One word, as a part of the interface.
fn reason(why: CloseReason) -> &'static str {
    match why {
        CloseReason::GroupDeleted => "group_deleted",
        CloseReason::PositionDeleted => "position_deleted",
        CloseReason::TopicDeleted => "topic_deleted",
        CloseReason::SwitchedOff => "switched_off",
    }
}

impl Newest {
    /// Adds one, and drops the oldest if there are too many; whether it has its place.
    fn add(&mut self, place: Place, ending: Ending) -> bool {
        self.endings.insert(place, ending);
        if self.endings.len() <= self.max {
            return true;
        }
        self.more = true;
        self.endings.pop_first().is_some_and(|(oldest, _)| oldest != place)
    }

    /// The oldest one's time, if there were older ones.
    fn from(&self) -> Option<i64> {
        self.endings.first_key_value().filter(|_| self.more).map(|((at, ..), _)| *at)
    }
}

/// What ended of one topic and group at once for one reason is one row. A partition that ended twice in that moment has two: a group
/// or topic that began again keeps other books.
fn rows(node: &Node, newest: Newest) -> Vec<EndedAccount> {
    let mut seen = BTreeMap::new();
    let mut rows = BTreeMap::new();
    for ((at, ..), ending) in newest.endings.into_iter().rev() {
        let Ending { why, group, topic, account } = ending;
        let lives: &mut usize = seen.entry((at, group.clone(), topic, why, account.partition)).or_default();
        let key = (Reverse(at), group.clone(), topic, why, *lives);
        *lives += 1;
        let row = rows.entry(key).or_insert_with(|| EndedAccount {
            ended_at: at,
            why,
            topic_id: topic.to_string(),
            topic_deleted: node.topic_by_id(topic).is_none(),
            account: GroupTopic::new(group, node.topic_name(topic)),
        });
        row.account.add(account);
    }
    let mut rows: Vec<EndedAccount> = rows.into_values().collect();
    for row in &mut rows {
        row.account.partitions.sort_by_key(|partition| partition.partition);
    }
    rows
}
