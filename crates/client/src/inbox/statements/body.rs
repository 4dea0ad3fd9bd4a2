//! What the dialects have in common, written once. Macros, because sqlx's bounds cannot be said once for every database.

/// The methods that differ only in the text of a statement. `lock` is what to do first so that two can create the schema at
/// once.
macro_rules! shared_statements {
    ($schema:literal, $lock:literal, $old:expr, $counts:expr) => {
        const SCHEMA: &'static str = include_str!($schema);

        async fn create_schema(conn: &mut Self::Connection) -> sqlx::Result<()> {
            sqlx::raw_sql(concat!($lock, include_str!($schema))).execute(conn).await.map(drop)
        }

        async fn clean(
            conn: &mut Self::Connection,
            consumer: &str,
            age_ms: i64,
            ids_max: i64,
        ) -> sqlx::Result<u64> {
            // Read first, without a lock, and then delete by primary key: a DELETE with a range would wait, in InnoDB, for the
            // rows beside it that somebody is just writing.
            let old = sqlx::query_scalar($old).bind(consumer).bind(age_ms).bind(ids_max);
            let old: Vec<String> = old.fetch_all(&mut *conn).await?;
            if old.is_empty() {
                return Ok(0);
            }
            let mut clean = QueryBuilder::<Self>::new("DELETE FROM tally_inbox WHERE consumer = ");
            clean.push_bind(consumer).push(" AND message_id IN (");
            let mut ids = clean.separated(", ");
            for id in old {
                ids.push_bind(id);
            }
            clean.push(")");
            clean.build().execute(conn).await.map(|done| done.rows_affected())
        }

        async fn counts(conn: &mut Self::Connection, consumer: &str) -> sqlx::Result<(i64, i64)> {
            sqlx::query_as($counts).bind(consumer).fetch_one(conn).await
        }

        async fn update_if_version(
            conn: &mut Self::Connection,
            change: &Change,
            version: i64,
        ) -> sqlx::Result<Applied> {
            let mut update = update!(Self, change, version.saturating_add(1));
            update.push(" = ").push_bind(version);
            let done = update.build().execute(conn).await?;
            Ok(if done.rows_affected() > 0 { Applied::Yes } else { Applied::Stale })
        }

        async fn tear(conn: &mut Self::Connection) -> sqlx::Result<()> {
            // The name that sqlx gives to the savepoint in which the inbox works.
            let torn = "COMMIT; BEGIN; SAVEPOINT _sqlx_savepoint_1";
            sqlx::raw_sql(torn).execute(conn).await.map(drop)
        }
    };
}

/// `ON CONFLICT`, for PostgreSQL and SQLite.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! upsert_on_conflict {
    () => {
        async fn upsert_if_newer(
            conn: &mut Self::Connection,
            change: &Change,
            version: i64,
        ) -> sqlx::Result<Applied> {
            let mut upsert = insert!(Self, change, version);
            upsert.push(" ON CONFLICT (");
            for (at, (column, _)) in change.keys.iter().enumerate() {
                upsert.push(if at > 0 { ", " } else { "" }).push(quoted!(Self, column));
            }
            upsert.push(") DO UPDATE SET ");
            for (column, _) in &change.values {
                let column = quoted!(Self, column);
                upsert.push(&column).push(" = excluded.").push(&column).push(", ");
            }
            let version = quoted!(Self, change.version_column);
            upsert.push(&version).push(" = excluded.").push(&version).push(" WHERE ");
            upsert.push(quoted!(Self, change.table)).push(".").push(&version);
            upsert.push(" < excluded.").push(&version);
            let done = upsert.build().execute(conn).await?;
            Ok(if done.rows_affected() > 0 { Applied::Yes } else { Applied::Stale })
        }
    };
}

/// `UPDATE table SET values, version = new WHERE keys AND version`; the comparison follows.
macro_rules! update {
    ($database:ty, $change:expr, $version:expr) => {{
        let mut update = QueryBuilder::<$database>::new("UPDATE ");
        update.push(quoted!($database, $change.table)).push(" SET ");
        for (column, value) in &$change.values {
            update.push(quoted!($database, column)).push(" = ");
            push_value!(update, value);
            update.push(", ");
        }
        update.push(quoted!($database, $change.version_column)).push(" = ").push_bind($version);
        push_where!($database, update, $change);
        update.push(" AND ").push(quoted!($database, $change.version_column));
        update
    }};
}

/// `INSERT INTO table (keys, values, version) VALUES (…)`.
macro_rules! insert {
    ($database:ty, $change:expr, $version:expr) => {{
        let mut insert = QueryBuilder::<$database>::new("INSERT INTO ");
        insert.push(quoted!($database, $change.table)).push(" (");
        for (column, _) in $change.keys.iter().chain(&$change.values) {
            insert.push(quoted!($database, column)).push(", ");
        }
        insert.push(quoted!($database, $change.version_column)).push(") VALUES (");
        for (_, value) in $change.keys.iter().chain(&$change.values) {
            push_value!(insert, value);
            insert.push(", ");
        }
        insert.push_bind($version).push(")");
        insert
    }};
}

/// ` WHERE key = value AND …`
macro_rules! push_where {
    ($database:ty, $builder:expr, $change:expr) => {
        for (at, (column, value)) in $change.keys.iter().enumerate() {
            $builder.push(if at > 0 { " AND " } else { " WHERE " });
            $builder.push(quoted!($database, column)).push(" = ");
            push_value!($builder, value);
        }
    };
}

/// A name in the quotes of the dialect; [`Change`](super::super::Change) has checked that it contains none.
macro_rules! quoted {
    ($database:ty, $name:expr) => {
        $name.split('.').map(|part| format!("{0}{part}{0}", QUOTE)).collect::<Vec<_>>().join(".")
    };
}

macro_rules! push_value {
    ($builder:expr, $value:expr) => {
        match $value {
            Value::Null => $builder.push("NULL"),
            Value::Bool(value) => $builder.push_bind(*value),
            Value::Integer(value) => $builder.push_bind(*value),
            Value::Real(value) => $builder.push_bind(*value),
            Value::Text(value) => $builder.push_bind(value.clone()),
            Value::Bytes(value) => $builder.push_bind(value.clone()),
        };
    };
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) use upsert_on_conflict;
pub(super) use {insert, push_value, push_where, quoted, shared_statements, update};
