//! The copies of a failed record for retry and dead-letter topics, and back: payload and key untouched, the story in the
//! headers. Pure.

use std::time::Duration;

use super::received::Received;
use crate::{
    headers::{self, Header},
    record::Record,
};

/// A cause is cut after so many bytes: a header is no log file.
const CAUSE_BYTES_MAX: usize = 2048;

/// A failed attempt.
#[derive(Debug, Clone)]
pub(super) struct Failure<'a> {
    pub(super) group: &'a str,
    pub(super) cause: &'a str,
    pub(super) at_ms: i64,
}

/// The copy for a retry topic, to be tried after a pause.
pub(super) fn for_retry(
    received: &Received,
    failure: &Failure<'_>,
    topic: String,
    after: Duration,
) -> Record {
    let mut copy = copy(received, failure, topic);
    let due_ms = failure.at_ms.saturating_add(after.as_millis() as i64);
    headers::put(&mut copy.headers, headers::RETRY_AT, Some(due_ms.to_string()));
    copy
}

/// The copy for the dead letters.
pub(super) fn for_dead_letters(received: &Received, failure: &Failure<'_>, topic: String) -> Record {
    let mut copy = copy(received, failure, topic);
    headers::put(&mut copy.headers, headers::RETRY_AT, None);
    copy
}

/// The copy that goes back to its origin: attempts begin anew, where it was first stored stays known.
pub(crate) fn for_redrive(received: &Received, topic: String) -> Record {
    let mut copy = plain(received, topic);
    let redriven: u32 = headers::number(&copy.headers, headers::REDRIVEN).unwrap_or(0);
    for gone in [headers::ATTEMPTS, headers::CAUSE, headers::FAILED_AT, headers::RETRY_AT, headers::GROUP] {
        headers::put(&mut copy.headers, gone, None);
    }
    headers::put(&mut copy.headers, headers::REDRIVEN, Some(redriven.saturating_add(1).to_string()));
    copy
}

fn copy(received: &Received, failure: &Failure<'_>, topic: String) -> Record {
    let mut copy = plain(received, topic);
    for (name, value) in [
        (headers::ATTEMPTS, received.attempt().to_string()),
        (headers::CAUSE, shortened(failure.cause).to_owned()),
        (headers::FAILED_AT, failure.at_ms.to_string()),
        (headers::GROUP, failure.group.to_owned()),
    ] {
        headers::put(&mut copy.headers, name, Some(value));
    }
    copy
}

fn plain(received: &Received, topic: String) -> Record {
    let mut headers: Vec<Header> = received.headers().to_vec();
    let (origin, sequence) = (received.origin(), received.sequence());
    for (name, value) in [
        // A copy under the number of its original would look like a duplicate.
        (headers::PRODUCER, None),
        (headers::SEQUENCE, None),
        // What it says of an offset was said of another topic's.
        (headers::SETTLES, None),
        (headers::SETTLED_AS, None),
        (headers::ORIGIN_PRODUCER, sequence.map(|id| id.producer.to_string())),
        (headers::ORIGIN_SEQUENCE, sequence.map(|id| id.number.to_string())),
        (headers::ORIGIN_TOPIC, Some(origin.topic)),
        (headers::ORIGIN_PARTITION, Some(origin.partition.to_string())),
        (headers::ORIGIN_OFFSET, Some(origin.offset.to_string())),
        (headers::ORIGIN_TIMESTAMP, received.timestamp_ms().map(|time| time.to_string())),
    ] {
        headers::put(&mut headers, name, value);
    }
    Record {
        topic,
        partition: None,
        key: received.key().cloned(),
        value: received.value().cloned(),
        headers,
        // Its own: retention counts from when the copy was stored.
        timestamp_ms: None,
    }
}

fn shortened(cause: &str) -> &str {
    &cause[..cause.floor_char_boundary(CAUSE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{consumer::received::Position, sequence::SequenceId};

    fn read_back(record: &Record, topic: &str, offset: i64) -> Received {
        let position = Position { topic: topic.into(), partition: 9, offset };
        Received::for_test(position, record.key.clone(), record.value.clone(), record.headers.clone())
    }

    #[test]
    fn a_record_keeps_its_origin_through_retry_dead_letter_and_redrive() {
        let id = SequenceId { producer: Uuid::from_u128(5), number: 3 };
        let mut sent = Record::to("orders").key("k").value("v").header("own", "x");
        id.write(&mut sent.headers);
        let first = read_back(&sent, "orders", 41);
        let origin = first.origin();
        let failure = Failure { group: "g", cause: "no stock", at_ms: 1000 };

        let retry = for_retry(&first, &failure, "orders.g.retry-1".into(), Duration::from_secs(5));
        assert_eq!(headers::number(&retry.headers, headers::RETRY_AT), Some(6000));
        let second = read_back(&retry, "orders.g.retry-1", 7);
        assert_eq!((second.attempt(), second.origin(), second.sequence()), (2, origin.clone(), Some(id)));
        assert_eq!(SequenceId::of(second.headers()), None, "not a duplicate to a checker");

        let letter = for_dead_letters(&second, &failure, "orders.g.dead".into());
        assert_eq!(headers::number(&letter.headers, headers::ATTEMPTS), Some(2));
        assert_eq!(headers::text(&letter.headers, headers::CAUSE), Some("no stock"));
        assert_eq!(headers::text(&letter.headers, headers::RETRY_AT), None);
        assert_eq!(letter.value.as_deref(), Some(&b"v"[..]));

        let again = for_redrive(&read_back(&letter, "orders.g.dead", 0), "orders".into());
        let third = read_back(&again, "orders", 90);
        assert_eq!((third.attempt(), third.origin(), third.sequence()), (1, origin, Some(id)));
        assert_eq!(headers::number(third.headers(), headers::REDRIVEN), Some(1));
        assert_eq!(third.header("own").unwrap().as_ref(), b"x");
    }

    #[test]
    fn a_copy_of_a_note_is_none() {
        let note =
            Record::to("orders.g.dead").header(headers::SETTLES, "7").header(headers::SETTLED_AS, "purged");
        let read = read_back(&note, "orders.g.dead", 9);
        let failure = Failure { group: "clerk", cause: "nothing in it", at_ms: 0 };
        let (dead, retry) = ("orders.g.dead.clerk.dead".to_owned(), "orders.g.dead.clerk.retry-1".to_owned());
        for copy in [
            for_dead_letters(&read, &failure, dead),
            for_retry(&read, &failure, retry, Duration::ZERO),
            for_redrive(&read, "orders".into()),
        ] {
            for name in [headers::SETTLES, headers::SETTLED_AS] {
                assert_eq!(headers::text(&copy.headers, name), None, "{name} in {}", copy.topic());
            }
        }
    }

    #[test]
    fn a_long_cause_is_cut_between_characters() {
        let first = read_back(&Record::to("t"), "t", 0);
        let cause = "ä".repeat(CAUSE_BYTES_MAX);
        let failure = Failure { group: "g", cause: &cause, at_ms: 0 };
        let letter = for_dead_letters(&first, &failure, "d".into());
        assert_eq!(headers::text(&letter.headers, headers::CAUSE).unwrap().len(), CAUSE_BYTES_MAX);
    }
}
