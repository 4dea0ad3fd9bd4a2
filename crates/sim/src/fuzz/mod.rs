//! Fuzzing on the stable toolchain: each decoder and each recovery path is a [`Target`] that is fed with changed samples,
//! always the same ones for the same seed. A run finds a panic, or memory above [`MEMORY_BYTES_MAX`]; wrong answers are found
//! by what a target itself compares.
//!
//! ```text
//!  samples ──► corpus ──mutate──► input ──► Target ──► taken: joins the corpus
//!                                              └─────► panic, memory: a Finding with its input
//! ```

mod accounts;
mod engine;
mod images;
mod kafka;
mod keys;
mod mutate;
mod stored;
#[cfg(test)]
mod tests;

pub use engine::{Finding, Fuzzer, MEMORY_BYTES_MAX, try_input};

/// Something that takes bytes from outside.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: Vec<Vec<u8>>,
    /// Feeds it; true if the input was taken as valid, so that it is worth changing further.
    pub run: Run,
}

/// What a target does with an input.
pub type Run = Box<dyn Fn(&[u8]) -> bool>;

type Make = fn() -> Target;

/// Every target by name.
pub const TARGETS: [(&str, Make); 20] = [
    ("kafka-request", kafka::request),
    ("kafka-response", kafka::response),
    ("kafka-session", kafka::session),
    ("records", kafka::records),
    ("decompress", kafka::decompressors),
    ("admit", kafka::admission),
    ("consumer-protocol", kafka::consumer_protocol),
    ("metadata-command", stored::metadata_command),
    ("data-command", stored::data_command),
    ("metadata-state", stored::metadata_state),
    ("data-checkpoint", stored::data_checkpoint),
    ("account-state", accounts::state),
    ("account-journal", accounts::journal),
    ("receipt-text", accounts::receipts),
    ("consensus-entry", stored::consensus_entry),
    ("config-value", stored::config_value),
    ("wal", images::wal),
    ("segment", images::segment),
    ("key-index", keys::index),
    ("checkpoint", images::checkpoints),
];

/// The target of that name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}
