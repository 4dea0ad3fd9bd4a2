//! Turns of those who look into compressed batches. A batch of a few bytes may be many when it is decompressed: few at a time,
//! and on threads of their own, since the allocator keeps for a while what a thread has given back. Knows nothing of what is
//! looked for.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many batches are decompressed at a time, each up to some 100 MiB.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end when this and all turns are gone, and what was begun is done.
pub struct Decompressor {
    free: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
}

/// A thread that is free for whoever has this.
pub struct Turn {
    permit: OwnedSemaphorePermit,
    jobs: mpsc::Sender<Job>,
}

/// The work panicked, or the node is stopping.
#[derive(Debug)]
pub struct Unanswered;

impl Decompressor {
    /// Starts the threads. Fails when the system gives none.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..THREADS {
            let waiting = waiting.clone();
            thread::Builder::new().name(format!("decompress-{number}")).spawn(move || work(&waiting))?;
        }
        Ok(Self { free: Arc::new(Semaphore::new(THREADS)), jobs })
    }

    /// A turn, if one is free right now.
    pub fn try_turn(&self) -> Option<Turn> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Turn { permit, jobs: self.jobs.clone() })
    }

    /// Waits for a turn; first come, first served.
    pub async fn turn(&self) -> Result<Turn, Unanswered> {
        let permit = self.free.clone().acquire_owned().await.map_err(|_| Unanswered)?;
        Ok(Turn { permit, jobs: self.jobs.clone() })
    }
}

impl Turn {
    /// What `work` gives, done on one of the threads. It goes on, and the turn lasts, if nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let Self { permit, jobs } = self;
        let job = move || {
            let done = work();
            drop(permit);
            // Nobody may be waiting any more.
            let _ = answer.send(done);
        };
        jobs.send(Box::new(job)).map_err(|_| Unanswered)?;
        answered.await.map_err(|_| Unanswered)
    }
}

/// What a job shares with others is behind locks that a panic releases; the panic's hook has told of it.
fn work(waiting: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // The lock is held while waiting: whoever has it takes the next job.
        let next = waiting.lock().recv();
        let Ok(job) = next else { return };
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_so_many_work_at_a_time_and_always_the_same_threads() {
        let threads = Decompressor::start().unwrap();
        let held: Vec<_> = (0..THREADS).map(|_| threads.try_turn().unwrap()).collect();
        assert!(threads.try_turn().is_none());
        drop(held);
        for _ in 0..10 {
            let name = || thread::current().name().unwrap_or_default().to_owned();
            let name = threads.turn().await.unwrap().run(name).await.unwrap();
            assert!(name.starts_with("decompress-"), "{name}");
        }
    }

    #[tokio::test]
    async fn a_panic_costs_neither_the_thread_nor_the_turn() {
        let threads = Decompressor::start().unwrap();
        for _ in 0..2 * THREADS {
            let broken = threads.turn().await.unwrap().run(|| panic!("on purpose")).await;
            assert!(broken.is_err());
        }
        assert_eq!(threads.turn().await.unwrap().run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_turn_lasts_until_the_work_is_done_though_nobody_waits() {
        let threads = Decompressor::start().unwrap();
        let (finish, finished) = mpsc::channel::<()>();
        let held: Vec<_> = (1..THREADS).map(|_| threads.try_turn().unwrap()).collect();
        let turn = threads.turn().await.unwrap();
        let waiting = tokio::spawn(turn.run(move || finished.recv()));
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert!(threads.try_turn().is_none(), "the work goes on");
        finish.send(()).unwrap();
        drop(threads.turn().await.unwrap());
        drop(held);
    }
}
