//! A fixed rate, open loop: what is late is sent at once and counts from when it was due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;
use rdkafka::error::KafkaResult;
use serde_json::{Value, json};

use crate::clock::{now_ns, seconds, sleep_until};
use crate::producer::{Counters, Sender, latencies};
use crate::{Measured, Producing, topic};

type Pacer = JoinHandle<KafkaResult<Histogram<u64>>>;

/// Sends what is due, then waits for the next tick; 200 µs is far below what is measured.
const TICK_NS: u64 = 200_000;

fn pace(mut sender: Sender, interval_ns: f64, first_due_ns: u64, stop: Arc<AtomicBool>) -> Pacer {
    std::thread::spawn(move || {
        let mut sent = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            let now = now_ns();
            loop {
                let due = first_due_ns + (sent as f64 * interval_ns) as u64;
                if due > now || stop.load(Ordering::Relaxed) {
                    break;
                }
                sender.send(due)?;
                sent += 1;
            }
            let next = first_due_ns + (sent as f64 * interval_ns) as u64;
            sleep_until(next.max(now + TICK_NS));
        }
        sender.finish(Duration::from_secs(120))?;
        Ok(sender.take_latencies())
    })
}

fn start(
    bootstrap: &str,
    producing: &Producing,
    rate: u64,
    counters: &Arc<Counters>,
    stop: &Arc<AtomicBool>,
) -> KafkaResult<Vec<Pacer>> {
    let interval_ns = 1e9 * f64::from(producing.producers) / rate as f64;
    let begin = now_ns();
    (0..producing.producers)
        .map(|number| {
            let sender = Sender::connect(bootstrap, producing, number, counters)?;
            let shift = (interval_ns * f64::from(number) / f64::from(producing.producers)) as u64;
            Ok(pace(sender, interval_ns, begin + shift, Arc::clone(stop)))
        })
        .collect()
}

pub fn run(bootstrap: &str, producing: &Producing, rate: u64, warm_up_s: f64, seconds_: f64) -> Measured {
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let pacers = start(bootstrap, producing, rate, &counters, &stop)?;
    std::thread::sleep(Duration::from_secs_f64(warm_up_s));
    let begin = now_ns();
    counters.count_from_ns.store(begin, Ordering::Relaxed);
    let before = counters.acked.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs_f64(seconds_));
    let (elapsed, acked) = (now_ns() - begin, counters.acked.load(Ordering::Relaxed) - before);
    stop.store(true, Ordering::Relaxed);
    let mut all = latencies();
    for pacer in pacers {
        all.add(pacer.join().map_err(|_| "a producer thread panicked")??)?;
    }
    let mut measured = percentiles(&all);
    measured["seconds"] = json!(seconds(elapsed));
    measured["begin_ns"] = json!(begin);
    measured["end_ns"] = json!(begin + elapsed);
    measured["acked"] = json!(acked);
    measured["failed"] = json!(counters.failed.load(Ordering::Relaxed));
    measured["messages_per_s"] = json!(acked as f64 / seconds(elapsed));
    measured["megabytes_per_s"] =
        json!(acked as f64 * producing.record_bytes as f64 / 1e6 / seconds(elapsed));
    measured["held"] = json!(acked as f64 / seconds(elapsed) >= 0.99 * rate as f64);
    Ok(measured)
}

fn percentiles(latencies: &Histogram<u64>) -> Value {
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    json!({
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "p999_ms": at(0.999),
        "max_ms": latencies.max() as f64 / 1000.0,
        "latencies": latencies.len(),
    })
}

/// From the request that creates the topic to the end of the first second in which it took `rate`.
pub fn fresh(bootstrap: &str, producing: &Producing, rate: u64, config: &[String]) -> Measured {
    const STEP_NS: u64 = 50_000_000;
    const STEPS: usize = 20;
    let begin = now_ns();
    let _admin = topic::request(bootstrap, &producing.topic, producing.partitions, config)?;
    let created = now_ns() - begin;
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let sending = now_ns();
    let pacers = start(bootstrap, producing, rate, &counters, &stop)?;
    let mut counts = VecDeque::from([0_u64]);
    let mut took = None;
    for step in 1..=(120 * STEPS as u64) {
        sleep_until(sending + step * STEP_NS);
        let acked = counters.acked.load(Ordering::Relaxed);
        counts.push_back(acked);
        if counts.len() <= STEPS {
            continue;
        }
        let second_ago = counts.pop_front().expect("it holds more than a second");
        let due = rate * step * STEP_NS / 1_000_000_000;
        // At rate, and no more than half a second behind what was due.
        if acked - second_ago >= rate * 95 / 100 && due.saturating_sub(acked) <= rate / 2 {
            took = Some(now_ns() - begin);
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for pacer in pacers {
        pacer.join().map_err(|_| "a producer thread panicked")??;
    }
    let took = took.ok_or("the rate was not taken for a second within 120 s")?;
    Ok(json!({
        "created_s": seconds(created),
        // The second that proves it is not part of the delay.
        "at_rate_s": seconds(took.saturating_sub(1_000_000_000)),
        "failed": counters.failed.load(Ordering::Relaxed),
    }))
}
