//! The inbox's statements of MySQL and MariaDB.

use sqlx::{MySql, QueryBuilder, mysql::MySqlDatabaseError};

use super::{
    super::{Applied, Change, Concurrent, MessageId, Value},
    Registration, Statements,
    body::*,
};
use crate::database_clock::now;

const QUOTE: char = '`';

macro_rules! insert_or_count {
    () => {
        concat!(
            "INSERT INTO tally_inbox (consumer, message_id, done_at) VALUES (?, ?, ",
            now!(mysql),
            ") ON DUPLICATE KEY UPDATE repeats = repeats + 1"
        )
    };
}

const LOCK_WAIT_TIMEOUT: u16 = 1205;
const LOCK_DEADLOCK: u16 = 1213;

impl Statements for MySql {
    shared_statements!(
        "../sql/mysql.sql",
        "",
        concat!(
            "SELECT CONVERT(message_id USING utf8mb4) FROM tally_inbox WHERE consumer = ? AND done_at <= ",
            now!(mysql),
            " - ? ORDER BY done_at LIMIT ?"
        ),
        "SELECT COUNT(*), CAST(COALESCE(SUM(repeats), 0) AS SIGNED) FROM tally_inbox WHERE consumer = ?"
    );

    async fn register(
        conn: &mut Self::Connection,
        consumer: &str,
        id: &MessageId,
        concurrent: Concurrent,
    ) -> sqlx::Result<Registration> {
        // `ON DUPLICATE KEY UPDATE` locks a row that exists for itself alone, where a plain insert would share it and two
        // that wait could lock each other out. It changes the row, so that 2 rows affected mean a repetition, 1 a new id.
        let insert = match concurrent {
            Concurrent::Wait => insert_or_count!(),
            // The comment is a statement to MariaDB and nothing to MySQL.
            Concurrent::Skip => {
                concat!("/*M! SET STATEMENT innodb_lock_wait_timeout = 0 FOR */ ", insert_or_count!())
            }
        };
        match sqlx::query(insert).bind(consumer).bind(id.as_str()).execute(conn).await {
            Ok(done) if done.rows_affected() == 1 => Ok(Registration::New),
            Ok(_) => Ok(Registration::Repeat),
            Err(error) if concurrent == Concurrent::Skip && number(&error) == Some(LOCK_WAIT_TIMEOUT) => {
                Ok(Registration::Busy)
            }
            Err(error) => Err(error),
        }
    }

    /// Without `ON DUPLICATE KEY`, which cannot say whether the row was old enough: sqlx asks for found rows, not changed
    /// ones.
    async fn upsert_if_newer(
        conn: &mut Self::Connection,
        change: &Change,
        version: i64,
    ) -> sqlx::Result<Applied> {
        let mut update = update!(Self, change, version);
        update.push(" < ").push_bind(version);
        if update.build().execute(&mut *conn).await?.rows_affected() > 0 {
            return Ok(Applied::Yes);
        }
        let taken = match insert!(Self, change, version).build().execute(&mut *conn).await {
            Ok(_) => return Ok(Applied::Yes),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => error,
            Err(error) => return Err(error),
        };
        // The row is there: as new as this, or written by somebody else since the first look.
        let mut update = update!(Self, change, version);
        update.push(" < ").push_bind(version);
        if update.build().execute(&mut *conn).await?.rows_affected() > 0 {
            return Ok(Applied::Yes);
        }
        let mut look = QueryBuilder::<Self>::new("SELECT 1 FROM ");
        look.push(quoted!(Self, change.table));
        push_where!(Self, look, change);
        look.push(" FOR UPDATE");
        match look.build().fetch_optional(conn).await? {
            Some(_) => Ok(Applied::Stale),
            None => Err(sqlx::Error::Database(taken)), // another unique key of the table
        }
    }

    /// InnoDB ends the whole transaction of a deadlock's victim, and what follows would be committed statement by statement.
    async fn mend(conn: &mut Self::Connection) {
        let probe = "SAVEPOINT tally_inbox_probe; ROLLBACK TO SAVEPOINT tally_inbox_probe";
        let again =
            "BEGIN; SAVEPOINT _sqlx_savepoint_1; SAVEPOINT _sqlx_savepoint_2; SAVEPOINT _sqlx_savepoint_3";
        if sqlx::raw_sql(probe).execute(&mut *conn).await.is_err() {
            // If this fails, too, the connection is gone, and with it all that it could have committed.
            let _ = sqlx::raw_sql(again).execute(conn).await;
        }
    }

    fn is_conflict(error: &sqlx::Error) -> bool {
        matches!(number(error), Some(LOCK_WAIT_TIMEOUT | LOCK_DEADLOCK))
    }
}

fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}
