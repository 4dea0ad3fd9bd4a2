//! Sockets: listening, accepting, and moving bytes between a connection and its session. No API is known here.

pub mod accept;
pub mod connection;
mod ending;
pub mod listener;
mod output;
pub mod per_address;
