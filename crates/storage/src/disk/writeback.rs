//! Starts the writing of dirty pages without waiting for it: the one system call for that has no safe wrapper. It makes
//! nothing durable (`sync_file_range(2)` writes no metadata and flushes no device cache).
#![allow(unsafe_code)]

use std::{fs::File, os::fd::AsRawFd};

/// Asks the kernel to begin to write the dirty pages of a range of the file.
pub(super) fn start_writeback(file: &File, position: u64, length: u64) {
    let (Ok(position), Ok(length)) = (i64::try_from(position), i64::try_from(length)) else { return };
    // SAFETY: no memory is passed, and the descriptor is open for as long as `file` is borrowed.
    let outcome =
        unsafe { libc::sync_file_range(file.as_raw_fd(), position, length, libc::SYNC_FILE_RANGE_WRITE) };
    // A file system may not offer it, and a failed write is reported to the sync that follows.
    let _ = outcome;
}
