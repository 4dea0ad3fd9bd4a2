//! The gateway's integration tests, one binary: the Kafka codec against another implementation, against hostile
//! bytes, and the connection session.

mod compression;
mod consumer_protocol;
mod defaults;
mod differential;
mod golden;
mod hostile;
mod memory;
mod session;
mod versions;

/// Counts what is allocated, for the tests in `memory.rs` and `compression.rs`.
#[global_allocator]
static ALLOCATED: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Held by whoever measures: what others allocate meanwhile would count.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static MEASURING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    MEASURING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
