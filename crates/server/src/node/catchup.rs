//! Slows down reads of what left memory to `catchup.read.bytes.per.second`, over all readers, so that reading old records
//! cannot take the disk from writing new ones.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// When the next byte may be read. The bytes of a read are paid for after it, by waiting before the answer.
#[derive(Default)]
pub struct CatchupPace {
    paid_until: Mutex<Option<Instant>>,
}

impl CatchupPace {
    /// Waits until `bytes` more are allowed at `bytes_per_second`; 0 is no limit.
    pub async fn pay(&self, bytes: usize, bytes_per_second: u64) {
        if bytes_per_second == 0 || bytes == 0 {
            return;
        }
        let cost = Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64);
        let until = {
            let mut paid_until = self.paid_until.lock();
            let from = paid_until.map_or_else(Instant::now, |until| until.max(Instant::now()));
            *paid_until.insert(from + cost)
        };
        sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_share_the_pace() {
        let pace = CatchupPace::default();
        let began = Instant::now();
        tokio::join!(pace.pay(500, 1000), pace.pay(500, 1000));
        assert_eq!(began.elapsed().as_secs(), 1);
        pace.pay(1 << 30, 0).await;
        assert_eq!(began.elapsed().as_secs(), 1, "0 is no limit");
    }
}
