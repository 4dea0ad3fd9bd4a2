//! How long a large history takes: printed, and held to be valid. `TALLYMQ_CHECK_STEPS=600000` gives about a million
//! operations; the default fits the ordinary test run.

use std::time::Instant;

use tallymq_sim::history::{self, Allowances, Kind};

use crate::valid::Run;

#[test]
fn a_large_history_is_judged_in_linear_time() {
    let steps =
        std::env::var("TALLYMQ_CHECK_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(10_000);
    let history = Run::with_steps(1, steps).history;
    let operations = history.events.iter().filter(|event| event.kind != Kind::Invoke).count();
    let started = Instant::now();
    let report = history::check(&history, Allowances::default()).expect("a history");
    println!("{operations} operations checked in {:.2} s", started.elapsed().as_secs_f64());
    assert!(report.is_clean(), "{report}");
    assert!(report.counts.acknowledged > steps / 10, "{report}");
}
