//! The gateway's integration tests, one binary: the Kafka codec against another implementation, against hostile
//! bytes, and the connection session.

mod consumer_protocol;
mod defaults;
mod differential;
mod golden;
mod hostile;
mod memory;
mod session;
mod versions;

/// Counts what is allocated, for the tests in `memory.rs`.
#[global_allocator]
static ALLOCATED: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
