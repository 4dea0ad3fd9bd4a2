//! What the engine and this crate ask of an asynchronous runtime: to spawn, to sleep, to run something that blocks. Only
//! here is tokio's executor named, so that a simulation can put its own in this place; the channels and locks elsewhere
//! are tokio's, which work under any executor.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use openraft::{
    OptionalSend,
    async_runtime::{AsyncRuntime, Instant},
};
use openraft_rt_tokio::{TokioInstant, TokioRuntime};

/// Sleeps shorter than this are a turn of the scheduler instead. tokio's timer counts milliseconds, and the engine
/// gathers completed syncs for one microsecond: rounded up, that would put a millisecond on the way of each commit.
const TIMER_RESOLUTION: Duration = Duration::from_micros(500);

/// The executor under the groups: the tokio runtime that [`Group::start`](crate::Group::start) is called in.
#[derive(Debug)]
pub(crate) struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = Sleep;
    type Instant = TokioInstant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Sleep {
        if duration < TIMER_RESOLUTION {
            Sleep::Turn(false)
        } else {
            Sleep::Timer(Box::pin(TokioRuntime::sleep(duration)))
        }
    }

    fn sleep_until(deadline: TokioInstant) -> Sleep {
        let duration = deadline.saturating_duration_since(TokioInstant::now());
        if duration < TIMER_RESOLUTION {
            Sleep::Turn(false)
        } else {
            Sleep::Timer(Box::pin(TokioRuntime::sleep_until(deadline)))
        }
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: TokioInstant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        TokioRuntime::thread_rng()
    }

    fn new(threads: usize) -> Runtime {
        Runtime(<TokioRuntime as AsyncRuntime>::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    async fn spawn_blocking<F, T>(f: F) -> Result<T, io::Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        tokio::task::spawn_blocking(f).await.map_err(io::Error::other)
    }
}

/// A sleep: a timer, or for less than a timer can measure, one turn of the scheduler.
pub(crate) enum Sleep {
    Turn(bool),
    Timer(Pin<Box<tokio::time::Sleep>>),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.get_mut() {
            Sleep::Timer(timer) => timer.as_mut().poll(context),
            Sleep::Turn(true) => Poll::Ready(()),
            Sleep::Turn(done) => {
                *done = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
