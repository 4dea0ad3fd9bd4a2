//! The rules of the broker crate, each against what it promises.
#![allow(missing_docs, clippy::unwrap_used)]

mod account_bounds;
mod account_bytes;
mod account_journal;
mod account_model;
mod account_scenarios;
mod account_world;
mod admission;
mod batches;
mod configuration;
mod data_group;
mod dedup;
mod group_assignors;
mod group_bounds;
mod group_classic;
mod group_consumer;
mod group_histories;
mod group_migration;
mod group_positions;
mod group_static;
mod group_world;
mod metadata;
mod settings_page;
