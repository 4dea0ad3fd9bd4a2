//! The SDK against a real broker: the binary `tallymq serve`, killed and started again in the middle.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod between;
mod broker;
mod consuming;
mod copies;
mod dead_letters;
mod examples;
mod fallbacks;
mod process;
mod receipts;
mod sending;
mod sequences;
mod spooler;
mod spooling;
mod starting;
mod topic;
mod truncation;
mod unplaced;
mod waiting;
