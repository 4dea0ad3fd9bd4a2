//! The encoding of group commands and of the durable groups, each with its format version. Knows no rule.

mod command;
mod state;
mod value;

/// 1 did not say who commits.
const COMMAND_VERSION: u8 = 2;
const STATE_VERSION: u8 = 1;
