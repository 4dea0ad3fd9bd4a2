//! Accepting connections, up to a bound, until told to stop; then waits for those that are open.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    connection::{Calls, ConnectionError, ConnectionLimits, Peer, serve},
    per_address::PerAddress,
};
use crate::{metrics::RequestMetrics, stop::stopped};

/// After a failed accept (out of file descriptors, mostly) the listener rests this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every connection of a listener shares.
pub struct Acceptor<C> {
    /// Handles the calls.
    pub calls: Arc<C>,
    /// Counts connections.
    pub metrics: RequestMetrics,
    /// Bounds of each connection.
    pub limits: ConnectionLimits,
    /// Bound on how many there are (`max.connections`), over all listeners.
    pub room: Arc<Semaphore>,
    /// Bound on how many one address has.
    pub per_address: PerAddress,
    /// Turns true when the broker stops.
    pub stop: watch::Receiver<bool>,
}

impl<C: Calls> Acceptor<C> {
    /// Accepts until stopped, then returns when every connection has ended.
    pub async fn run(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
                () = stopped(&mut stop) => break,
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    fn admit(&mut self, stream: TcpStream, connections: &mut JoinSet<()>) {
        let (Ok(client), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
            return;
        };
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            self.metrics.connections_refused.inc();
            tracing::warn!(%client, "connection refused: there are max.connections already");
            return;
        };
        let Some(address_place) = self.per_address.enter(client.ip()) else {
            self.metrics.connections_refused.inc();
            tracing::warn!(%client, "connection refused: its address has max.connections.per.ip already");
            return;
        };
        let (calls, metrics, limits, stop) =
            (self.calls.clone(), self.metrics.clone(), self.limits.clone(), self.stop.clone());
        metrics.connections_accepted.inc();
        metrics.connections.inc();
        connections.spawn(async move {
            let _places = (place, address_place);
            let connection = calls.connected();
            let served = serve(stream, Peer { client, local, connection }, calls.clone(), limits, stop).await;
            calls.disconnected(connection);
            match served {
                // A client that goes away is no news.
                Ok(()) | Err(ConnectionError::Io(_)) => {}
                Err(error) => {
                    metrics.connections_refused.inc();
                    tracing::warn!(%client, %error, "connection closed");
                }
            }
            metrics.connections.dec();
        });
    }
}
