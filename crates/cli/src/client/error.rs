//! What can go wrong between this program and a broker, said so that a person knows what to do next.

use std::{io, time::Duration};

use tallymq_gateway::kafka::{ApiKey, DecodeError, EncodeError, ErrorCode, client_codec::FrameError};
use thiserror::Error;

/// Why a request has no useful answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// An address that cannot be parsed.
    #[error("`{0}` is not HOST:PORT")]
    Address(String),
    /// No connection.
    #[error("cannot reach {address}: {}; is the broker running? `tallymq serve` starts one", plain(source))]
    Connect {
        /// Where.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The connection ended before the answer.
    #[error("the connection to {address} ended: {reason}")]
    Lost {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("{address} did not answer {what} within {} s", after.as_secs())]
    Timeout {
        /// Where.
        address: String,
        /// What was asked.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The broker does not know the request.
    #[error("{address} does not support {api}")]
    Unsupported {
        /// Where.
        address: String,
        /// What.
        api: ApiKey,
    },
    /// The answer cannot be read.
    #[error("an answer from the broker cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The request cannot be written in the version that the broker understands.
    #[error("the request cannot be written for this broker: {0}")]
    Encode(#[from] EncodeError),
    /// The answer's length field is impossible.
    #[error("an answer from the broker is malformed: {0}")]
    Frame(#[from] FrameError),
    /// An answer to something else.
    #[error("the broker answered {0} to something else")]
    WrongAnswer(ApiKey),
    /// The broker refused.
    #[error("{what}: {} ({})", message.as_deref().unwrap_or(code.message()), code.name())]
    Refused {
        /// What was refused.
        what: String,
        /// Why, as Kafka numbers it.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
    },
    /// The topic has no leader, or is not known.
    #[error("partition {partition} of topic {topic} has no leader at the moment")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Records that cannot be read.
    #[error("{what}: {reason}")]
    Records {
        /// Which.
        what: String,
        /// Why not.
        reason: String,
    },
}

/// The system's text without its error number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.to_lowercase()
}

impl ClientError {
    /// A refusal with this code.
    pub fn refused(what: impl Into<String>, code: ErrorCode, message: Option<String>) -> ClientError {
        ClientError::Refused { what: what.into(), code, message }
    }

    /// Whether no broker could be talked to, rather than refused.
    pub fn is_connectivity(&self) -> bool {
        matches!(self, ClientError::Connect { .. } | ClientError::Lost { .. } | ClientError::Timeout { .. })
    }

    /// Whether asking again, possibly somebody else, may help.
    pub fn is_retriable(&self) -> bool {
        match self {
            // A damaged record stays damaged, though Kafka's clients try again.
            ClientError::Refused { code: ErrorCode::CorruptMessage, .. } => false,
            ClientError::Refused { code, .. } => code.is_retriable(),
            ClientError::NoLeader { .. } => true,
            other => other.is_connectivity(),
        }
    }
}

/// Nothing if there was no error, else a refusal.
pub fn check(what: impl Into<String>, code: ErrorCode, message: Option<String>) -> Result<(), ClientError> {
    if code.is_error() { Err(ClientError::refused(what, code, message)) } else { Ok(()) }
}
