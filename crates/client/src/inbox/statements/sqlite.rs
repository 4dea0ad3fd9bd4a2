//! The inbox's statements of SQLite, in which one transaction writes at a time: by the time that the id can be written, no
//! other consumer is working.

use sqlx::{QueryBuilder, Sqlite};

use super::{
    super::{Applied, Change, Concurrent, MessageId, Value},
    Registration, Statements,
    body::*,
};
use crate::database_clock::now;

const QUOTE: char = '"';

impl Statements for Sqlite {
    shared_statements!(
        "../sql/sqlite.sql",
        "",
        concat!(
            "SELECT message_id FROM tally_inbox WHERE consumer = $1 AND done_at <= ",
            now!(sqlite),
            " - $2 ORDER BY done_at LIMIT $3"
        ),
        "SELECT COUNT(*), COALESCE(SUM(repeats), 0) FROM tally_inbox WHERE consumer = $1"
    );
    upsert_on_conflict!();

    async fn register(
        conn: &mut Self::Connection,
        consumer: &str,
        id: &MessageId,
        _concurrent: Concurrent,
    ) -> sqlx::Result<Registration> {
        let insert = concat!(
            "INSERT INTO tally_inbox (consumer, message_id, done_at) VALUES ($1, $2, ",
            now!(sqlite),
            ") ON CONFLICT (consumer, message_id) DO UPDATE SET repeats = repeats + 1 RETURNING repeats"
        );
        let query = sqlx::query_scalar::<_, i64>(insert).bind(consumer).bind(id.as_str());
        let repeats = query.fetch_one(conn).await?;
        Ok(if repeats == 0 { Registration::New } else { Registration::Repeat })
    }

    fn is_conflict(error: &sqlx::Error) -> bool {
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_BUSY_SNAPSHOT
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["5", "6", "517"].contains(&code.as_ref()))
    }
}
