//! The simulated world, a few seconds of it. `TALLYMQ_WORLD_SEEDS` sets how many seeds, `TALLYMQ_SEED` where to begin; the
//! binary `tallymq-world` is for long runs.

use std::collections::BTreeSet;

use tallymq_sim::world::{self, Mode, Outcome};

const SEEDS: u64 = 150;
const SEEDS_TWICE: u64 = 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs so many seeds, and how many there were.
fn run(mode: Mode) -> (u64, Outcome) {
    let (first, seeds) = (setting("TALLYMQ_SEED", 1), setting("TALLYMQ_WORLD_SEEDS", SEEDS));
    let mut total = Outcome::default();
    for seed in first..first + seeds {
        match world::run(seed, mode) {
            Ok(outcome) => total.add(outcome),
            Err(broken) => panic!("{broken}"),
        }
    }
    println!("{seeds} seeds: {total:?}");
    // A world in which nothing happens proves nothing.
    assert!(total.power_cuts >= seeds && total.acknowledged >= 20 * seeds, "{total:?}");
    assert!(total.checkpoints >= seeds && total.replayed >= 20 * seeds, "{total:?}");
    assert!(total.accounts >= 3 * seeds && total.processed >= 20 * seeds, "{total:?}");
    assert!(seeds < 50 || (total.unwitnessed > 0 && total.stops > 0), "{total:?}");
    (seeds, total)
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens() {
    let (seeds, total) = run(Mode::Sync);
    assert!(seeds < 50 || total.kills > 0, "{total:?}");
    assert_eq!(total.lost_unsynced, 0);
    assert!(
        seeds < 50 || (total.damage_refused > seeds / 2 && total.damage_reported > seeds / 10),
        "{total:?}"
    );
}

/// The control: a world that loses nothing without syncs would not notice if syncs were missing.
#[test]
fn async_loses_what_was_not_synced_and_nothing_else() {
    let (seeds, total) = run(Mode::Async);
    assert!(total.lost_unsynced >= seeds / 4, "{total:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for mode in [Mode::Sync, Mode::Async] {
        let mut traces = BTreeSet::new();
        for seed in 700_000..700_000 + SEEDS_TWICE {
            let outcome = world::run(seed, mode).unwrap_or_else(|broken| panic!("{broken}"));
            assert_eq!(world::run(seed, mode).unwrap(), outcome, "seed {seed}");
            traces.insert(outcome.trace);
        }
        assert_eq!(traces.len() as u64, SEEDS_TWICE, "other seeds, other traces");
    }
}
