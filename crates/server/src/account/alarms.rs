//! Tells of losses once each: a line in the log that names what is known, and a count in the metrics. They stay in the account's
//! list until a person acknowledges them, which is not this room's business.

use std::{collections::BTreeMap, time::Duration};

use tallymq_broker::account::{Alarm, AlarmCause};
use tallymq_model::RaftGroup;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::Node;

/// How often new ones are looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Lines per data group and look; of more only the number is told.
const LINES_MAX: usize = 100;

/// Looks for new ones for as long as the node runs. Old ones, from before its start, are only counted.
pub async fn watch(node: &Node) {
    if !node.accounting.is_on() {
        return std::future::pending().await;
    }
    let mut told: BTreeMap<RaftGroup, u64> = BTreeMap::new();
    for handle in node.data_groups() {
        let state = handle.view.state();
        let alarms = state.accounts().alarms();
        told.insert(handle.id, alarms.last_id());
        let waiting = alarms.iter().count();
        if waiting > 0 {
            tracing::warn!(data_group = %handle.id, alarms = waiting, "losses that nobody has acknowledged yet");
        }
    }
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for handle in node.data_groups() {
            let last = told.entry(handle.id).or_default();
            let new: Vec<Alarm> = {
                let state = handle.view.state();
                let alarms = state.accounts().alarms();
                if alarms.last_id() == *last {
                    continue;
                }
                let new = alarms.since(*last).cloned().collect();
                *last = alarms.last_id();
                new
            };
            tell(node, &new);
        }
    }
}

fn tell(node: &Node, new: &[Alarm]) {
    for alarm in new {
        node.metrics.account.alarmed(alarm.class);
    }
    for alarm in new.iter().take(LINES_MAX) {
        tracing::error!(
            topic = node.topic_name(alarm.tp.topic),
            partition = alarm.tp.partition.0,
            from = alarm.from.0,
            to = alarm.to.0,
            records = alarm.records,
            group = %alarm.group,
            class = alarm.class.name(),
            cause = cause(&alarm.cause),
            member = alarm.who.member(),
            client_id = alarm.who.client_id(),
            address = alarm.who.address(),
            at_ms = alarm.at.0,
            "records were lost to a consumer group"
        );
    }
    if new.len() > LINES_MAX {
        tracing::error!(more = new.len() - LINES_MAX, "and more losses; see the list of alarms");
    }
}

fn cause(cause: &AlarmCause) -> String {
    match cause {
        AlarmCause::Commit { to } => format!("the position was committed at {to}, past them"),
        AlarmCause::RetentionTime => "retention by age".to_owned(),
        AlarmCause::RetentionSize => "retention by size".to_owned(),
        AlarmCause::Unreadable { why } => format!("unreadable: {why}"),
    }
}
