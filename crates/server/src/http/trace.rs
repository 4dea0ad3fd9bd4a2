//! `/v1/trace`: what became of one message.

use std::sync::Arc;
use std::time::Duration;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use tallymq_model::{Offset, ProducerId, Sequence};

use super::Shared;
use super::query::Query;
use super::refusal::Refusal;
use crate::books::trace::{self, Question, RECORDS_MAX, Trace, TraceError, Wanted};

const NAMES: [&str; 12] = [
    "topic",
    "partition",
    "offset",
    "key",
    "producer",
    "seq",
    "header",
    "since",
    "until",
    "limit",
    "resume",
    "seconds",
];
/// Records in an answer if nobody says how many.
const RECORDS_DEFAULT: usize = 10;
/// How long a search takes if nobody says.
const SECONDS_DEFAULT: u64 = 10;
/// And if somebody does.
const SECONDS_MAX: u64 = 300;

pub(super) async fn read(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Trace>, Refusal> {
    let question = question(query.as_deref())?;
    let _turn = shared.searches.acquire().await.map_err(Refusal::unavailable)?;
    let answer = trace::trace(&shared.node, &question).await;
    Ok(Json(answer.map_err(|error| match error {
        TraceError::UnknownTopic(_) | TraceError::UnknownPartition { .. } => Refusal::not_found(error),
        TraceError::UnfitResume => Refusal::bad(error),
        TraceError::Stopping => Refusal::unavailable(error),
    })?))
}

fn question(query: Option<&str>) -> Result<Question, Refusal> {
    let mut query = Query::parse(query, &NAMES)?;
    let topic = query.text("topic").ok_or_else(|| Refusal::bad("parameter topic is missing"))?;
    let partition: Option<i32> = query.parsed("partition")?;
    let wanted = wanted(&mut query, partition)?;
    let seconds = query.parsed("seconds")?.unwrap_or(SECONDS_DEFAULT).clamp(1, SECONDS_MAX);
    let records_max = query.parsed("limit")?.unwrap_or(RECORDS_DEFAULT).clamp(1, RECORDS_MAX);
    Ok(Question {
        topic,
        wanted,
        partition,
        since: query.parsed("since")?,
        until: query.parsed("until")?,
        records_max,
        resume: query.parsed("resume")?,
        time_max: Duration::from_secs(seconds),
    })
}

/// Exactly one way to name a record.
fn wanted(query: &mut Query, partition: Option<i32>) -> Result<Wanted, Refusal> {
    let offset: Option<i64> = query.parsed("offset")?;
    let (key, header) = (query.text("key"), query.text("header"));
    let producer = query.text("producer");
    let number: Option<u64> = query.parsed("seq")?;
    match (offset, key, header, producer, number) {
        (Some(offset), None, None, None, None) if partition.is_some() => Ok(Wanted::Place(Offset(offset))),
        (Some(_), None, None, None, None) => Err(Refusal::bad("`offset` needs `partition`")),
        (None, Some(key), None, None, None) => Ok(Wanted::Key(key.into())),
        (None, None, Some(header), None, None) => {
            let (name, value) =
                header.split_once('=').ok_or_else(|| Refusal::bad("`header` looks like NAME=VALUE"))?;
            Ok(Wanted::Header { name: name.to_owned(), value: value.to_owned().into() })
        }
        (None, None, None, Some(producer), Some(number)) => numbered(producer, number),
        _ => Err(Refusal::bad(
            "name a record by `partition` and `offset`, by `key`, by `producer` and `seq`, or by `header`",
        )),
    }
}

/// A number is an idempotent producer's id; anything else a producer instance of the sequence headers.
fn numbered(producer: String, number: u64) -> Result<Wanted, Refusal> {
    match producer.parse() {
        Ok(id) => {
            let sequence = i32::try_from(number).map_err(|error| Refusal::bad(format!("`seq`: {error}")))?;
            Ok(Wanted::Sequence { producer: ProducerId(id), sequence: Sequence(sequence) })
        }
        Err(_) => Ok(Wanted::Label { producer, number }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_in_exactly_one_way() {
        let wanted = |query: &str| question(Some(query)).map(|question| question.wanted);
        assert_eq!(wanted("topic=t&partition=1&offset=7"), Ok(Wanted::Place(Offset(7))));
        assert_eq!(wanted("topic=t&key=k"), Ok(Wanted::Key("k".into())));
        let header = Wanted::Header { name: "a".to_owned(), value: "b=c".into() };
        assert_eq!(wanted("topic=t&header=a%3Db%3Dc"), Ok(header));
        let sequence = Wanted::Sequence { producer: ProducerId(12), sequence: Sequence(3) };
        assert_eq!(wanted("topic=t&producer=12&seq=3"), Ok(sequence));
        let label = Wanted::Label { producer: "a-b".to_owned(), number: 3 };
        assert_eq!(wanted("topic=t&producer=a-b&seq=3"), Ok(label));
        for bad in [
            "key=k",
            "topic=t",
            "topic=t&offset=7",
            "topic=t&key=k&header=a%3Db",
            "topic=t&producer=1",
            "topic=t&producer=1&seq=4294967296",
            "topic=t&header=a",
            "topic=t&key=k&since=yesterday",
        ] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
