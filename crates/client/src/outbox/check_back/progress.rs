//! How many halves there are. It asks nothing by itself.

use super::super::Progress;

/// What is in a check-back's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckBackProgress {
    /// Halves that are neither committed nor rolled back, and about which the application is or will be asked.
    pub prepared: u64,
    /// Halves about which it was asked in vain as often as allowed: a person must decide.
    pub unresolved: u64,
    /// The committed messages.
    pub outbox: Progress,
}
