//! Moves what the writer wrote on to the device, a little at a time. Left to the kernel it would all go when a checkpoint
//! syncs, and commits would wait behind hundreds of megabytes. Makes nothing durable: the sync that follows does.

use std::{collections::VecDeque, io, sync::Arc};

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

/// Pieces on their way at a time: enough that the device need not wait for the next one, and so few that a commit in between
/// finds room.
const PIECES_AHEAD: usize = 32;

/// A piece on its way.
struct Piece {
    file: Arc<dyn File>,
    path: String,
    at: u64,
    bytes: u64,
}

/// The pieces on their way, oldest first.
#[derive(Default)]
struct Ahead(VecDeque<Piece>);

/// Why a piece did not arrive, and of which file it was.
type Lost = (String, io::Error);

impl Ahead {
    /// Sends one more, as soon as there are few enough ahead of it.
    fn send(&mut self, piece: Piece) -> Result<(), Lost> {
        if self.0.len() >= PIECES_AHEAD {
            self.arrive()?;
        }
        piece.file.start_writeback(piece.at, piece.bytes);
        self.0.push_back(piece);
        Ok(())
    }

    /// Waits for the oldest.
    fn arrive(&mut self) -> Result<(), Lost> {
        let Some(Piece { file, path, at, bytes }) = self.0.pop_front() else { return Ok(()) };
        file.finish_writeback(at, bytes).map_err(|source| (path, source))
    }

    fn all_arrive(mut self) -> Result<(), Lost> {
        while !self.0.is_empty() {
            self.arrive()?;
        }
        Ok(())
    }
}

/// Sends the incomplete pieces of the partitions' newest segments on, and returns when they have arrived.
pub(super) fn finish(shared: &Shared, partitions: &[Arc<PartitionLog>]) -> Result<(), WriteFailed> {
    let failed = |(path, source): Lost| shared.fail("writing back", &path, source);
    // Of all groups that make a checkpoint one after the other, or there would be as many pieces more.
    let _one = shared.sending.lock();
    let mut ahead = Ahead::default();
    for partition in partitions {
        let Some((base, bytes)) = partition.state.lock().take_written_lately() else { continue };
        let path = names::segment(partition.topic_partition(), base);
        let open = || shared.disk.open(&path, OpenMode::Write);
        // A segment that retention has removed meanwhile needs no sync.
        let Ok(open) = shared.files.get((partition.serial, base), open) else { continue };
        let at = bytes / PIECE_BYTES * PIECE_BYTES;
        let piece = Piece { file: Arc::clone(&open.file), path, at, bytes: bytes - at };
        ahead.send(piece).map_err(failed)?;
    }
    ahead.all_arrive().map_err(failed)
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// Counts what is on its way; the piece at `broken` is lost.
    #[derive(Default)]
    struct Device {
        on_its_way: Mutex<VecDeque<u64>>,
        most: Mutex<usize>,
        broken: Option<u64>,
    }

    impl File for Device {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, _: &[&[u8]], _: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn size_bytes(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn set_size(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn drop_cache(&self) -> io::Result<()> {
            Ok(())
        }
        fn start_writeback(&self, at: u64, _: u64) {
            let mut on_its_way = self.on_its_way.lock();
            on_its_way.push_back(at);
            let mut most = self.most.lock();
            *most = on_its_way.len().max(*most);
        }
        fn finish_writeback(&self, at: u64, _: u64) -> io::Result<()> {
            assert_eq!(self.on_its_way.lock().pop_front(), Some(at), "the oldest first");
            if self.broken == Some(at) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        }
    }

    fn send(device: &Arc<Device>) -> Result<(), Lost> {
        let mut ahead = Ahead::default();
        for at in 0..10 * PIECES_AHEAD as u64 {
            ahead.send(Piece { file: device.clone(), path: format!("file-{at}"), at, bytes: 1 })?;
        }
        ahead.all_arrive()
    }

    #[test]
    fn many_pieces_are_on_their_way_but_never_too_many_and_all_arrive() {
        let device = Arc::new(Device::default());
        send(&device).unwrap();
        assert_eq!((*device.most.lock(), device.on_its_way.lock().len()), (PIECES_AHEAD, 0));
    }

    #[test]
    fn a_piece_that_is_lost_is_told_with_its_file() {
        for broken in [0, 7, 10 * PIECES_AHEAD as u64 - 1] {
            let device = Arc::new(Device { broken: Some(broken), ..Device::default() });
            assert_eq!(send(&device).unwrap_err().0, format!("file-{broken}"));
        }
    }
}
