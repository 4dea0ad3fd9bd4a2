//! The body of `Statements`, written once. It is a macro because sqlx's bounds cannot be said once for every database.

/// `statements!(Database, TEXTS, file of the schema, what to do first so that two can create it at once, BEGIN)`
macro_rules! statements {
    ($database:ty, $texts:expr, $schema:literal, $lock:literal, $begin:literal) => {
        impl Statements for $database {
            const SCHEMA: &'static str = include_str!($schema);
            const BEGIN: &'static str = $begin;

            async fn create_schema(conn: &mut Self::Connection) -> sqlx::Result<()> {
                sqlx::raw_sql(concat!($lock, include_str!($schema))).execute(conn).await.map(drop)
            }

            async fn insert(conn: &mut Self::Connection, row: NewRow<'_>) -> sqlx::Result<()> {
                let query = sqlx::query($texts.insert)
                    .bind(row.message_id)
                    .bind(row.lane)
                    .bind(row.order_key)
                    .bind(row.topic)
                    .bind(row.partition)
                    .bind(row.key)
                    .bind(row.payload)
                    .bind(row.headers)
                    .bind(row.timestamp_ms)
                    .bind(row.size_bytes);
                query.execute(conn).await.map(drop)
            }

            async fn lanes_with_work(
                conn: &mut Self::Connection,
                owner: &str,
                lanes_max: i64,
            ) -> sqlx::Result<Vec<i32>> {
                sqlx::query_scalar($texts.lanes_with_work).bind(owner).bind(lanes_max).fetch_all(conn).await
            }

            async fn claim(
                conn: &mut Self::Connection,
                owner: &str,
                lanes: &[i32],
                lease_ms: i64,
            ) -> sqlx::Result<Vec<i32>> {
                let mut tx = Connection::begin_with(conn, Self::BEGIN).await?;
                let mut free = QueryBuilder::<$database>::new(
                    "SELECT lane FROM tally_outbox_lane WHERE (lease_until <= ",
                );
                free.push($texts.now).push(" OR owner = ").push_bind(owner).push(") AND lane IN (");
                list!(free, lanes);
                free.push(" ORDER BY served_at, lane").push($texts.skip_locked);
                let free: Vec<i32> = free.build_query_scalar().fetch_all(&mut *tx).await?;
                if !free.is_empty() {
                    let mut claim = QueryBuilder::<$database>::new("UPDATE tally_outbox_lane SET owner = ");
                    claim.push_bind(owner).push(", lease_until = ").push($texts.now).push(" + ");
                    claim.push_bind(lease_ms).push(" WHERE lane IN (");
                    list!(claim, &free);
                    claim.build().execute(&mut *tx).await?;
                }
                tx.commit().await?;
                Ok(free)
            }

            async fn pick(
                conn: &mut Self::Connection,
                lane: i32,
                rows_max: i64,
            ) -> sqlx::Result<Vec<Picked>> {
                let query = sqlx::query_as::<_, (i64, i64, i64, i64)>($texts.pick).bind(lane).bind(rows_max);
                let rows = query.fetch_all(conn).await?;
                let picked =
                    |(id, order_key, size_bytes, attempts)| Picked { id, order_key, size_bytes, attempts };
                Ok(rows.into_iter().map(picked).collect())
            }

            async fn fetch(conn: &mut Self::Connection, ids: &[i64]) -> sqlx::Result<Vec<StoredRow>> {
                let mut fetch = QueryBuilder::<$database>::new($texts.fetch);
                list!(fetch, ids);
                fetch.push(" ORDER BY id");
                let rows = fetch.build_query_as::<Content>().fetch_all(conn).await?;
                Ok(rows.into_iter().map(StoredRow::from).collect())
            }

            async fn mark_sent(conn: &mut Self::Connection, ids: &[i64]) -> sqlx::Result<()> {
                let mut mark =
                    QueryBuilder::<$database>::new("UPDATE tally_outbox SET state = 1, sent_at = ");
                mark.push($texts.now).push(" WHERE state <> 1 AND id IN (");
                list!(mark, ids);
                mark.build().execute(conn).await.map(drop)
            }

            async fn renew(conn: &mut Self::Connection, owner: &str, lease_ms: i64) -> sqlx::Result<u64> {
                let query = sqlx::query($texts.renew).bind(lease_ms).bind(owner);
                query.execute(conn).await.map(|done| done.rows_affected())
            }

            async fn release(conn: &mut Self::Connection, owner: &str) -> sqlx::Result<()> {
                sqlx::query($texts.release).bind(owner).execute(conn).await.map(drop)
            }

            async fn hold(conn: &mut Self::Connection, failure: &Failure) -> sqlx::Result<()> {
                let query = sqlx::query($texts.hold)
                    .bind(failure.order_key)
                    .bind(failure.attempts)
                    .bind(failure.hold_ms)
                    .bind(&failure.message_id)
                    .bind(&failure.reason);
                query.execute(conn).await.map(drop)
            }

            async fn unhold(conn: &mut Self::Connection, order_keys: &[i64]) -> sqlx::Result<()> {
                let mut unhold =
                    QueryBuilder::<$database>::new("DELETE FROM tally_outbox_hold WHERE order_key IN (");
                list!(unhold, order_keys);
                unhold.build().execute(conn).await.map(drop)
            }

            async fn park(conn: &mut Self::Connection, id: i64, reason: &str) -> sqlx::Result<()> {
                sqlx::query($texts.park).bind(reason).bind(id).execute(conn).await.map(drop)
            }

            async fn unpark(conn: &mut Self::Connection, message_id: &str) -> sqlx::Result<u64> {
                let query = sqlx::query($texts.unpark).bind(message_id);
                query.execute(conn).await.map(|done| done.rows_affected())
            }

            async fn clean(conn: &mut Self::Connection, age_ms: i64, rows_max: i64) -> sqlx::Result<u64> {
                // Read first, without a lock, and then delete by primary key: a DELETE with a range would wait, in InnoDB, for
                // the rows beside it that somebody is just marking.
                let old = sqlx::query_scalar($texts.old).bind(age_ms).bind(rows_max);
                let old: Vec<i64> = old.fetch_all(&mut *conn).await?;
                if old.is_empty() {
                    return Ok(0);
                }
                let mut clean =
                    QueryBuilder::<$database>::new("DELETE FROM tally_outbox WHERE state = 1 AND id IN (");
                list!(clean, &old);
                clean.build().execute(conn).await.map(|done| done.rows_affected())
            }

            async fn counts(conn: &mut Self::Connection) -> sqlx::Result<Counts> {
                let query = sqlx::query_as::<_, (i64, i64, i64, i64, Option<i64>)>($texts.counts);
                let (pending, sent, parked, held_keys, oldest_pending_ms) = query.fetch_one(conn).await?;
                Ok(Counts { pending, sent, parked, held_keys, oldest_pending_ms })
            }

            async fn held(
                conn: &mut Self::Connection,
                rows_max: i64,
            ) -> sqlx::Result<Vec<(String, i64, String)>> {
                sqlx::query_as($texts.held).bind(rows_max).fetch_all(conn).await
            }

            async fn parked(
                conn: &mut Self::Connection,
                rows_max: i64,
            ) -> sqlx::Result<Vec<(String, String, String)>> {
                sqlx::query_as($texts.parked).bind(rows_max).fetch_all(conn).await
            }
        }
    };
}

/// Binds the values of an `IN (` and closes it.
macro_rules! list {
    ($builder:expr, $values:expr) => {
        let mut values = $builder.separated(", ");
        for value in $values {
            values.push_bind(*value);
        }
        $builder.push(")");
    };
}

pub(super) use list;
pub(super) use statements;
