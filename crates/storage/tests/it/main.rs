//! Storage, tested from outside: disks against their contract, the log and what is behind it against power cuts,
//! failures and damage.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoint_files;
mod disk_contract;
mod key_index;
mod log_damage;
mod log_faults;
mod log_meanwhile;
mod log_power_cut;
mod log_world;
mod power_cuts;
mod wal_commit;
mod wal_damage;
mod wal_faults;
mod wal_model;
mod wal_power_cut;
mod wal_thread;
