//! The shell around the segment writer: the thread "segment-writer".

use std::{io, sync::Arc, thread::JoinHandle};

use super::{error::WriteFailed, store::LogStore, writer::SegmentWriter};

/// The running writer. Dropping it writes what is queued and ends it.
pub struct WriterThread {
    store: Arc<LogStore>,
    thread: Option<JoinHandle<()>>,
}

/// Drives the writer on a thread of its own until [`LogStore::close`]. `on_failure` is called there, once, if the disk
/// fails; the process is to end then.
pub fn spawn(
    store: Arc<LogStore>,
    mut writer: SegmentWriter,
    on_failure: impl FnOnce(WriteFailed) + Send + 'static,
) -> io::Result<WriterThread> {
    let run = move || {
        while writer.wait() {
            if let Err(failed) = writer.step() {
                drop(writer);
                return on_failure(failed);
            }
        }
    };
    let thread = std::thread::Builder::new().name("segment-writer".to_owned()).spawn(run)?;
    Ok(WriterThread { store, thread: Some(thread) })
}

impl WriterThread {
    /// Writes what is queued and ends the thread.
    pub fn join(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.store.close();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by its hook; the store answers `Closed` from now on.
            let _ = thread.join();
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.end();
    }
}
