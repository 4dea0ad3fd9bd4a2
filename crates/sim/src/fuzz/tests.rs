//! Each fuzz target, briefly: no panic, bounded memory; and that the fuzzer would notice.

use std::sync::{Arc, Mutex};

use peak_alloc::PeakAlloc;

use super::{Fuzzer, MEMORY_BYTES_MAX, TARGETS, Target, find};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Memory is counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const RUNS: u64 = 200;

fn feed(target: Target) -> (u64, u64) {
    let runs = RUNS.max(target.seeds.len() as u64 + RUNS / 2);
    let mut fuzzer = Fuzzer::new(target, 1, &ALLOCATED);
    for _ in 0..runs {
        fuzzer.step().unwrap_or_else(|finding| panic!("{finding}: {:?}", finding.input));
    }
    (fuzzer.runs, fuzzer.taken)
}

#[test]
fn every_target_survives_and_takes_its_samples() {
    let _alone = ALONE.lock();
    for (name, make) in TARGETS {
        let target = make();
        assert_eq!(target.name, name);
        assert!(!target.seeds.is_empty(), "{name} has samples");
        let (runs, taken) = feed(target);
        assert!(taken > 0, "{name}: none of {runs} inputs was taken");
    }
}

fn broken(run: impl Fn(&[u8]) -> bool + 'static) -> Target {
    Target { name: "broken", seeds: vec![vec![1, 2, 3]], run: Box::new(run) }
}

#[test]
fn a_panic_and_a_bomb_are_found_with_their_input() {
    let _alone = ALONE.lock();
    let mut panics = Fuzzer::new(broken(|input| input.first() != Some(&7) || panic!("seven")), 1, &ALLOCATED);
    let finding = (0..100_000).find_map(|_| panics.step().err()).expect("found");
    assert_eq!((finding.input[0], &finding.what[..]), (7, "panics: seven"));

    let bomb = |input: &[u8]| {
        let length = if input.len() > 4 { MEMORY_BYTES_MAX + 1 } else { 1 };
        std::hint::black_box(Vec::<u8>::with_capacity(length)).capacity() > 0
    };
    let mut bombs = Fuzzer::new(broken(bomb), 1, &ALLOCATED);
    let finding = (0..100_000).find_map(|_| bombs.step().err()).expect("found");
    assert!(finding.input.len() > 4 && finding.what.contains("bytes of memory"), "{finding}");
}

#[test]
fn the_same_seed_feeds_the_same_inputs() {
    let _alone = ALONE.lock();
    let inputs = || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = seen.clone();
        let keeps = move |input: &[u8]| {
            keep.lock().unwrap().push(input.to_vec());
            input.len().is_multiple_of(2)
        };
        let mut fuzzer = Fuzzer::new(broken(keeps), 4, &ALLOCATED);
        (0..500).for_each(|_| fuzzer.step().unwrap());
        seen.lock().unwrap().clone()
    };
    assert_eq!(inputs(), inputs());
    assert!(find("wal").is_some() && find("nothing").is_none());
}
