//! As fast as the broker acknowledges, with a bounded number of records in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::clock::{now_ns, seconds};
use crate::producer::{Counters, Sender};
use crate::{Measured, Producing};

pub fn run(
    bootstrap: &str,
    producing: &Producing,
    warm_up_s: f64,
    seconds_: f64,
    records: Option<u64>,
) -> Measured {
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let of_each = records.map_or(u64::MAX, |records| records / u64::from(producing.producers));
    let senders = (0..producing.producers)
        .map(|number| {
            let mut sender = Sender::connect(bootstrap, producing, number, &counters)?;
            let stop = Arc::clone(&stop);
            Ok(std::thread::spawn(move || {
                let mut left = of_each;
                while left > 0 && !stop.load(Ordering::Relaxed) {
                    sender.send(now_ns())?;
                    left -= 1;
                }
                sender.finish(Duration::from_secs(120))
            }))
        })
        .collect::<Result<Vec<_>, rdkafka::error::KafkaError>>()?;
    std::thread::sleep(Duration::from_secs_f64(warm_up_s));
    let (begin, before) = (now_ns(), counters.acked.load(Ordering::Relaxed));
    let end = begin + (seconds_ * 1e9) as u64;
    let enough = of_each.saturating_mul(u64::from(producing.producers));
    let answered = || counters.acked.load(Ordering::Relaxed) + counters.failed.load(Ordering::Relaxed);
    while now_ns() < end && answered() < enough {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (elapsed, acked) = (now_ns() - begin, counters.acked.load(Ordering::Relaxed) - before);
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().map_err(|_| "a producer thread panicked")??;
    }
    let bytes = acked * producing.record_bytes as u64;
    Ok(json!({
        "seconds": seconds(elapsed),
        "begin_ns": begin,
        "end_ns": begin + elapsed,
        "acked": acked,
        "failed": counters.failed.load(Ordering::Relaxed),
        "acked_in_all": counters.acked.load(Ordering::Relaxed),
        "messages_per_s": acked as f64 / seconds(elapsed),
        "megabytes_per_s": bytes as f64 / 1e6 / seconds(elapsed),
    }))
}
