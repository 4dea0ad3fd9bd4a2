//! The log of the process: text for people or JSON for machines, on standard error. Set up once, by the binary.

use thiserror::Error;
use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error(
        "tracing.filter `{filter}` is not a level (error, warn, info, debug, trace) or a tracing filter: {source}"
    )]
    Filter {
        /// As configured.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
}

/// Starts logging at `filter` (a level, or `target=level` pairs). A second call changes nothing.
pub fn start(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    // The consensus engine narrates every step at info; only its errors are news to an operator.
    let layered = format!("openraft=error,{filter}");
    let filter = EnvFilter::try_new(&layered)
        .map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let _already_started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
