//! One record every 5 ms through an outage; tells of every silence between two acks that an outage may be.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::clock::{now_ns, sleep_until};
use crate::producer::{Counters, Sender};
use crate::{Measured, Producing};

const INTERVAL_NS: u64 = 5_000_000;
/// Silences from here on are told: the shortest outage is longer, most stalls of a disk are not.
const NOTABLE_NS: u64 = 50_000_000;

/// Runs until standard input ends. Prints `sending` after the first ack, and after a silence `resumed` with when it began
/// and ended.
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
    let mut due = now_ns();
    while !stop.load(Ordering::Relaxed) {
        sender.send(now_ns())?;
        due += INTERVAL_NS;
        while now_ns() < due {
            let (now, count) = (now_ns(), counters.acked.load(Ordering::Relaxed));
            if count > acked {
                match last_ack {
                    None => println!("sending"),
                    Some(last) if now - last > NOTABLE_NS => println!("resumed {last} {now}"),
                    Some(_) => {}
                }
                (acked, last_ack) = (count, Some(now));
            }
            sleep_until(now + 500_000);
        }
    }
    sender.finish(Duration::from_secs(60))?;
    Ok(json!({
        "acked": counters.acked.load(Ordering::Relaxed),
        "failed": counters.failed.load(Ordering::Relaxed),
    }))
}
