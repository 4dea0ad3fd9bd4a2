//! How long a connection stays once the broker stops: until its calls are answered and the answers have left, within bounds.

use std::time::Duration;

use tokio::time::Instant;

/// How long calls may take then that wait for other clients, as a join does for minutes; and how long answers may take to
/// leave.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long all other calls may take: they wait for the disk at most.
const STOP_DISK_GRACE: Duration = Duration::from_secs(20);

/// When a connection ends although something is left, once the broker stops.
pub(super) struct Ending {
    began: Instant,
    /// Up to when something waited for the disk: what came of that has its time to leave. Nothing else puts the end off.
    waited: Instant,
    is_waiting: bool,
}

impl Ending {
    /// The broker stops now.
    pub(super) fn begin() -> Ending {
        let now = Instant::now();
        Ending { began: now, waited: now, is_waiting: false }
    }

    /// The moment, if nothing more happens. `waits_for_disk` says whether something does as of now.
    pub(super) fn at(&mut self, waits_for_disk: bool) -> Instant {
        if self.is_waiting {
            self.waited = Instant::now();
        }
        self.is_waiting = waits_for_disk;
        let last = self.began + STOP_DISK_GRACE;
        if waits_for_disk { last } else { (self.waited + STOP_GRACE).min(last) }
    }
}
