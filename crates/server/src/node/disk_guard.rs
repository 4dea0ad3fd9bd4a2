//! Watches the free space of the data directory. Below the reserve produce is refused, so that commits, deletes and
//! checkpoints still have room; above it (and a little more, against flapping) produce goes on by itself. What was taken in and
//! is not on the disk yet counts as if it were, and the more comes in the more often the disk is asked.

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
    /// Taken in since the last look.
    taken_bytes: AtomicU64,
}

/// The disk is looked at again after this part of the reserve was taken in.
const LOOKS_PER_RESERVE: u64 = 16;

impl DiskGuard {
    /// Keeps `reserve_bytes` free, but at most a tenth of the file system.
    pub fn new(disk: Arc<dyn Disk>, reserve_bytes: u64) -> DiskGuard {
        let total_bytes = disk.space().map_or(u64::MAX, |space| space.total_bytes);
        let guard = DiskGuard {
            disk,
            reserve_bytes: reserve_bytes.min(total_bytes / 10),
            available_bytes: AtomicU64::new(u64::MAX),
            nearly_full: AtomicBool::new(false),
            taken_bytes: AtomicU64::new(0),
        };
        guard.look(0);
        guard
    }

    /// What is kept free on this disk.
    pub fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes
    }

    /// Notes that `bytes` will be written; true if it is time for a look.
    #[must_use]
    pub fn takes(&self, bytes: u64) -> bool {
        let taken_bytes = self.taken_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        taken_bytes > self.reserve_bytes / LOOKS_PER_RESERVE
    }

    /// Asks the disk, of which `unwritten_bytes` in memory will take their part.
    pub fn look(&self, unwritten_bytes: u64) {
        self.taken_bytes.store(0, Ordering::Relaxed);
        let Space { available_bytes, .. } = match self.disk.space() {
            Ok(space) => space,
            Err(error) => return tracing::warn!(%error, "cannot read the free disk space"),
        };
        let available_bytes = available_bytes.saturating_sub(unwritten_bytes);
        let reserve = self.reserve_bytes;
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

#[cfg(test)]
mod tests {
    use tallymq_storage::disk::MemoryDisk;

    use super::*;

    #[test]
    fn what_is_in_memory_counts_as_written_and_much_of_it_calls_for_a_look() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let Space { total_bytes, available_bytes } = disk.space().unwrap();
        let guard = DiskGuard::new(disk, u64::MAX);
        let reserve = total_bytes / 10;
        assert_eq!(guard.reserve_bytes(), reserve);
        assert!(!guard.is_nearly_full());
        assert!(!guard.takes(reserve / 32));
        assert!(guard.takes(reserve / 16));
        guard.look(available_bytes - reserve + 1);
        assert!(guard.is_nearly_full());
        assert!(!guard.takes(1), "counted from the last look on");
        guard.look(available_bytes - reserve);
        assert!(guard.is_nearly_full(), "a little more room is wanted than when it became full");
        guard.look(0);
        assert!(!guard.is_nearly_full());
    }
}
