//! The balances of all groups, by group, topic and partition. Each account is of one moment; different accounts may be
//! of different ones, since no lock is held for all of them.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tallymq_broker::account::{AccountView, Class, Interval, Tallies};
use tallymq_broker::group::GroupId;
use tallymq_model::{RaftGroup, Timestamp, TopicId, TopicPartition};

use super::class_name::{Classes, class_name};
use super::not_stored::{TopicNotStored, not_stored};
use crate::node::Node;

/// Accounts that are read under one lock.
const LOCKED_ACCOUNTS_MAX: usize = 128;
/// Intervals that are shown of one account.
const INTERVALS_MAX: usize = 100;

/// Which accounts.
#[derive(Clone, Debug)]
pub struct AccountFilter {
    /// Of this topic only.
    pub topic: Option<String>,
    /// Of this group only.
    pub group: Option<String>,
    /// Partitions at most, over all groups; the rest is only said to be there.
    pub partitions_max: usize,
}

/// All that was asked for.
#[derive(Debug, Serialize)]
pub struct AccountsReport {
    /// Whether accounts are kept.
    pub enabled: bool,
    /// When this was read, in milliseconds.
    pub at: i64,
    /// Whether the equations of all accounts that were asked for come out, also of those beyond `partitions_max`.
    pub balanced: bool,
    /// By group and topic.
    pub accounts: Vec<GroupTopic>,
    /// There are more than were asked for.
    pub more: bool,
    /// Accounts that did not open because there are too many.
    pub unopened: u64,
    /// Losses that nobody acknowledged, of all groups and topics.
    pub alarms: u64,
    /// How much of the journals is kept.
    pub journals: Vec<JournalBounds>,
    /// What producers sent and was not stored, by topic; not if one group was asked for.
    pub not_stored: Vec<TopicNotStored>,
}

/// One group's account of one topic.
#[derive(Debug, Serialize)]
pub struct GroupTopic {
    /// The group.
    pub group: String,
    /// The topic's name, or its id if it is just being deleted.
    pub topic: String,
    /// Records stored since the accounts opened, counted by appends.
    pub stored: u64,
    /// What became of them.
    pub classes: Classes,
    /// Of those in flight: perhaps delivered to another group.
    pub possible: u64,
    /// Records with a receipt of their handler.
    pub handled: u64,
    /// What is counted beside the equation.
    pub tallies: ShownTallies,
    /// Whether all of its equations come out.
    pub balanced: bool,
    /// Partition by partition.
    pub partitions: Vec<PartitionAccount>,
}

/// One group's account of one partition.
#[derive(Debug, Serialize)]
pub struct PartitionAccount {
    /// The partition.
    pub partition: i32,
    /// The first offset that is accounted for.
    pub opened_at: i64,
    /// When it opened, in milliseconds.
    pub opened_time: i64,
    /// The position that was committed last since then.
    pub position: Option<i64>,
    /// Records stored since then, counted by appends.
    pub stored: u64,
    /// What became of them.
    pub classes: Classes,
    /// Of those in flight: perhaps delivered to another group.
    pub possible: u64,
    /// Records with a receipt of their handler.
    pub handled: u64,
    /// What is counted beside the equation.
    pub tallies: ShownTallies,
    /// Below this offset records are only counted.
    pub settled_to: i64,
    /// The offsets of what is exceptional, newest last.
    pub intervals: Vec<ShownInterval>,
    /// There are older intervals than those shown.
    pub more: bool,
    /// A crash may have taken marks of deliveries below an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_window: Option<ShownWindow>,
    /// Whether the equation comes out.
    pub balanced: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imbalances: Vec<String>,
}

/// Offsets of one class.
#[derive(Debug, Serialize)]
pub struct ShownInterval {
    /// The first offset.
    pub from: i64,
    /// The offset behind the last.
    pub to: i64,
    /// What they are.
    pub class: &'static str,
}

/// See [`tallymq_broker::account::CrashWindow`].
#[derive(Debug, Serialize)]
pub struct ShownWindow {
    /// The offset.
    pub below: i64,
    /// When the next leader began, in milliseconds.
    pub at: i64,
}

/// See [`Tallies`].
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ShownTallies {
    /// Records delivered again.
    pub redelivered: u64,
    /// Losses that were made good: delivered and acknowledged after all.
    pub recovered: u64,
    /// Commits of fenced members.
    pub refused: u64,
    /// Records whose class was blurred to keep the account bounded.
    pub merged_records: u64,
    /// Intervals whose offsets were forgotten for the same reason; their records still count.
    pub intervals_folded: u64,
}

/// What is kept of one data group's journal.
#[derive(Debug, Serialize)]
pub struct JournalBounds {
    /// The data group.
    pub data_group: u32,
    /// Its first event that is kept; above 0 the older ones were trimmed.
    pub from: i64,
    /// The number behind its last event.
    pub to: i64,
    /// Bytes.
    pub bytes: u64,
}

