//! What an application gives to a consumer.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::received::Received;
use crate::passing;

/// Why a handler did not do its work. Any error becomes one that is tried again, through `?`; those of a database that is
/// away or busy (of `sqlx`, `redis` and the inbox, with their features) become [`HandlerError::not_now`].
///
/// | the fault is | say | then |
/// |---|---|---|
/// | the record's, perhaps | [`HandlerError::retry`], or `?` | it is tried again, and is a dead letter after `attempts_max` attempts |
/// | the record's, for certain | [`HandlerError::give_up`] | it is a dead letter at once |
/// | not the record's: a service is away, another consumer has it | [`HandlerError::not_now`] | it is tried again until that is over |
#[derive(Debug)]
pub struct HandlerError {
    cause: String,
    wish: Wish,
}

/// What is to become of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Retry,
    NotNow,
    GiveUp,
}

impl HandlerError {
    /// Try again later; it counts as an attempt.
    pub fn retry(cause: impl fmt::Display) -> HandlerError {
        HandlerError { cause: cause.to_string(), wish: Wish::Retry }
    }

    /// Something else is in the way, and any record would fare the same: a database is away, another consumer has the record.
    /// It is tried again where it is, with pauses that grow up to 30 s (or as [`Retry::InPlace`](crate::Retry::InPlace) says),
    /// for as long as that takes. It is no attempt, so that an outage makes no dead letters.
    pub fn not_now(cause: impl fmt::Display) -> HandlerError {
        HandlerError { cause: cause.to_string(), wish: Wish::NotNow }
    }

    /// No attempt will ever help: to the dead letters at once.
    pub fn give_up(cause: impl fmt::Display) -> HandlerError {
        HandlerError { cause: cause.to_string(), wish: Wish::GiveUp }
    }

    /// What happened.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Whether it asks for no further attempt.
    pub fn gives_up(&self) -> bool {
        self.wish == Wish::GiveUp
    }

    /// Whether the record's time has only not come yet.
    pub fn is_not_now(&self) -> bool {
        self.wish == Wish::NotNow
    }
}

// Not an `Error` itself, so that every error converts.
impl<E: std::error::Error + 'static> From<E> for HandlerError {
    fn from(error: E) -> HandlerError {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(deeper) = source {
            let deeper_cause = deeper.to_string();
            // Many errors repeat their source in their own text.
            if !cause.contains(&deeper_cause) {
                cause = format!("{cause}: {deeper_cause}");
            }
            source = deeper.source();
        }
        let wish = if passing::is_passing(&error) { Wish::NotNow } else { Wish::Retry };
        HandlerError { cause, wish }
    }
}

/// Does the work for one record. A record is acknowledged only after this returned well; it may come again, after a
/// crash for instance, so the work has to stand being done twice (or use the inbox).
///
/// Closures `Fn(Received) -> impl Future<Output = Result<(), HandlerError>>` are handlers.
pub trait Handler: Send + Sync + 'static {
    /// Handles one record. A panic counts as a failed attempt.
    fn handle(&self, record: Received) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Received) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    fn handle(&self, record: Received) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(record)
    }
}

type Handled = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A handler whose type is forgotten.
pub(super) type AnyHandler = Arc<dyn Fn(Received) -> Handled + Send + Sync>;

pub(super) fn forget_type(handler: impl Handler) -> AnyHandler {
    let handler = Arc::new(handler);
    Arc::new(move |record| {
        let handler = handler.clone();
        Box::pin(async move { handler.handle(record).await })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_its_sources() {
        let inner = std::io::Error::other("disk on fire");
        let error = HandlerError::from(crate::OpenError::Io { directory: "d".into(), source: inner });
        assert!(error.cause().starts_with("d: disk on fire"), "{}", error.cause());
        assert_eq!(error.cause().matches("disk on fire").count(), 1);
        assert!(!error.gives_up() && HandlerError::give_up("x").gives_up());
        assert!(!error.is_not_now() && HandlerError::not_now("x").is_not_now());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_database_that_is_away_or_busy_is_told_from_a_record_that_fails() {
        use crate::inbox::InboxError;
        let away = || sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(HandlerError::from(away()).is_not_now());
        assert!(HandlerError::from(InboxError::Work(away().into())).is_not_now());
        assert!(HandlerError::from(InboxError::Conflict(sqlx::Error::RowNotFound)).is_not_now());
        assert!(HandlerError::from(InboxError::Database(sqlx::Error::PoolTimedOut)).is_not_now());
        for own in [sqlx::Error::RowNotFound, sqlx::Error::ColumnNotFound("x".into())] {
            assert!(!HandlerError::from(own).is_not_now());
        }
        assert!(
            !HandlerError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)).is_not_now()
        );
    }
}
