//! What the tests share: servers of their own, a database per test, a destination that outlives its process.

pub mod child;
pub mod database;
pub mod destination;
pub mod server;
