//! Plays simulated machines, one out of each seed, on all cores until power was cut often enough.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

/// How many and from which seed on: `cuts` names the variable that sets how many, `TALLYMQ_SEED` where to begin.
pub fn play(cuts: &str, default: u64, run: impl Fn(u64) -> u64 + Sync) {
    let wanted = setting(cuts, default);
    let (next, done) = (AtomicU64::new(setting("TALLYMQ_SEED", 1)), AtomicU64::new(0));
    let one_after_the_other = || {
        while done.load(Relaxed) < wanted {
            let seed = next.fetch_add(1, Relaxed);
            match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(cuts) => drop(done.fetch_add(cuts, Relaxed)),
                Err(panic) => {
                    // One is enough.
                    done.store(wanted, Relaxed);
                    resume_unwind(panic);
                }
            }
        }
    };
    // With one core, and when a seed is to be seen again, there is nothing to share.
    let cores = thread::available_parallelism().map_or(1, usize::from).min(wanted as usize);
    thread::scope(|scope| {
        for _ in 1..cores {
            scope.spawn(one_after_the_other);
        }
        one_after_the_other();
    });
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
