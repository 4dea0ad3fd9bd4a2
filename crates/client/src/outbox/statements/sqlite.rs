//! The statements of SQLite.

use sqlx::{Connection, QueryBuilder, Sqlite};

use super::{
    Content, Counts, Failure, NewRow, Picked, Statements, StoredRow, Texts, body::*, numbered::numbered_texts,
};
use crate::database_clock::now;

const TEXTS: Texts = numbered_texts!(sqlite, "");

statements!(Sqlite, TEXTS, "../sql/sqlite.sql", "", "BEGIN IMMEDIATE");
