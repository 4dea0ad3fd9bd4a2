//! Keeps the accounts' journal below `account.journal.bytes`: whole segments of it go, oldest first, by command.

use std::time::Duration;

use tallymq_broker::{account::AccountCommand, data::DataCommand};
use tallymq_storage::log::retention;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::{DataHandle, Node};

/// How often the journals are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Looks again and again.
pub async fn keep_bounded(node: &Node) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for handle in node.data_groups() {
            trim(node, handle).await;
        }
    }
}

async fn trim(node: &Node, handle: &DataHandle) {
    let Some(log) = handle.view.journal() else { return };
    let (at, bytes_max) = (node.now(), node.startup.account_journal_bytes);
    let decided = retention::decide(&log.segments(), at, None, Some(bytes_max), log.log_start());
    // The last segment stays: it has the newest statements.
    let last = log.segments().last().map(|segment| segment.base);
    let Some(to) = decided.map(|to| last.map_or(to, |last| to.min(last))).filter(|to| *to > log.log_start())
    else {
        return;
    };
    tracing::info!(group = %handle.id, %to, "the accounts' journal is trimmed");
    match handle.propose(DataCommand::Account(AccountCommand::TrimJournal { to, at })).await {
        Ok(_) => node.files_given_up(),
        Err(error) => {
            tracing::warn!(%error, group = %handle.id, "the accounts' journal could not be trimmed")
        }
    }
}
