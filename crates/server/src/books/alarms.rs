//! The alarms of all data groups, and a person's word that they were seen. Alarms are numbered per data group, so a name
//! for people has both numbers.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tallymq_broker::account::{AccountCommand, AccountOutcome, Alarm, AlarmCause, Who};
use tallymq_broker::data::{DataCommand, DataOutcome};
use tallymq_consensus::ProposeError;
use tallymq_model::RaftGroup;
use thiserror::Error;

use super::class_name::class_name;
use crate::node::Node;

/// An alarm's name: data group, then its number there, as in `2-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlarmId {
    /// The data group.
    pub data_group: RaftGroup,
    /// The number inside it.
    pub number: u64,
}

/// Text that is no alarm's name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no alarm's id: those look like 2-17")]
pub struct AlarmIdError(String);

impl fmt::Display for AlarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.data_group, self.number)
    }
}

impl FromStr for AlarmId {
    type Err = AlarmIdError;

    fn from_str(text: &str) -> Result<AlarmId, AlarmIdError> {
        let parsed = text.split_once('-').and_then(|(group, number)| {
            Some(AlarmId { data_group: RaftGroup(group.parse().ok()?), number: number.parse().ok()? })
        });
        parsed.ok_or_else(|| AlarmIdError(text.to_owned()))
    }
}

/// Which alarms.
#[derive(Clone, Debug, Default)]
pub struct AlarmFilter {
    /// Of this topic only.
    pub topic: Option<String>,
    /// Of this group only.
    pub group: Option<String>,
}

/// All that nobody acknowledged yet.
#[derive(Debug, Serialize)]
pub struct AlarmsReport {
    /// Newest first.
    pub alarms: Vec<AlarmRow>,
    /// Alarms that there was no room for.
    pub overflow_alarms: u64,
    /// Their records.
    pub overflow_records: u64,
}

/// One loss.
#[derive(Debug, Serialize)]
pub struct AlarmRow {
    /// For `acknowledge`.
    pub id: String,
    /// When, in milliseconds.
    pub at: i64,
    /// The class that the records are in.
    pub class: &'static str,
    /// The group that never got them.
    pub group: String,
    /// The topic's name, which it keeps when it is deleted; its id if a thousand others were deleted after it.
    pub topic: String,
    /// The topic is not there any more; one that is may have its name.
    pub topic_deleted: bool,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset behind the last.
    pub to: i64,
    /// How many records; fewer than the offsets span if alarms were merged.
    pub records: u64,
    /// How many further alarms this one stands for.
    pub merged: u64,
    /// What made the loss, for people.
    pub cause: String,
    /// The member id; empty if there is none.
    pub member: String,
    /// The client id; empty if it is not known.
    pub client_id: String,
    /// The client's address; empty if it is not known.
    pub address: String,
    /// A crash may have taken marks of deliveries here.
    pub in_crash_window: bool,
}

/// Reads them.
pub fn alarms(node: &Node, filter: &AlarmFilter) -> AlarmsReport {
    let mut report = AlarmsReport { alarms: Vec::new(), overflow_alarms: 0, overflow_records: 0 };
    for handle in node.data_groups() {
        let found: Vec<Alarm> = {
            let state = handle.view.state();
            let alarms = state.accounts().alarms();
            report.overflow_alarms += alarms.overflow().alarms;
            report.overflow_records += alarms.overflow().records;
            let of_group =
                |alarm: &&Alarm| filter.group.as_deref().is_none_or(|group| group == alarm.group.as_str());
            alarms.iter().filter(of_group).cloned().collect()
        };
        report.alarms.extend(found.iter().map(|alarm| AlarmRow::new(node, handle.id, alarm)));
    }
    if let Some(topic) = &filter.topic {
        report.alarms.retain(|row| row.topic == *topic);
    }
    report.alarms.sort_by(|one, two| two.at.cmp(&one.at).then_with(|| one.id.cmp(&two.id)));
    report
}

/// What came of acknowledging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// How many alarms there were.
    pub alarms: u64,
    /// The ids that none of them had.
    pub missing: Vec<AlarmId>,
}

/// A person has seen these; all with None.
pub async fn acknowledge(
    node: &Node,
    ids: Option<&[AlarmId]>,
    by: &Who,
) -> Result<Acknowledged, ProposeError> {
    let mut done = Acknowledged { alarms: 0, missing: ids.unwrap_or_default().to_vec() };
    for handle in node.data_groups() {
        let ours = |ids: &[AlarmId]| -> Vec<u64> {
            ids.iter().filter(|id| id.data_group == handle.id).map(|id| id.number).collect()
        };
        let ids = ids.map(ours);
        let nothing_to_do = {
            let state = handle.view.state();
            let alarms = state.accounts().alarms();
            done.missing
                .retain(|id| id.data_group != handle.id || alarms.iter().all(|one| one.id != id.number));
            match &ids {
                Some(ids) => ids.is_empty(),
                None => alarms.iter().next().is_none() && alarms.overflow().alarms == 0,
            }
        };
        if nothing_to_do {
            continue;
        }
        let command = AccountCommand::AcknowledgeAlarms { ids, by: by.clone(), at: node.now() };
        if let DataOutcome::Account(AccountOutcome::Acknowledged { alarms }) =
            handle.propose(DataCommand::Account(command)).await?
        {
            done.alarms += alarms;
        }
    }
    Ok(done)
}

impl AlarmRow {
    fn new(node: &Node, data_group: RaftGroup, alarm: &Alarm) -> AlarmRow {
        let id = alarm.tp.topic;
        AlarmRow {
            id: AlarmId { data_group, number: alarm.id }.to_string(),
            at: alarm.at.0,
            class: class_name(alarm.class),
            group: alarm.group.to_string(),
            topic: node.topic_name(id),
            topic_deleted: node.topic_by_id(id).is_none(),
            partition: alarm.tp.partition.0,
            from: alarm.from.0,
            to: alarm.to.0,
            records: alarm.records,
            merged: alarm.merged,
            cause: cause(&alarm.cause),
            member: alarm.who.member().to_owned(),
            client_id: alarm.who.client_id().to_owned(),
            address: alarm.who.address().to_owned(),
            in_crash_window: alarm.in_crash_window,
        }
    }
}

/// As a person reads it.
fn cause(cause: &AlarmCause) -> String {
    match cause {
        AlarmCause::Commit { to } => format!("position {to} was committed"),
        AlarmCause::RetentionTime => "retention by age".to_owned(),
        AlarmCause::RetentionSize => "retention by size".to_owned(),
        AlarmCause::Unreadable { why } => format!("unreadable: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = AlarmId { data_group: RaftGroup(2), number: 17 };
        assert_eq!(id.to_string(), "2-17");
        assert_eq!("2-17".parse(), Ok(id));
        for text in ["", "2", "-17", "2-", "2-x", "a-1", "2-17-3"] {
            assert!(text.parse::<AlarmId>().is_err(), "{text}");
        }
    }
}
