//! Waiting for something to become true, with a limit, instead of sleeping.

use std::time::Duration;

/// Nothing takes so long, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Waits until `done`; panics with `what` if it takes too long.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        while !done() {
            ticks.tick().await;
        }
    };
    within(what, waiting).await;
}

/// The future's value; panics with `what` if it takes too long.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

/// Lets so much time pass for something that must not happen meanwhile.
pub async fn pass(time: Duration) {
    drop(tokio::time::timeout(time, std::future::pending::<()>()).await);
}
