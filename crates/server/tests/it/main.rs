//! The server's integration tests, one binary: the real node behind its real listener, in this process, on ports that the
//! system chooses. Nothing here sleeps; what has to come is waited for. And whatever an
//! operator may write into a configuration.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod account_doubts;
mod account_moves;
mod account_not_stored;
mod accounts;
mod client;
mod consumers;
mod consuming;
#[cfg(debug_assertions)]
mod coordinating;
mod damage;
mod damaged_start;
mod describing;
mod disks;
mod ended;
mod groups;
mod hostile;
mod journal_damage;
mod offsets;
mod producing;
mod receipts;
mod repeated;
mod settings;
mod starting;
mod stopping;
mod topics;
mod traces;
mod world;
