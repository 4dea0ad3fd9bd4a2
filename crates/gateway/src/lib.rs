//! Protocol codecs and sessions, one folder per protocol: bytes in, typed requests out, typed responses in, bytes
//! out. No business rules, no socket, no clock, no thread, no randomness.

pub mod kafka;
