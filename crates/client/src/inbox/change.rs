//! Changes that may come twice, or late: an update that checks the row's version, and an upsert that keeps the newest.
//! They need no memory beside the row.

use sqlx::Transaction;

use super::store::InboxDatabase;

/// A change of one row, which carries a version in a column of its own (`version`, an integer).
///
/// ```
/// use sqlx::sqlite::SqlitePoolOptions;
/// use tallymq_client::inbox::{Applied, Change};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE price (sku TEXT PRIMARY KEY, cents INTEGER, version INTEGER)").execute(&pool).await?;
/// let mut tx = pool.begin().await?;
///
/// // Messages carry the state and its version: the newest wins, in whatever order and however often they come.
/// let price = |cents: i64| Change::of("price").key("sku", "tea").set("cents", cents);
/// assert_eq!(price(300).upsert_if_newer(&mut tx, 1).await?, Applied::Yes);
/// assert_eq!(price(350).upsert_if_newer(&mut tx, 3).await?, Applied::Yes);
/// assert_eq!(price(320).upsert_if_newer(&mut tx, 2).await?, Applied::Stale);
///
/// // Read, compute, write: only if nobody else has written since.
/// assert_eq!(price(360).update_if_version(&mut tx, 3).await?, Applied::Yes);
/// assert_eq!(price(999).update_if_version(&mut tx, 3).await?, Applied::Stale);
/// tx.commit().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a change does nothing until it is applied"]
pub struct Change {
    pub(super) table: &'static str,
    pub(super) keys: Vec<(&'static str, Value)>,
    pub(super) values: Vec<(&'static str, Value)>,
    pub(super) version_column: &'static str,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// NULL.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $into:expr),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Value { $into }
        }
    )*};
}

value_from! {
    bool => |value| Value::Bool(value),
    i32 => |value| Value::Integer(value.into()),
    i64 => |value| Value::Integer(value),
    f64 => |value| Value::Real(value),
    &str => |value| Value::Text(value.to_owned()),
    String => |value| Value::Text(value),
    &[u8] => |value| Value::Bytes(value.to_vec()),
    Vec<u8> => |value| Value::Bytes(value),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// Whether a change was made: there is no third answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a stale change was not made"]
pub enum Applied {
    /// It was made.
    Yes,
    /// It was not: the row has another version (or for an upsert, one as new), or is not there.
    Stale,
}

/// A change could not be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A name that needs more than quotes.
    #[error("\"{0}\" is no plain name of a table or column: letters, digits and '_', a schema before a '.'")]
    Name(&'static str),
    /// No key.
    #[error("the change of \"{0}\" names no key; say which row it is about with Change::key")]
    NoKey(&'static str),
    /// The database failed.
    #[error("the change failed: {0}; roll back and try again")]
    Database(#[from] sqlx::Error),
}

impl Change {
    /// A change in that table.
    pub fn of(table: &'static str) -> Change {
        Change { table, keys: Vec::new(), values: Vec::new(), version_column: "version" }
    }

    /// The row is the one with this value in that column. All columns together must be its primary key, or another
    /// unique one.
    pub fn key(mut self, column: &'static str, value: impl Into<Value>) -> Change {
        self.keys.push((column, value.into()));
        self
    }

    /// Sets a column.
    pub fn set(mut self, column: &'static str, value: impl Into<Value>) -> Change {
        self.values.push((column, value.into()));
        self
    }

    /// The version is in this column, and not in `version`.
    pub fn version_column(mut self, column: &'static str) -> Change {
        self.version_column = column;
        self
    }

    /// Changes the row if its version is still this one, and makes that one higher. On [`Applied::Stale`] read it again
    /// and decide anew.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn update_if_version<DB: InboxDatabase>(
        self,
        tx: &mut Transaction<'_, DB>,
        version: i64,
    ) -> Result<Applied, ChangeError> {
        self.check()?;
        Ok(DB::update_if_version(tx, &self, version).await?)
    }

    /// Writes the row with this version, unless it is there with the same or a higher one.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn upsert_if_newer<DB: InboxDatabase>(
        self,
        tx: &mut Transaction<'_, DB>,
        version: i64,
    ) -> Result<Applied, ChangeError> {
        self.check()?;
        Ok(DB::upsert_if_newer(tx, &self, version).await?)
    }

    fn check(&self) -> Result<(), ChangeError> {
        if self.keys.is_empty() {
            return Err(ChangeError::NoKey(self.table));
        }
        let columns = self.keys.iter().chain(&self.values).map(|(column, _)| *column);
        for name in columns.chain([self.version_column]) {
            check_name(name, name)?;
        }
        self.table.split('.').try_for_each(|part| check_name(part, self.table))
    }
}

fn check_name(part: &str, name: &'static str) -> Result<(), ChangeError> {
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    if part.is_empty() || !part.chars().all(plain) { Err(ChangeError::Name(name)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names() {
        assert!(Change::of("shop.price").key("sku", 1).check().is_ok());
        assert!(matches!(Change::of("price").check(), Err(ChangeError::NoKey("price"))));
        for change in [
            Change::of("price; DROP").key("sku", 1),
            Change::of("price").key("a\"b", 1),
            Change::of("price").key("a.b", 1),
            Change::of("price").key("sku", 1).set("", 1),
            Change::of("price").key("sku", 1).version_column("v`"),
        ] {
            assert!(matches!(change.check(), Err(ChangeError::Name(_))), "{change:?}");
        }
    }
}
