//! The encoding of group commands and of the durable groups, each with its format version. Knows no rule.

mod command;
mod state;
mod value;

const COMMAND_VERSION: u8 = 1;
const STATE_VERSION: u8 = 1;
