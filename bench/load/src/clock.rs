//! CLOCK_MONOTONIC in nanoseconds, as the harness and other processes see it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

pub fn sleep_until(due_ns: u64) {
    std::thread::sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns())));
}

pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
