//! Storage, tested from outside: disks against their contract, the log and what is behind it against power cuts,
//! failures and damage.

mod disk_contract;
mod wal_commit;
mod wal_damage;
mod wal_faults;
mod wal_model;
mod wal_power_cut;
mod wal_thread;
