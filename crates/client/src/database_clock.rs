//! The clocks of the databases: an SQL expression each for the milliseconds since 1970. Leases, holds and ages go by them, so
//! that processes on machines with different clocks agree. Macros, because statements are put together at compile time.

/// `now!(mysql)`, `now!(postgres)`, `now!(sqlite)`: a literal, for `concat!`.
macro_rules! now {
    (mysql) => {
        "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"
    };
    (postgres) => {
        "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT"
    };
    (sqlite) => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

pub(crate) use now;
