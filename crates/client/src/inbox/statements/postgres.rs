//! The inbox's statements of PostgreSQL.

use sqlx::{Postgres, QueryBuilder};

use super::{
    super::{Applied, Change, Concurrent, MessageId, Value},
    Registration, Statements,
    body::*,
};
use crate::database_clock::now;

const QUOTE: char = '"';

impl Statements for Postgres {
    shared_statements!(
        "../sql/postgres.sql",
        "SELECT pg_advisory_xact_lock(hashtext('tally_inbox schema'));",
        concat!(
            "SELECT message_id FROM tally_inbox WHERE consumer = $1 AND done_at <= ",
            now!(postgres),
            " - $2 ORDER BY done_at LIMIT $3"
        ),
        "SELECT COUNT(*), COALESCE(SUM(repeats), 0)::BIGINT FROM tally_inbox WHERE consumer = $1"
    );
    upsert_on_conflict!();

    async fn register(
        conn: &mut Self::Connection,
        consumer: &str,
        id: &MessageId,
        concurrent: Concurrent,
    ) -> sqlx::Result<Registration> {
        if concurrent == Concurrent::Skip {
            // Held until the end of the transaction. A collision of two hashes only lets somebody come again.
            let lock =
                "SELECT pg_try_advisory_xact_lock(hashtextextended('tally_inbox ' || $1 || ' ' || $2, 0))";
            let query = sqlx::query_scalar::<_, bool>(lock).bind(consumer).bind(id.as_str());
            if !query.fetch_one(&mut *conn).await? {
                return Ok(Registration::Busy);
            }
        }
        // Waits for a transaction that has written the same id and is not yet over.
        let insert = concat!(
            "INSERT INTO tally_inbox (consumer, message_id, done_at) VALUES ($1, $2, ",
            now!(postgres),
            ") ON CONFLICT (consumer, message_id) DO UPDATE SET repeats = tally_inbox.repeats + 1 RETURNING repeats"
        );
        let query = sqlx::query_scalar::<_, i64>(insert).bind(consumer).bind(id.as_str());
        let repeats = query.fetch_one(conn).await?;
        Ok(if repeats == 0 { Registration::New } else { Registration::Repeat })
    }

    fn is_conflict(error: &sqlx::Error) -> bool {
        // serialization_failure, deadlock_detected, lock_not_available
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["40001", "40P01", "55P03"].contains(&code.as_ref()))
    }
}
