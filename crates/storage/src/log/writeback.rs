//! Moves what the writer wrote on to the device, a little at a time. Left to the kernel it would all go when a checkpoint
//! syncs, and commits would wait behind hundreds of megabytes. Makes nothing durable: the sync that follows does.

use std::sync::Arc;

use super::{error::WriteFailed, names, partition::PartitionLog, shared::Shared};
use crate::disk::{File, OpenMode};

/// Pieces of a segment that begin their way to the device when they are complete.
const PIECE_BYTES: u64 = 128 << 10;

/// `bytes` were written at `at`: starts the pieces that this completes.
pub(super) fn start(segment: &dyn File, at: u64, bytes: u64) {
    let (from, to) = (at / PIECE_BYTES, (at + bytes) / PIECE_BYTES);
    if from < to {
        segment.start_writeback(from * PIECE_BYTES, (to - from) * PIECE_BYTES);
    }
}

/// Sends the incomplete pieces of the partitions' newest segments on, one after the other, so that the device always has
/// room for a commit in between.
pub(super) fn finish(shared: &Shared, partitions: &[Arc<PartitionLog>]) -> Result<(), WriteFailed> {
    for partition in partitions {
        let Some((base, bytes)) = partition.state.lock().take_written_lately() else { continue };
        let path = names::segment(partition.topic_partition(), base);
        let open = || shared.disk.open(&path, OpenMode::Write);
        // A segment that retention has removed meanwhile needs no sync.
        let Ok(open) = shared.files.get((partition.serial, base), open) else { continue };
        let at = bytes / PIECE_BYTES * PIECE_BYTES;
        open.file
            .finish_writeback(at, bytes - at)
            .map_err(|source| shared.fail("writing back", &path, source))?;
    }
    Ok(())
}
