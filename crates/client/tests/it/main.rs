//! The SDK against a real broker: the binary `tallymq serve`, killed and started again in the middle.

mod broker;
mod consuming;
mod dead_letters;
mod process;
mod sending;
mod sequences;
mod spooling;
mod topic;
mod waiting;
