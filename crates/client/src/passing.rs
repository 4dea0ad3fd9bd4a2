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
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| is_passing_code(&code)),
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

#[cfg(feature = "redis")]
fn of_redis(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<redis::RedisError>()
        .is_some_and(|error| error.is_io_error() || error.is_timeout() || error.is_connection_dropped())
}

#[cfg(not(feature = "redis"))]
fn of_redis(_: &(dyn Error + 'static)) -> bool {
    false
}
