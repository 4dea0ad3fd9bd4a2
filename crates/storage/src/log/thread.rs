//! The shell around the segment writer: the thread "segment-writer".

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

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
            // After a panic a partition may be half written: nothing is to be written over that.
            let step = catch_unwind(AssertUnwindSafe(|| writer.step()));
            if let Err(failed) = step.unwrap_or_else(|_| Err(writer.panicked())) {
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
            // It has told of its failure.
            let _ = thread.join();
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.end();
    }
}
