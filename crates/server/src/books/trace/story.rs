//! What the journals say of some records: one pass over the journal of each data group that has one of them. What a trim, damage
//! or the time took is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymq_broker::account::{
    Account, Class, CloseReason, Happening, JournalEvent, Ledger, MergedInto, ReceiptOutcome, Witness,
};
use tallymq_broker::data::LogStartReason;
use tallymq_broker::group::GroupId;
use tallymq_broker::metadata::Topic;
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::log::PartitionLog;
use tokio::time::Instant;

use super::TraceError;
use super::answer::JournalRead;
use super::story_event::{GroupStory, StoryEvent};
use crate::books::{class_name, journal};
use crate::node::Node;

/// Events that are shown of one group.
const EVENTS_MAX: usize = 200;

/// What is known of one record.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) log: Vec<StoryEvent>,
    pub(super) groups: Vec<GroupStory>,
}

/// What one group did with a record, while the journal is read.
#[derive(Default)]
struct Track {
    shown: GroupStory,
    was_delivered: bool,
    is_passed: bool,
}

/// One record.
#[derive(Default)]
struct Place {
    groups: BTreeMap<GroupId, Track>,
    log: Vec<StoryEvent>,
    is_removed: bool,
}

type PlaceKey = (TopicPartition, Offset);

/// The stories of some records.
pub(super) struct Stories {
    data_groups: BTreeMap<RaftGroup, Vec<TopicPartition>>,
    places: BTreeMap<PlaceKey, Place>,
}

impl Stories {
    pub(super) fn new(node: &Node, topic: &Topic, places: &[PlaceKey]) -> Stories {
        let mut data_groups: BTreeMap<RaftGroup, Vec<TopicPartition>> = BTreeMap::new();
        for (tp, _) in places {
            let group = topic.group_of(tp.partition).filter(|group| node.data(*group).is_some());
            data_groups.entry(group.unwrap_or(RaftGroup::METADATA)).or_default().push(*tp);
        }
        data_groups.remove(&RaftGroup::METADATA);
        let places = places.iter().map(|key| (*key, Place::default())).collect();
        Stories { data_groups, places }
    }

    /// Reads the journals, and what the balances say now.
    pub(super) async fn read(
        &mut self,
        node: &Node,
        since: Option<i64>,
        deadline: Instant,
    ) -> Result<JournalRead, TraceError> {
        let mut read = JournalRead { complete: true, since, ..JournalRead::default() };
        for group in self.data_groups.keys().copied().collect::<Vec<_>>() {
            let Some(handle) = node.data(group) else { continue };
            if let Some(journal) = handle.view.journal() {
                self.read_journal(journal, since, deadline, &mut read).await?;
            }
            let state = handle.view.state();
            for ((tp, offset), place) in &mut self.places {
                let Some(ledger) = state.ledger(*tp) else { continue };
                for (group, account) in state.accounts().of_partition(*tp) {
                    let track = place.track(group);
                    track.shown.class = class_now(account, ledger, *offset);
                    track.shown.position = account.position().map(|position| position.0);
                }
            }
        }
        Ok(read)
    }

