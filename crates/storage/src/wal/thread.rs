//! The shell around the committer: its thread, which sleeps while there is nothing to do, and the one that prepares
//! files. The only room of the log with a clock. What it decides is when to call, never what to write.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::disk::schedule_promptly;

use super::{
    commit::CommitFailed,
    committer::{Committer, Step},
    options::Nanos,
    prepare::Preparer,
    shared::Shared,
};

/// The running committer. Dropping it ends it as [`CommitterThread::stop`] does.
pub struct CommitterThread {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<Result<(), CommitFailed>>>,
    preparer: Option<JoinHandle<()>>,
    preparer_stops: Arc<AtomicBool>,
    scheduling: Arc<Mutex<String>>,
}

/// Starts the threads "wal-commit" and "wal-prepare". `failed` is called on the former, after every pending completion,
/// when a write or sync has failed: the process must end then.
pub fn spawn(
    mut committer: Committer,
    failed: impl FnOnce(CommitFailed) + Send + 'static,
) -> io::Result<CommitterThread> {
    let shared = Arc::clone(&committer.shared);
    let scheduling = Arc::new(Mutex::new(String::new()));
    let preparer_stops = Arc::new(AtomicBool::new(false));
    let preparer = committer.take_preparer();
    let (started, running) = std::sync::mpsc::channel();
    let thread = {
        let scheduling = Arc::clone(&scheduling);
        std::thread::Builder::new().name("wal-commit".to_owned()).spawn(move || {
            *scheduling.lock() = schedule_promptly();
            let _ = started.send(());
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut committer)));
            let outcome = run.unwrap_or_else(|_| {
                let error = CommitFailed::Disk(Arc::new(io::Error::other("the committer panicked")));
                // Its state is not to be trusted: what is pending must not become durable any more.
                committer.shared.close(&error);
                Err(error)
            });
            if let Err(error @ CommitFailed::Disk(_)) = &outcome {
                failed(error.clone());
            }
            outcome
        })?
    };
    let mut threads = CommitterThread {
        shared: Arc::clone(&shared),
        committer: Some(thread),
        preparer: None,
        preparer_stops: Arc::clone(&preparer_stops),
        scheduling,
    };
    let _ = running.recv();
    if let Some(preparer) = preparer {
        let prepare = move || prepare(preparer, &shared, &preparer_stops);
        threads.preparer = Some(std::thread::Builder::new().name("wal-prepare".to_owned()).spawn(prepare)?);
    }
    Ok(threads)
}

fn run(committer: &mut Committer) -> Result<(), CommitFailed> {
    let begun = Instant::now();
    let now = move || Nanos(begun.elapsed().as_nanos() as u64);
    committer.measure_with(Box::new(now));
    let shared = Arc::clone(&committer.shared);
    loop {
        let Step::Idle { until } = committer.step(now())? else {
            continue;
        };
        let mut queue = shared.queue.lock();
        if queue.stopping {
            drop(queue);
            return committer.finish(now());
        }
        if !queue.submissions.is_empty() || queue.closed.is_some() {
            continue;
        }
        queue.parked = true;
        match until {
            None => shared.queued.wait(&mut queue),
            Some(until) => {
                let _ = shared.queued.wait_until(&mut queue, begun + Duration::from_nanos(until.0));
            }
        }
        queue.parked = false;
    }
}

fn prepare(mut preparer: Preparer, shared: &Shared, stops: &AtomicBool) {
    loop {
        while !stops.load(Ordering::Acquire) && preparer.step() {}
        let mut files = shared.files.lock();
        if stops.load(Ordering::Acquire) || preparer.is_over() {
            return;
        }
        if preparer.wanted_with(&files) {
            continue;
        }
        shared.spare_wanted.wait(&mut files);
    }
}

impl CommitterThread {
    /// How the kernel schedules the committer.
    pub fn scheduling(&self) -> String {
        self.scheduling.lock().clone()
    }

    /// Commits what is queued, writes the closing group and ends both threads. What is submitted later fails.
    pub fn stop(mut self) -> Result<(), CommitFailed> {
        self.end()
    }

    fn end(&mut self) -> Result<(), CommitFailed> {
        self.shared.queue.lock().stopping = true;
        self.shared.queued.notify_all();
        let outcome = match self.committer.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            // It panicked; dropping the committer has closed the log.
            Some(Err(_)) => Err(CommitFailed::Closed),
            None => Ok(()),
        };
        {
            let _files = self.shared.files.lock();
            self.preparer_stops.store(true, Ordering::Release);
            self.shared.spare_wanted.notify_all();
        }
        if let Some(preparer) = self.preparer.take() {
            let _ = preparer.join();
        }
        outcome
    }
}

impl Drop for CommitterThread {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
