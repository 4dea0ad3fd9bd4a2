//! Sockets: listening, accepting, and moving bytes between a connection and its session. No API is known here.

pub mod accept;
pub mod budget;
pub mod connection;
pub mod listener;
pub mod per_address;
