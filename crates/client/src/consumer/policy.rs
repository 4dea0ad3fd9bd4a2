//! What follows a failed attempt: again in place, a retry topic, or the dead letters; and how those topics are called.
//! Pure.

use std::time::Duration;

/// Between two tries of a record whose time has not come: the first pause where retry topics say nothing of one, and the longest.
const NOT_NOW: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// No such pause is shorter, whatever was set: the end is not in sight.
const NOT_NOW_MIN: Duration = Duration::from_millis(5);

/// How failed records are tried again. A handler that knows that no attempt will help says so, and the record goes to the dead
/// letters at once.
///
/// ```no_run
/// use std::time::Duration;
/// use tallymq_client::{Cluster, Consumer, HandlerError, Order, Received, Retry, StartError};
///
/// # async fn start() -> Result<(), StartError> {
/// let in_order = Consumer::builder(Cluster::at("127.0.0.1:9092"), "ledger")
///     .topic("bookings")
///     .order(Order::Partition)
///     .retry(Retry::InPlace { first: Duration::from_millis(50), max: Duration::from_secs(10) })
///     .attempts_max(20)
///     .start(async |booking: Received| -> Result<(), HandlerError> {
///         let Some(value) = booking.value() else {
///             return Err(HandlerError::give_up("a booking without content"));
///         };
///         let cents: i64 = std::str::from_utf8(value)?.parse()?; // an error is tried again
///         println!("{}: {cents}", booking.position());
///         Ok(())
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Where they are: later records of the same key wait. Keeps the order.
    InPlace {
        /// The pause after the first failure; it doubles with each one.
        first: Duration,
        /// The longest pause.
        max: Duration,
    },
    /// On retry topics, one per level: later records of the same key go on meanwhile.
    Topics {
        /// The pause of each level; more failures than levels stay on the last.
        levels: Vec<Duration>,
    },
}

impl Retry {
    /// In place, from 100 ms up to 30 s.
    pub fn in_place() -> Retry {
        Retry::InPlace { first: NOT_NOW.0, max: NOT_NOW.1 }
    }

    /// On retry topics, with these pauses.
    pub fn topics(levels: impl IntoIterator<Item = Duration>) -> Retry {
        Retry::Topics { levels: levels.into_iter().collect() }
    }
}

/// What to do with a record whose attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Again { after: Duration },
    RetryTopic { level: usize, after: Duration },
    DeadLetter,
}

/// What follows the failed attempt number `attempt`, counted from 1.
pub(super) fn after_failure(retry: &Retry, attempts_max: u32, attempt: u32, gives_up: bool) -> Next {
    if gives_up || attempt >= attempts_max {
        return Next::DeadLetter;
    }
    match retry {
        Retry::InPlace { first, max } => Next::Again { after: doubled(*first, *max, attempt) },
        Retry::Topics { levels } => {
            let level = (attempt as usize).saturating_sub(1).min(levels.len().saturating_sub(1));
            match levels.get(level) {
                Some(after) => Next::RetryTopic { level, after: *after },
                None => Next::DeadLetter,
            }
        }
    }
}

/// The pause of a record whose handler said for the time number `times`, counted from 1, that its time has not come.
pub(super) fn not_now_pause(retry: &Retry, times: u32) -> Duration {
    let (first, max) = match retry {
        Retry::InPlace { first, max } => (*first, *max),
        Retry::Topics { .. } => NOT_NOW,
    };
    doubled(first.max(NOT_NOW_MIN), max.max(NOT_NOW_MIN), times)
}

fn doubled(first: Duration, max: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << (times.saturating_sub(1)).min(30)).min(max)
}

/// No record waits longer than this for its next attempt, whatever its header says: clocks differ, and anybody may write one.
pub(super) fn longest_pause(retry: &Retry) -> Duration {
    match retry {
        Retry::InPlace { .. } => Duration::ZERO,
        Retry::Topics { levels } => levels.iter().copied().max().unwrap_or_default(),
    }
}

/// The retry topic of a level, counted from 0: `orders.billing.retry-1`.
pub fn retry_topic(topic: &str, group: &str, level: usize) -> String {
    format!("{topic}.{group}.retry-{}", level + 1)
}

/// The topic that a retry topic of that group was made for, whichever its level.
pub(super) fn topic_of_retry<'a>(retry: &'a str, group: &str) -> Option<&'a str> {
    let (front, number) = retry.rsplit_once(".retry-")?;
    let topic = front.strip_suffix(group)?.strip_suffix('.')?;
    let level = number.parse::<usize>().ok()?.checked_sub(1)?;
    // Numbers can be written in other ways.
    (retry_topic(topic, group, level) == retry).then_some(topic)
}

/// The dead-letter topic of a topic and a group: `orders.billing.dead`.
pub fn dead_letter_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.dead")
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_in_place_double_up_to_their_bound() {
        let retry = Retry::InPlace { first: S, max: 5 * S };
        let pauses: Vec<Next> = (1..=5).map(|attempt| after_failure(&retry, 5, attempt, false)).collect();
        let again = |after| Next::Again { after };
        assert_eq!(pauses, [again(S), again(2 * S), again(4 * S), again(5 * S), Next::DeadLetter]);
        assert_eq!(after_failure(&retry, u32::MAX, 4_000_000_000, false), again(5 * S));
    }

    #[test]
    fn what_is_put_off_waits_longer_each_time_up_to_a_bound() {
        let in_place = Retry::InPlace { first: S, max: 3 * S };
        let pauses = [1, 2, 3, u32::MAX].map(|times| not_now_pause(&in_place, times));
        assert_eq!(pauses, [S, 2 * S, 3 * S, 3 * S]);
        assert_eq!(not_now_pause(&Retry::topics([]), 1), S / 10);
        assert_eq!(not_now_pause(&Retry::topics([S]), 99), 30 * S);
        let never = Retry::InPlace { first: Duration::ZERO, max: Duration::ZERO };
        assert_eq!(not_now_pause(&never, 1), NOT_NOW_MIN);
    }

    #[test]
    fn levels_are_climbed_and_the_last_is_kept() {
        let retry = Retry::topics([S, 10 * S]);
        let next: Vec<Next> = (1..=4).map(|attempt| after_failure(&retry, 4, attempt, false)).collect();
        let level = |level, after| Next::RetryTopic { level, after };
        assert_eq!(next, [level(0, S), level(1, 10 * S), level(1, 10 * S), Next::DeadLetter]);
    }

    #[test]
    fn only_retry_topics_make_a_record_wait_and_not_beyond_their_levels() {
        assert_eq!(longest_pause(&Retry::topics([S, 9 * S, 3 * S])), 9 * S);
        assert!(longest_pause(&Retry::topics([])).is_zero() && longest_pause(&Retry::in_place()).is_zero());
    }

    #[test]
    fn a_retry_topic_is_known_by_its_name() {
        for level in [0, 1, 99] {
            assert_eq!(topic_of_retry(&retry_topic("a.b", "c.d", level), "c.d"), Some("a.b"));
        }
        for other in
            ["a.g.retry-0", "a.g.retry-01", "a.g.retry-+1", "a.g.retry-", "a.h.retry-1", "ag.retry-1"]
        {
            assert_eq!(topic_of_retry(other, "g"), None, "{other}");
        }
    }

    #[test]
    fn giving_up_and_having_no_levels_end_at_once() {
        assert_eq!(after_failure(&Retry::in_place(), 9, 1, true), Next::DeadLetter);
        assert_eq!(after_failure(&Retry::topics([]), 9, 1, false), Next::DeadLetter);
    }
}
