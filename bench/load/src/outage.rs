//! One record every 5 ms through an outage; reports the longest silence between two acks.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::clock::{now_ns, seconds, sleep_until};
use crate::producer::{Counters, Sender};
use crate::{Measured, Producing};

const INTERVAL_NS: u64 = 5_000_000;
/// Silences from here on are told at once: `resumed` on standard output.
const NOTABLE_NS: u64 = 200_000_000;

/// Runs until standard input ends. Prints `sending` after the first ack and `resumed` after a silence.
pub fn run(bootstrap: &str, producing: &Producing) -> Measured {
    let counters = Arc::new(Counters::default());
    let mut sender = Sender::connect(bootstrap, producing, 0, &counters)?;
    let stop = Arc::new(AtomicBool::new(false));
    let setter = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest); // an error is an end too
        setter.store(true, Ordering::Relaxed);
    });
    let (mut acked, mut last_ack) = (0_u64, None);
    let (mut silence_begin, mut silence_end) = (0_u64, 0_u64);
    let mut due = now_ns();
    while !stop.load(Ordering::Relaxed) {
        sender.send(now_ns())?;
        due += INTERVAL_NS;
        while now_ns() < due {
            let (now, count) = (now_ns(), counters.acked.load(Ordering::Relaxed));
            if count > acked {
                match last_ack {
                    None => println!("sending"),
                    Some(last) if now - last > silence_end - silence_begin => {
                        (silence_begin, silence_end) = (last, now);
                        if now - last > NOTABLE_NS {
                            println!("resumed");
                        }
                    }
                    Some(_) => {}
                }
                (acked, last_ack) = (count, Some(now));
            }
            sleep_until(now + 500_000);
        }
    }
    sender.finish(Duration::from_secs(60))?;
    Ok(json!({
        "last_ack_before_ns": silence_begin,
        "first_ack_after_ns": silence_end,
        "silence_s": seconds(silence_end - silence_begin),
        "acked": counters.acked.load(Ordering::Relaxed),
        "failed": counters.failed.load(Ordering::Relaxed),
    }))
}
