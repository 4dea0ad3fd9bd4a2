//! Moves dirty pages to the device ahead of a sync: the one system call for that has no safe wrapper. It makes nothing
//! durable (`sync_file_range(2)` writes no metadata and flushes no device cache).
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::fd::AsRawFd,
};

use libc::{SYNC_FILE_RANGE_WAIT_AFTER, SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE};

/// Asks the kernel to begin to write the dirty pages of a range of the file.
pub(super) fn start(file: &File, position: u64, length: u64) {
    // What goes wrong later is told to the sync.
    let _ = sync_file_range(file, position, length, SYNC_FILE_RANGE_WRITE);
}

/// Has the dirty pages of a range of the file written, and waits for that. The kernel tells an open file of a failed
/// write once: whoever hears it here must act on it.
pub(super) fn finish(file: &File, position: u64, length: u64) -> io::Result<()> {
    let flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    match sync_file_range(file, position, length, flags) {
        // Not every file system and sandbox offers it. These refuse the call, and say nothing of the data.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => Ok(()),
        outcome => outcome,
    }
}

fn sync_file_range(file: &File, position: u64, length: u64, flags: libc::c_uint) -> io::Result<()> {
    let position = i64::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
    let length = i64::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: no memory is passed, and the descriptor is open for as long as `file` is borrowed.
    let outcome = unsafe { libc::sync_file_range(file.as_raw_fd(), position, length, flags) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
