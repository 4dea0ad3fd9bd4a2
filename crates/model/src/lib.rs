//! The nouns of TallyMQ: ids, positions, record batches. Pure data; nothing here may touch a clock, a file, a
//! socket or randomness, and nothing here imports another crate of ours.

pub mod batch;
pub mod ids;
pub mod parts;
pub mod varint;

pub use batch::{BatchError, BatchHeader, TimestampType};
pub use ids::*;
pub use parts::Parts;

/// Whether the planted bug `name` is switched on. Constant false in release builds; in debug builds, which are the tests',
/// the environment variable `TALLYMQ_PLANTED` names the one bug that is active.
#[inline(always)]
#[allow(clippy::disallowed_methods, reason = "debug builds only: tests choose a planted bug by it")]
pub fn planted(name: &str) -> bool {
    #[cfg(debug_assertions)]
    {
        static ACTIVE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        ACTIVE.get_or_init(|| std::env::var("TALLYMQ_PLANTED").ok()).as_deref() == Some(name)
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        false
    }
}
