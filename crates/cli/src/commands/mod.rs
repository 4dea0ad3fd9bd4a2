//! The subcommands, a file each.

pub mod account;
pub mod alarms;
pub mod audit;
pub mod bench;
pub mod completions;
pub mod consume;
pub mod demo;
pub mod dlq;
pub mod doctor;
pub mod group;
pub mod produce;
pub mod serve;
pub mod topic;
pub mod trace;
pub mod verify;
