//! The switch of the bugs that proofs plant on purpose. Constant false in release builds; it may decide
//! nothing else.

/// Whether the planted bug `name` is switched on, through the environment variable `TALLYMQ_PLANTED` (names, separated
/// by commas).
#[inline]
pub(crate) fn planted(name: &str) -> bool {
    #[cfg(debug_assertions)]
    {
        std::env::var("TALLYMQ_PLANTED").is_ok_and(|names| names.split(',').any(|one| one == name))
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        false
    }
}