type Key = (GroupId, String, TopicPartition, RaftGroup);

/// Reads them. Takes as long as there are accounts, so it belongs on a thread that may block.
pub fn accounts(node: &Node, filter: &AccountFilter) -> AccountsReport {
    let mut report = AccountsReport::empty(node.now());
    let keys = keys(node, filter, &mut report);
    report.fill(keys, filter.partitions_max, |some| views(node, some));
    if filter.group.is_none() {
        report.not_stored = not_stored(node, wanted_topics(node, filter));
        for row in &mut report.not_stored {
            report.more |= row.partitions.len() > filter.partitions_max;
            row.partitions.truncate(filter.partitions_max);
        }
    }
    report
}

/// Whether a topic is asked for.
fn wanted_topics(node: &Node, filter: &AccountFilter) -> impl Fn(TopicId) -> bool + use<> {
    let wanted = filter.topic.as_deref().map(|name| node.topic(name).map(|topic| topic.id));
    move |topic| wanted.is_none_or(|wanted| wanted == Some(topic))
}

/// The names of the accounts that are wanted; notes on the way what the report says of all.
fn keys(node: &Node, filter: &AccountFilter, report: &mut AccountsReport) -> Vec<Key> {
    let is_wanted = wanted_topics(node, filter);
    let mut names: HashMap<TopicId, String> = HashMap::new();
    let mut name = |id: TopicId| names.entry(id).or_insert_with(|| node.topic_name(id)).clone();
    let mut keys = Vec::new();
    for handle in node.data_groups() {
        let journal = handle.view.journal();
        let partitions: Vec<TopicPartition> = {
            let state = handle.view.state();
            let accounts = state.accounts();
            report.enabled &= accounts.is_on();
            report.unopened += accounts.unopened();
            report.alarms += accounts.alarms().iter().count() as u64 + accounts.alarms().overflow().alarms;
            let (from, to) = state.journal_bounds();
            let bytes = journal.map_or(0, |log| log.size_bytes());
            report.journals.push(JournalBounds { data_group: handle.id.0, from: from.0, to: to.0, bytes });
            state.partitions().map(|(tp, _)| tp).filter(|tp| is_wanted(tp.topic)).collect()
        };
        for tp in partitions {
            // One partition per lock, since apply waits for it.
            let state = handle.view.state();
            let groups = state.accounts().of_partition(tp).map(|(group, _)| group);
            let is_wanted =
                |group: &&GroupId| filter.group.as_deref().is_none_or(|wanted| wanted == group.as_str());
            keys.extend(groups.filter(is_wanted).map(|group| (group.clone(), tp, handle.id)));
        }
    }
    let keys = keys.into_iter().map(|(group, tp, data_group)| (group, name(tp.topic), tp, data_group));
    keys.collect()
}

/// Some accounts, as far as they are still there.
fn views(node: &Node, keys: &[Key]) -> Vec<(Key, AccountView)> {
    let mut by_data_group: BTreeMap<RaftGroup, Vec<&Key>> = BTreeMap::new();
    for key in keys {
        by_data_group.entry(key.3).or_default().push(key);
    }
    let mut views = Vec::with_capacity(keys.len());
    for (data_group, keys) in by_data_group {
        let Some(handle) = node.data(data_group) else { continue };
        let state = handle.view.state();
        for key in keys {
            let account = state.accounts().account(key.2, &key.0);
            if let (Some(account), Some(ledger)) = (account, state.ledger(key.2)) {
                views.push((key.clone(), account.view(ledger)));
            }
        }
    }
    views.sort_by(|(one, _), (two, _)| one.cmp(two));
    views
}

impl AccountsReport {
    fn empty(at: Timestamp) -> AccountsReport {
        AccountsReport {
            enabled: true,
            at: at.0,
            balanced: true,
            accounts: Vec::new(),
            more: false,
            unopened: 0,
            alarms: 0,
            journals: Vec::new(),
            not_stored: Vec::new(),
        }
    }

    /// Shows the first accounts, and looks whether the equations come out of all.
    fn fill(
        &mut self,
        mut keys: Vec<Key>,
        partitions_max: usize,
        views: impl Fn(&[Key]) -> Vec<(Key, AccountView)>,
    ) {
        keys.sort_unstable();
        self.more = keys.len() > partitions_max;
        let (shown, others) = keys.split_at(keys.len().min(partitions_max));
        let mut rows: BTreeMap<(GroupId, String), GroupTopic> = BTreeMap::new();
        for some in shown.chunks(LOCKED_ACCOUNTS_MAX) {
            for ((group, topic, tp, _), view) in views(some) {
                let row = rows
                    .entry((group.clone(), topic.clone()))
                    .or_insert_with(|| GroupTopic::new(group, topic));
                row.add(PartitionAccount::new(tp, &view));
            }
        }
        self.accounts = rows.into_values().collect();
        let is_balanced = |some: &[Key]| views(some).iter().all(|(_, view)| view.imbalances.is_empty());
        self.balanced = self.accounts.iter().all(|row| row.balanced)
            && others.chunks(LOCKED_ACCOUNTS_MAX).all(is_balanced);
    }
}

