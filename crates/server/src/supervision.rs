//! What becomes of a panic in something that runs for as long as the broker. Work that can begin anew does so, after an error
//! line; where nothing would be answered any more without it, the process ends, as it does after a failed disk, so that whoever
//! watches it can start it again. Nothing ends in silence.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::sleep;

/// Exit code when nothing can be acknowledged any more: what the disk holds has to be read again.
const EXIT_FATAL: i32 = 70;

/// How long work rests before it begins anew.
const REST: Duration = Duration::from_secs(1);

/// Does `work` for ever: anew after a panic, and should it ever be done.
pub async fn again<F: Future<Output = ()>>(name: &'static str, work: impl Fn() -> F) {
    loop {
        let why = match caught(work()).await {
            Ok(()) => "it was done".to_owned(),
            Err(why) => why,
        };
        tracing::error!(work = name, why, "background work ended; it begins anew");
        sleep(REST).await;
    }
}

/// Does `work`, without which the process is of no use: a panic in it ends the process.
pub async fn vital<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    match caught(work).await {
        Ok(done) => done,
        Err(why) => {
            let why = format!("a panic: {why}");
            end(|| tracing::error!(work = name, why, "ending, because the broker cannot go on without it"))
        }
    }
}

/// Nothing may be assumed of the disk any more: ends the process at once, before anything else is answered.
pub fn disk_failed(why: &str) {
    end(|| tracing::error!(why, "the disk failed; ending, because nothing may be acknowledged any more"));
}

/// What the work gives, or what its panic says.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    // What the work shares with others is behind locks that a panic releases; its own goes with it.
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| message(&*panic))
}

/// One cause strikes several groups and threads at the same time: the first says why, the others wait for the end.
fn end(tell: impl FnOnce()) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    while ENDING.swap(true, Ordering::AcqRel) {
        std::thread::park();
    }
    tell();
    std::process::exit(EXIT_FATAL);
}

/// What a panic says.
pub fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_begins_anew_beside_work_that_does_not_notice() {
        let (begun, steps) = (Cell::new(0), Cell::new(0));
        let fragile = again("fragile", || async {
            begun.set(begun.get() + 1);
            sleep(REST).await;
            match begun.get() {
                1 => panic!("planted"),
                2 => {}
                _ => pending().await,
            }
        });
        let steady = again("steady", || async {
            for _ in 0..100 {
                sleep(REST).await;
                steps.set(steps.get() + 1);
            }
            pending().await
        });
        let both = async { tokio::join!(fragile, steady) };
        assert!(tokio::time::timeout(REST * 50, both).await.is_err());
        assert_eq!(begun.get(), 3);
        assert!(steps.get() >= 45);
    }

    #[tokio::test]
    async fn a_panic_is_told_in_its_own_words() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let number = 3;
        assert_eq!(caught(async { panic!("number {number}") }).await, Err::<(), _>("number 3".to_owned()));
        assert_eq!(caught(async { panic!("plain") }).await, Err::<(), _>("plain".to_owned()));
    }
}
