//! The statements of PostgreSQL.

use sqlx::{Connection, Postgres, QueryBuilder};

use super::{
    Content, Counts, Failure, NewRow, Picked, Statements, StoredRow, Texts, body::*, numbered::numbered_texts,
};
use crate::database_clock::now;

const TEXTS: Texts = numbered_texts!(postgres, " FOR UPDATE SKIP LOCKED");

statements!(
    Postgres,
    TEXTS,
    "../sql/postgres.sql",
    "SELECT pg_advisory_xact_lock(hashtext('tally_outbox schema'));",
    "BEGIN"
);
