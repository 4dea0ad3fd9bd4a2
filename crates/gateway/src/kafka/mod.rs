//! The Kafka protocol: wire layout, messages, connection session. It knows nothing of topics or groups beyond their
//! names on the wire.
//!
//! ```text
//!  bytes ──► Session ──► Call { header, Request } ──► (the server) ──► Response ──► Session ──► bytes
//!              │ frame, header.rs          request.rs: one variant per API
//!              └ schema! in messages/*.rs over wire/: bounded reader, chaining writer
//! ```

pub mod api;
pub mod client_codec;
pub mod consumer_protocol;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod messages;
pub mod records;
pub mod request;
mod schema;
pub mod session;
pub mod wire;

pub use api::ApiKey;
pub use error_code::ErrorCode;
pub use request::{Request, Response};
pub use session::{Call, CallId, Session, SessionError, SessionLimits};
pub use wire::{DecodeError, EncodeError, Records, Structure};
