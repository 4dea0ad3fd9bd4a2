//! Tests of the whole: the source tree's own rules and the binary from outside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod account;
mod account_trim;
mod audit;
mod broker;
mod closed_output;
mod commands;
mod demo;
mod dlq;
mod doctor;
mod older_brokers;
mod openapi;
mod operating;
mod recorded;
mod serving;
mod swallowing;
mod tidy;
mod trace;
mod verify;
