//! Tells on standard output how far a service is, so that whoever kills it can choose a moment by its progress.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So many steps make a line.
const STEPS: u64 = 50;

/// Counts what this process did.
#[derive(Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// So many more.
    pub fn add(&self, count: u64) {
        let before = self.0.fetch_add(count, Relaxed);
        let lines = (before + count) / STEPS - before / STEPS;
        if lines > 0 {
            println!("progress {}", lines * STEPS);
        }
    }
}
