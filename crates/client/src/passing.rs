//! Which errors pass by themselves, and say nothing of the record that was at work: a database that is away, starts, or is busy
//! with another transaction. Only errors of the databases that the SDK knows are judged: what else a handler calls may be
//! away because of the record (an address in it, for instance). Pure.

use std::error::Error;

/// Whether the error, or one that it was made of, is of such a kind.
pub(crate) fn is_passing(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if of_database(error) || of_redis(error) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
fn of_database(error: &(dyn Error + 'static)) -> bool {
    if matches!(error.downcast_ref(), Some(crate::inbox::InboxError::Conflict(_))) {
        return true;
    }
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
        Some(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| is_passing_code(&code)) || is_passing_number(&**error)
        }
        _ => false,
    }
}

#[cfg(not(any(feature = "postgres", feature = "mysql", feature = "sqlite")))]
fn of_database(_: &(dyn Error + 'static)) -> bool {
    false
}

/// SQLSTATE of PostgreSQL and MySQL, result codes of SQLite.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
fn is_passing_code(code: &str) -> bool {
    let names = [
        "40001", // serialization_failure; in MySQL also a deadlock
        "40P01", // deadlock_detected
        "55P03", // lock_not_available
        "53300", // too_many_connections
        "57P01", // admin_shutdown
        "57P02", // crash_shutdown
        "57P03", // cannot_connect_now
        "08S01", // MySQL: it shuts down
        "08004", // MySQL: too many connections
        "5",     // SQLITE_BUSY
        "6",     // SQLITE_LOCKED
        "517",   // SQLITE_BUSY_SNAPSHOT
    ];
    names.contains(&code)
}

/// What MySQL and MariaDB have no SQLSTATE of its own for.
#[cfg(feature = "mysql")]
fn is_passing_number(error: &(dyn sqlx::error::DatabaseError + 'static)) -> bool {
    let numbers = [
        1020, // ER_CHECKREAD; in MariaDB also a snapshot that is too old
        1203, // ER_TOO_MANY_USER_CONNECTIONS
        1205, // ER_LOCK_WAIT_TIMEOUT
        3572, // ER_LOCK_NOWAIT
    ];
    let error = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    error.is_some_and(|error| numbers.contains(&error.number()))
}

#[cfg(all(not(feature = "mysql"), any(feature = "postgres", feature = "sqlite")))]
fn is_passing_number(_: &(dyn sqlx::error::DatabaseError + 'static)) -> bool {
    false
}

#[cfg(feature = "redis")]
fn of_redis(error: &(dyn Error + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<redis::RedisError>() else { return false };
    // A pipeline and a transaction fail with what their commands were answered.
    let answers = error.clone().into_server_errors();
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || is_worth_waiting(&error.retry_method())
        || answers
            .iter()
            .flat_map(|answers| answers.iter())
            .any(|(_, answer)| is_passing_answer(answer.code()))
}

/// Not so where only a cluster's client could go to another node: one that is none would wait for ever.
#[cfg(feature = "redis")]
fn is_worth_waiting(method: &redis::RetryMethod) -> bool {
    use redis::RetryMethod::*;
    matches!(method, WaitAndRetry | RetryImmediately | RefreshSlotsAndRetry | ReconnectFromInitialConnections)
}

/// With which word Redis begins its answer.
#[cfg(feature = "redis")]
fn is_passing_answer(code: &str) -> bool {
    let codes = [
        "LOADING",     // it starts, and reads its files
        "BUSY",        // a script holds up everybody
        "MASTERDOWN",  // a replica that lost its master
        "CLUSTERDOWN", // a failover
        "READONLY",    // behind a failover: it became a replica
        "NOREPLICAS",  // fewer than it may write without
        "TRYAGAIN",    // slots move
    ];
    codes.contains(&code)
}

#[cfg(not(feature = "redis"))]
fn of_redis(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use redis::{ConnectionLike, RedisError, RedisResult, Value};

    use super::*;

    /// A Redis that answers this to all commands.
    struct Stubborn(&'static str);

    impl Stubborn {
        fn answer(&self) -> Value {
            redis::parse_redis_value(format!("{}\r\n", self.0).as_bytes())
                .expect("an answer as Redis writes it")
        }
    }

    impl ConnectionLike for Stubborn {
        fn req_packed_command(&mut self, _: &[u8]) -> RedisResult<Value> {
            self.answer().extract_error()
        }

        fn req_packed_commands(&mut self, _: &[u8], _: usize, count: usize) -> RedisResult<Vec<Value>> {
            Ok((0..count).map(|_| self.answer()).collect())
        }

        fn get_db(&self) -> i64 {
            0
        }

        fn check_connection(&mut self) -> bool {
            true
        }

        fn is_open(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_redis_that_starts_is_busy_or_fails_over_is_told_from_a_command_that_fails() {
        for (answer, passes) in [
            ("-LOADING Redis is loading the dataset in memory", true),
            ("-BUSY Redis is busy running a script.", true),
            ("-MASTERDOWN Link with MASTER is down", true),
            ("-CLUSTERDOWN The cluster is down", true),
            ("-READONLY You can't write against a read only replica.", true),
            ("-NOREPLICAS Not enough good replicas to write.", true),
            ("-TRYAGAIN Multiple keys request during rehashing of slot", true),
            ("-MOVED 3999 127.0.0.1:6381", false),
            ("-WRONGTYPE Operation against a key holding the wrong kind of value", false),
            ("-NOPERM this user has no permissions to run the 'get' command", false),
            ("-ERR unknown command", false),
        ] {
            let mut redis = Stubborn(answer);
            let alone: RedisError = redis::cmd("GET").query::<()>(&mut redis).unwrap_err();
            assert_eq!(is_passing(&alone), passes, "{alone}");
            let of_several = redis::pipe().get("a").get("b").query::<()>(&mut redis).unwrap_err();
            assert_eq!(is_passing(&of_several), passes, "{of_several}");
        }
        assert!(is_passing(&RedisError::from((redis::ErrorKind::MasterNameNotFoundBySentinel, "no master"))));
    }
}
