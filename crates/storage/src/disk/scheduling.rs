//! How the kernel schedules a thread that must answer quickly on a busy machine: the one system call that no safe
//! wrapper offers. It changes the calling thread only, and asks for nothing that starves others: the lowest real-time
//! priority in turns, or else a short slice. And of one that has all the time in the world.
#![allow(unsafe_code)]

use std::io;

const SCHED_OTHER: u32 = 0;
const SCHED_RR: u32 = 2;
const SCHED_BATCH: u32 = 3;
/// The least of what a thread may ask for.
const NICE_MAX: i32 = 19;
/// The slice asked for where real-time priority is not allowed; the kernel's default is milliseconds.
const SLICE_NANOS: u64 = 100_000;

/// `struct sched_attr`, first version (`sched_setattr(2)`).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_nanos: u64,
    deadline_nanos: u64,
    period_nanos: u64,
}

/// Lets the calling thread run soon after it wakes, as far as that is allowed. Says what became of it.
pub fn schedule_promptly() -> String {
    let round_robin = Attributes { policy: SCHED_RR, priority: 1, ..Attributes::default() };
    let Err(refused) = set(round_robin) else {
        return "SCHED_RR, priority 1".to_owned();
    };
    let slice = Attributes { policy: SCHED_OTHER, runtime_nanos: SLICE_NANOS, ..Attributes::default() };
    match set(slice).and_then(|()| current()) {
        Ok(now) if now.runtime_nanos == SLICE_NANOS => format!("a slice of 100 µs (SCHED_RR: {refused})"),
        // Kernels before 6.12 take the slice and ignore it.
        _ => format!("the system's default (SCHED_RR: {refused})"),
    }
}

/// Lets the calling thread run only on what others leave, as far as the kernel offers that: it must hold nothing that others
/// wait for.
pub fn schedule_behind_others() -> io::Result<()> {
    set(Attributes { policy: SCHED_BATCH, nice: NICE_MAX, ..Attributes::default() })
}

fn set(attributes: Attributes) -> io::Result<()> {
    let attributes = Attributes { size: size_of::<Attributes>() as u32, ..attributes };
    // SAFETY: the pointer is to a live `sched_attr` of the size that it says; thread 0 is the calling one.
    let outcome = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn current() -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    let size = size_of::<Attributes>() as u32;
    // SAFETY: the pointer is to `size` writable bytes for which every value is valid; thread 0 is the calling one.
    let outcome = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    if outcome == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}
