//! Watches the free space of the data directory. Below the reserve produce is refused, so that commits, deletes and
//! checkpoints still have room; above it (and a little more, against flapping) produce goes on by itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tallymq_storage::disk::{Disk, Space};

/// What the last look at the disk said.
pub struct DiskGuard {
    disk: Arc<dyn Disk>,
    reserve_bytes: u64,
    available_bytes: AtomicU64,
    nearly_full: AtomicBool,
}

impl DiskGuard {
    /// Keeps `reserve_bytes` free, but at most a tenth of the file system.
    pub fn new(disk: Arc<dyn Disk>, reserve_bytes: u64) -> DiskGuard {
        let guard = DiskGuard {
            disk,
            reserve_bytes,
            available_bytes: AtomicU64::new(u64::MAX),
            nearly_full: AtomicBool::new(false),
        };
        guard.look();
        guard
    }

    /// Asks the disk.
    pub fn look(&self) {
        let Space { total_bytes, available_bytes } = match self.disk.space() {
            Ok(space) => space,
            Err(error) => return tracing::warn!(%error, "cannot read the free disk space"),
        };
        let reserve = self.reserve_bytes.min(total_bytes / 10);
        let was_full = self.nearly_full.load(Ordering::Relaxed);
        let limit = if was_full { reserve + reserve / 4 } else { reserve };
        let is_full = available_bytes < limit;
        self.available_bytes.store(available_bytes, Ordering::Relaxed);
        self.nearly_full.store(is_full, Ordering::Relaxed);
        if is_full && !was_full {
            tracing::error!(
                available_bytes,
                reserve_bytes = reserve,
                "the disk is nearly full: produce is refused"
            );
        } else if was_full && !is_full {
            tracing::info!(available_bytes, "there is room on the disk again: produce is accepted");
        }
    }

    /// Asks the disk for its size and free bytes.
    pub fn space(&self) -> Option<Space> {
        self.disk.space().ok()
    }

    /// Whether produce must be refused.
    pub fn is_nearly_full(&self) -> bool {
        self.nearly_full.load(Ordering::Relaxed)
    }

    /// Free bytes at the last look.
    pub fn available_bytes(&self) -> u64 {
        self.available_bytes.load(Ordering::Relaxed)
    }
}
