//! Tests of the whole: the source tree's own rules and the binary from outside.

mod broker;
mod commands;
mod tidy;
mod verify;
