//! The signal that the server is to stop, as everything that runs listens to it.

use tokio::sync::watch;

/// Returns once the signal is given, or whoever could give it is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Nothing but the value itself is in the result, and an error means that the sender is gone.
    drop(stop.wait_for(|stop| *stop).await);
}
