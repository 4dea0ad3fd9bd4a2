//! The server: configuration, listeners, the node and its groups, handlers, HTTP. A shell: it moves values between the
//! crates below and decides no rule of theirs.

pub mod account;
pub mod books;
pub mod config;
pub mod http;
pub mod identity;
pub mod kafka;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod net;
pub mod node;
mod run;
mod stop;
mod supervision;

pub use config::{Config, ConfigError, Sources};
pub use run::{Server, ServerError};
