//! What readers see of the books of all data groups together, with topics by name: balances, alarms, and the trace of a
//! record through log and journal. Changes nothing but by the commands that a person asks for.

mod alarms;
mod balances;
mod class_name;
mod ended;
mod journal;
mod not_stored;
mod opening;
mod summary;
pub mod trace;

pub use alarms::{
    Acknowledged, AlarmFilter, AlarmId, AlarmIdError, AlarmRow, AlarmsReport, acknowledge, alarms,
};
pub use balances::{AccountFilter, AccountsReport, GroupTopic, PartitionAccount, accounts};
pub use class_name::{Classes, class_name};
pub use ended::{EndedAccount, EndedFilter, EndedReport, Stopping, ended};
pub use not_stored::{NotStored, PartitionNotStored, ShownBatches, TopicNotStored};
pub use opening::{OpenError, Opening, open};
pub(crate) use summary::summary;
pub use summary::{AccountSummary, GroupTopicRecords};
