//! Why an index of keys gives no answer.

use std::io;

use thiserror::Error;

use crate::log::Damage;

/// Why an index gives no answer; the log itself has to be read instead.
#[derive(Debug, Error)]
pub enum KeysError {
    /// Its bytes are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// It could not be read.
    #[error("reading {file}: {source}")]
    Io {
        /// Path of the file, relative to the data directory.
        file: String,
        /// The disk's answer.
        source: io::Error,
    },
}