    async fn read_journal(
        &mut self,
        log: Arc<PartitionLog>,
        since: Option<i64>,
        deadline: Instant,
        read: &mut JournalRead,
    ) -> Result<(), TraceError> {
        let (log_start, log_end) = log.bounds();
        read.trimmed |= log_start > Offset::ZERO;
        let mut at = None;
        while at.is_none_or(|at| at < log_end) {
            if deadline <= Instant::now() {
                read.complete = false;
                return Ok(());
            }
            let log = log.clone();
            let reading = move || journal::read(&log, at.unwrap_or_else(|| journal::begin(&log, since)));
            match tokio::task::spawn_blocking(reading).await.map_err(|_| TraceError::Stopping)? {
                Ok(piece) => {
                    read.events += piece.events.len() as u64;
                    piece.events.iter().for_each(|(_, event)| self.feed(event));
                    // Damage hides nothing but what it took.
                    let unreadable = piece.unreadable.into_iter();
                    unreadable.for_each(|text| journal::cannot_read(&mut read.unreadable, text));
                    at = Some(piece.next);
                }
                Err(error) => {
                    read.complete = false;
                    journal::cannot_read(&mut read.unreadable, error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn feed(&mut self, event: &JournalEvent) {
        let Some(tp) = event.tp else { return };
        for ((_, offset), place) in self.places.range_mut((tp, Offset(i64::MIN))..=(tp, Offset(i64::MAX))) {
            match &event.group {
                Some(group) => place.track(group).feed(*offset, event),
                None => place.feed(*offset, event),
            }
        }
    }

    /// The story of the first place.
    pub(super) fn take_first(&mut self) -> Option<Story> {
        Some(self.places.pop_first()?.1.told())
    }

    /// The story of a record that was asked for.
    pub(super) fn take(&mut self, tp: TopicPartition, offset: Offset) -> (Vec<StoryEvent>, Vec<GroupStory>) {
        let story = self.places.remove(&(tp, offset)).unwrap_or_default().told();
        (story.log, story.groups)
    }
}

/// What an account says of an offset now.
fn class_now(account: &Account, ledger: Ledger, offset: Offset) -> Option<&'static str> {
    if offset < account.opened_at() || offset >= ledger.log_end {
        return None;
    }
    let found = account.intervals(ledger).find(|one| (one.from..one.to).contains(&offset));
    if let Some(class) = found.and_then(|interval| interval.mark.class()) {
        return Some(class_name(class));
    }
    let view = account.view(ledger);
    let is_certain = view.classes.of(Class::Withdrawn) == 0 && view.tallies.runs_folded == 0;
    Some(if is_certain { class_name(Class::Processed) } else { "settled" })
}

impl Place {
    fn track(&mut self, group: &GroupId) -> &mut Track {
        self.groups.entry(group.clone()).or_insert_with(|| {
            let shown = GroupStory { group: group.to_string(), ..GroupStory::default() };
            Track { shown, ..Track::default() }
        })
    }

    /// An event of the whole partition.
    fn feed(&mut self, offset: Offset, event: &JournalEvent) {
        let at = event.at.0;
        match &event.what {
            Happening::LogStart { to, why } if offset < *to && !self.is_removed => {
                self.is_removed = true;
                let why = match why {
                    LogStartReason::RetentionTime => "retention by age".to_owned(),
                    LogStartReason::RetentionSize => "retention by size".to_owned(),
                    LogStartReason::DeleteRecords { by } => format!("DeleteRecords by {by}"),
                };
                let removed = StoryEvent { to: Some(to.0), why: Some(why), ..StoryEvent::new(at, "removed") };
                self.log.push(removed);
            }
            Happening::Stored { who, connection, runs } => {
                if let Some(run) = runs.iter().find(|run| (run.from..run.to).contains(&offset)) {
                    let connection = Some(*connection);
                    let stored = StoryEvent::new(run.at.0, "stored").range(run.from.0, run.to.0).who(who);
                    self.log.push(StoryEvent { connection, ..stored });
                }
            }
            Happening::Withdrawn { from, to } if (*from..*to).contains(&offset) => {
                self.log.push(StoryEvent::new(at, "withdrawn").range(from.0, to.0));
            }
            Happening::Lost { from, to, why } if (*from..*to).contains(&offset) => {
                let why = Some(why.to_string());
                self.log.push(StoryEvent { why, ..StoryEvent::new(at, "lost").range(from.0, to.0) });
            }
            _ => {}
        }
    }

    fn told(self) -> Story {
        let groups = self.groups.into_values().map(|track| track.shown);
        // A group that only has an account elsewhere in the partition has nothing to tell.
        let groups = groups
            .filter(|group| group.class.is_some() || group.events.iter().any(|event| event.what != "opened"));
        Story { log: self.log, groups: groups.collect() }
    }
}

impl Track {
    /// An event of this group.
    fn feed(&mut self, offset: Offset, event: &JournalEvent) {
        let at = event.at.0;
        let about = |from: &Offset, to: &Offset| (*from..*to).contains(&offset);
        match &event.what {
            Happening::Opened { offset: opened, passed_to, who } => {
                self.is_passed = passed_to.is_some_and(|passed| passed > offset);
                let from = Some(opened.0);
                self.push(StoryEvent { from, ..StoryEvent::new(at, "opened").who(who) });
            }
            Happening::Delivered { from, to, witness, who, connection } if about(from, to) => {
                let what = if self.was_delivered { "redelivered" } else { "delivered" };
                self.was_delivered = true;
                let by = Some(match witness {
                    Witness::Exact => "exact",
                    Witness::Possible => "possible",
                });
                let connection = Some(*connection);
                let delivered = StoryEvent::new(at, what).range(from.0, to.0).who(who);
                self.push(StoryEvent { by, connection, ..delivered });
            }
            Happening::Committed { to, passed, by } => {
                let what = match (self.is_passed, *passed > offset) {
                    (false, true) if self.was_delivered => "acknowledged",
                    (false, true) => "passed",
                    (true, false) => "reset",
                    _ => return,
                };
                self.is_passed = *passed > offset;
                self.push(StoryEvent { to: Some(to.0), ..StoryEvent::new(at, what).committer(by) });
            }
            Happening::Refused { to, by } if offset < *to && !self.is_passed => {
                self.push(StoryEvent { to: Some(to.0), ..StoryEvent::new(at, "refused").committer(by) });
            }
            Happening::Settled { from, to, class } if about(from, to) => {
                let class = Some(class_name(*class));
                self.push(StoryEvent { class, ..StoryEvent::new(at, "settled").range(from.0, to.0) });
            }
            Happening::Receipt { from, to, outcome, who } if about(from, to) => {
                let what = match outcome {
                    ReceiptOutcome::Handled => "handled",
                    ReceiptOutcome::DeadLettered => "dead_lettered",
                };
                self.push(StoryEvent::new(at, what).range(from.0, to.0).who(who));
            }
            Happening::Merged { from, to, into } if about(from, to) => {
                let why = Some(merged(*into).to_owned());
                self.push(StoryEvent { why, ..StoryEvent::new(at, "merged").range(from.0, to.0) });
            }
            Happening::Statement(account) if self.shown.events.is_empty() => {
                self.is_passed = account.position().is_some_and(|position| position > offset);
            }
            Happening::Closed { why, .. } => {
                let why = Some(closed(*why).to_owned());
                self.push(StoryEvent { why, ..StoryEvent::new(at, "closed") });
                (self.was_delivered, self.is_passed) = (false, false);
            }
            _ => {}
        }
    }

    fn push(&mut self, event: StoryEvent) {
        if self.shown.events.len() < EVENTS_MAX {
            self.shown.events.push(event);
        } else {
            self.shown.more += 1;
        }
    }
}

fn merged(into: MergedInto) -> &'static str {
    match into {
        MergedInto::Possible => "to bound the account it counts as possibly delivered",
        MergedInto::Unwitnessed => "to bound the account it counts as unwitnessed",
        MergedInto::Counts => "to bound the account only its class is still counted",
    }
}

fn closed(why: CloseReason) -> &'static str {
    match why {
        CloseReason::GroupDeleted => "the group was deleted",
        CloseReason::PositionDeleted => "the group's position was deleted",
        CloseReason::TopicDeleted => "the topic was deleted",
        CloseReason::SwitchedOff => "accounts were switched off",
    }
}

#[cfg(test)]
mod tests {
    use tallymq_broker::account::{Committer, CommitterKind, Who};
    use tallymq_model::Timestamp;

    use super::*;

    fn event(at: i64, what: Happening) -> JournalEvent {
        JournalEvent { at: Timestamp(at), tp: None, group: None, what }
    }

    fn delivered(at: i64, from: i64, to: i64) -> JournalEvent {
        let (from, to, who) = (Offset(from), Offset(to), Who::new("m", "c", "127.0.0.1"));
        event(at, Happening::Delivered { from, to, witness: Witness::Exact, who, connection: 3 })
    }

    fn committed(at: i64, to: i64) -> JournalEvent {
        let by = Committer { kind: CommitterKind::Member, who: Who::new("m", "c", "127.0.0.1") };
        event(at, Happening::Committed { to: Offset(to), passed: Offset(to), by })
    }

    fn told(events: &[JournalEvent], offset: i64) -> Vec<(i64, &'static str)> {
        let mut track = Track::default();
        events.iter().for_each(|event| track.feed(Offset(offset), event));
        track.shown.events.iter().map(|event| (event.at, event.what)).collect()
    }

    #[test]
    fn a_record_is_delivered_acknowledged_and_after_a_reset_delivered_again() {
        let events =
            [delivered(1, 0, 10), committed(2, 10), committed(3, 0), delivered(4, 0, 4), committed(5, 4)];
        let all =
            [(1, "delivered"), (2, "acknowledged"), (3, "reset"), (4, "redelivered"), (5, "acknowledged")];
        assert_eq!(told(&events, 3), all);
        assert_eq!(told(&events, 4), all[..3], "the second time it came not so far");
        assert_eq!(told(&events, 10), [], "others are none of its business");
    }

    #[test]
    fn a_position_that_passes_what_nobody_got_acknowledges_nothing() {
        let settled = Happening::Settled { from: Offset(0), to: Offset(5), class: Class::Skipped };
        assert_eq!(told(&[committed(1, 5), event(1, settled)], 2), [(1, "passed"), (1, "settled")]);
    }

    #[test]
    fn the_first_removal_is_told() {
        let removed =
            |at, to| event(at, Happening::LogStart { to: Offset(to), why: LogStartReason::RetentionTime });
        let mut place = Place::default();
        for event in [removed(1, 3), removed(2, 9), removed(3, 12)] {
            place.feed(Offset(5), &event);
        }
        let told: Vec<_> = place.log.iter().map(|event| (event.at, event.what, event.to)).collect();
        assert_eq!(told, [(2, "removed", Some(9))]);
    }
}