impl GroupTopic {
    pub(super) fn new(group: GroupId, topic: String) -> GroupTopic {
        GroupTopic {
            group: group.to_string(),
            topic,
            stored: 0,
            classes: Classes::default(),
            possible: 0,
            handled: 0,
            tallies: ShownTallies::default(),
            balanced: true,
            partitions: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, partition: PartitionAccount) {
        self.stored = self.stored.saturating_add(partition.stored);
        self.classes.0.merge(&partition.classes.0);
        self.possible += partition.possible;
        self.handled += partition.handled;
        self.tallies.add(&partition.tallies);
        self.balanced &= partition.balanced;
        self.partitions.push(partition);
    }
}

impl PartitionAccount {
    pub(super) fn new(tp: TopicPartition, view: &AccountView) -> PartitionAccount {
        let hidden = view.exceptional.len().saturating_sub(INTERVALS_MAX);
        PartitionAccount {
            partition: tp.partition.0,
            opened_at: view.opened_at.0,
            opened_time: view.opened_time.0,
            position: view.position.map(|position| position.0),
            stored: view.stored,
            classes: Classes(view.classes),
            possible: view.possible,
            handled: view.handled,
            tallies: ShownTallies::new(&view.tallies),
            settled_to: view.settled_to.0,
            intervals: view.exceptional[hidden..].iter().filter_map(ShownInterval::new).collect(),
            more: hidden > 0,
            crash_window: view.window.map(|window| ShownWindow { below: window.below.0, at: window.at.0 }),
            balanced: view.imbalances.is_empty(),
            imbalances: view.imbalances.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ShownInterval {
    fn new(interval: &Interval) -> Option<ShownInterval> {
        let class: Class = interval.mark.class()?;
        Some(ShownInterval { from: interval.from.0, to: interval.to.0, class: class_name(class) })
    }
}

impl ShownTallies {
    fn new(tallies: &Tallies) -> ShownTallies {
        ShownTallies {
            redelivered: tallies.redelivered,
            recovered: tallies.recovered,
            refused: tallies.refused,
            merged_records: tallies.merged_records,
            intervals_folded: tallies.runs_folded,
        }
    }

    fn add(&mut self, other: &ShownTallies) {
        self.redelivered += other.redelivered;
        self.recovered += other.recovered;
        self.refused += other.refused;
        self.merged_records += other.merged_records;
        self.intervals_folded += other.intervals_folded;
    }
}

#[cfg(test)]
mod tests {
    use tallymq_broker::account::{Counts, Imbalance};
    use tallymq_model::{Offset, PartitionIndex};

    use super::*;

    /// Accounts of as many partitions as `balanced` names, as they are shown and judged.
    fn report(balanced: &[bool], partitions_max: usize) -> AccountsReport {
        let tp = |number| TopicPartition { topic: TopicId::default(), partition: PartitionIndex(number) };
        let key = |number| ("g".into(), "t".to_owned(), tp(number), RaftGroup(1));
        let view = |key: &Key| {
            let is_balanced = balanced[key.2.partition.0 as usize];
            let imbalance = (!is_balanced).then_some(Imbalance::Sum { stored: 10, classes: 9 });
            let view = AccountView {
                opened_at: Offset::ZERO,
                opened_time: Timestamp(0),
                position: None,
                stored: 10,
                classes: Counts::default(),
                possible: 0,
                handled: 0,
                tallies: Tallies::default(),
                settled_to: Offset::ZERO,
                exceptional: Vec::new(),
                window: None,
                imbalances: imbalance.into_iter().collect(),
            };
            (key.clone(), view)
        };
        let mut report = AccountsReport::empty(Timestamp(0));
        let keys = (0..balanced.len() as i32).rev().map(key).collect();
        report.fill(keys, partitions_max, |some| {
            assert!(some.len() <= LOCKED_ACCOUNTS_MAX);
            some.iter().map(view).collect()
        });
        report
    }

    #[test]
    fn accounts_that_are_not_shown_have_to_come_out_too() {
        let shown = |report: &AccountsReport| report.accounts.iter().map(|row| row.partitions.len()).sum();
        for (last, shown_max) in [(false, 1), (true, 1), (false, 400), (true, 400)] {
            let mut balanced = [true; 300];
            balanced[299] = last;
            let report = report(&balanced, shown_max);
            let listed: usize = shown(&report);
            assert_eq!((report.balanced, listed, report.more), (last, shown_max.min(300), shown_max < 300));
        }
        assert!(!report(&[false, true], 1).balanced);
    }
}
