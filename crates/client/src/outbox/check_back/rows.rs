//! The rows of half messages: one function per statement. It decides nothing.

use std::time::Duration;

use bytes::Bytes;
use sqlx::{SqliteConnection, SqlitePool};

use super::{super::header_block, HalfMessage};
use crate::{Record, database_clock::now, inbox::MessageId};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT message_id, topic, record_partition, record_key, payload, headers, timestamp_ms, checks \
             FROM tally_half ",
            $rest
        )
    };
}

type Row = (String, String, Option<i32>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, Option<i64>, u32);

/// In the table: 0 prepared and 1 unresolved are open, 2 is committed, 3 is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Committed,
    RolledBack,
}

pub(super) async fn insert(
    pool: &SqlitePool,
    id: &MessageId,
    record: &Record,
    first_check_after: Duration,
) -> sqlx::Result<()> {
    let insert = concat!(
        "INSERT INTO tally_half (message_id, topic, record_partition, record_key, payload, headers, timestamp_ms, \
         prepared_at, next_check_at) VALUES ($1, $2, $3, $4, $5, $6, $7, ",
        now!(sqlite),
        ", ",
        now!(sqlite),
        " + $8)"
    );
    let query = sqlx::query(insert)
        .bind(id.as_str())
        .bind(&record.topic)
        .bind(record.partition)
        .bind(record.key.as_deref())
        .bind(record.value.as_deref())
        .bind(header_block::encode(&record.headers))
        .bind(record.timestamp_ms)
        .bind(milliseconds(first_check_after));
    query.execute(pool).await.map(drop)
}

pub(super) async fn state(conn: &mut SqliteConnection, id: &MessageId) -> sqlx::Result<Option<State>> {
    let state = sqlx::query_scalar("SELECT state FROM tally_half WHERE message_id = $1").bind(id.as_str());
    Ok(state.fetch_optional(conn).await?.map(|state: i64| match state {
        0 | 1 => State::Open,
        2 => State::Committed,
        _ => State::RolledBack,
    }))
}

pub(super) async fn record(conn: &mut SqliteConnection, id: &MessageId) -> sqlx::Result<Record> {
    let row: Row = sqlx::query_as(select!("WHERE message_id = $1")).bind(id.as_str()).fetch_one(conn).await?;
    Ok(half_of(row)?.record)
}

/// Keeps only what became of it.
pub(super) async fn settle(conn: &mut SqliteConnection, id: &MessageId, state: State) -> sqlx::Result<()> {
    let settle = concat!(
        "UPDATE tally_half SET state = $1, payload = NULL, settled_at = ",
        now!(sqlite),
        " WHERE message_id = $2"
    );
    let state = if state == State::Committed { 2 } else { 3 };
    sqlx::query(settle).bind(state).bind(id.as_str()).execute(conn).await.map(drop)
}

/// The halves that are to be asked about, a bounded number, longest due first.
pub(super) async fn due(pool: &SqlitePool) -> sqlx::Result<Vec<MessageId>> {
    let due = concat!(
        "SELECT message_id FROM tally_half WHERE state = 0 AND next_check_at <= ",
        now!(sqlite),
        " ORDER BY next_check_at LIMIT 100"
    );
    let ids: Vec<String> = sqlx::query_scalar(due).fetch_all(pool).await?;
    ids.into_iter().map(id_of).collect()
}

/// Takes a half to ask about it: counts the check, and says when the next one is due. None if it is not due any more.
pub(super) async fn begin_check(
    pool: &SqlitePool,
    id: &MessageId,
    check_every: Duration,
) -> sqlx::Result<Option<HalfMessage>> {
    let begin = concat!(
        "UPDATE tally_half SET checks = checks + 1, next_check_at = ",
        now!(sqlite),
        " + $1 WHERE message_id = $2 AND state = 0 AND next_check_at <= ",
        now!(sqlite),
    );
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let begun =
        sqlx::query(begin).bind(milliseconds(check_every)).bind(id.as_str()).execute(&mut *tx).await?;
    if begun.rows_affected() == 0 {
        return Ok(None);
    }
    let row: Row =
        sqlx::query_as(select!("WHERE message_id = $1")).bind(id.as_str()).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    half_of(row).map(Some)
}

pub(super) async fn give_up(pool: &SqlitePool, id: &MessageId) -> sqlx::Result<()> {
    let give_up = "UPDATE tally_half SET state = 1 WHERE message_id = $1 AND state = 0";
    sqlx::query(give_up).bind(id.as_str()).execute(pool).await.map(drop)
}

/// Removes what was settled long ago.
pub(super) async fn forget(pool: &SqlitePool, keep_settled: Duration) -> sqlx::Result<()> {
    let forget = concat!("DELETE FROM tally_half WHERE state >= 2 AND settled_at <= ", now!(sqlite), " - $1");
    sqlx::query(forget).bind(milliseconds(keep_settled)).execute(pool).await.map(drop)
}

/// How many are prepared, and how many unresolved.
pub(super) async fn counts(pool: &SqlitePool) -> sqlx::Result<(u64, u64)> {
    let counts = "SELECT (SELECT COUNT(*) FROM tally_half WHERE state = 0), \
         (SELECT COUNT(*) FROM tally_half WHERE state = 1)";
    let (prepared, unresolved): (i64, i64) = sqlx::query_as(counts).fetch_one(pool).await?;
    Ok((prepared.max(0) as u64, unresolved.max(0) as u64))
}

pub(super) async fn unresolved(pool: &SqlitePool, halves_max: u32) -> sqlx::Result<Vec<HalfMessage>> {
    let query =
        sqlx::query_as::<_, Row>(select!("WHERE state = 1 ORDER BY prepared_at LIMIT $1")).bind(halves_max);
    query.fetch_all(pool).await?.into_iter().map(half_of).collect()
}

fn half_of(row: Row) -> sqlx::Result<HalfMessage> {
    let (id, topic, partition, key, payload, headers, timestamp_ms, checks) = row;
    let damaged =
        || sqlx::Error::Decode("the headers are damaged, or were written by a newer version".into());
    let mut record = Record::to(topic);
    record.partition = partition;
    record.key = key.map(Bytes::from);
    record.value = payload.map(Bytes::from);
    record.headers = header_block::decode(&headers).ok_or_else(damaged)?;
    record.timestamp_ms = timestamp_ms;
    Ok(HalfMessage { id: id_of(id)?, record, checks })
}

fn id_of(text: String) -> sqlx::Result<MessageId> {
    MessageId::new(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
