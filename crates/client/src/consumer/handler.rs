//! What an application gives to a consumer.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::received::Received;

/// Why a handler did not do its work. Any error becomes one that is tried again, through `?`.
#[derive(Debug)]
pub struct HandlerError {
    cause: String,
    gives_up: bool,
}

impl HandlerError {
    /// Try again later.
    pub fn retry(cause: impl fmt::Display) -> HandlerError {
        HandlerError { cause: cause.to_string(), gives_up: false }
    }

    /// No attempt will ever help: to the dead letters at once.
    pub fn give_up(cause: impl fmt::Display) -> HandlerError {
        HandlerError { cause: cause.to_string(), gives_up: true }
    }

    /// What happened.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Whether it asks for no further attempt.
    pub fn gives_up(&self) -> bool {
        self.gives_up
    }
}

// Not an `Error` itself, so that every error converts.
impl<E: std::error::Error> From<E> for HandlerError {
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
        HandlerError::retry(cause)
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
    }
}
