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
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    if let Err(panicked) = ended {
                        tracing::error!(%panicked, "a connection ended by a panic");
                    }
                }
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
        let open = Open::new(calls.clone(), metrics.clone());
        connections.spawn(async move {
            let _places = (place, address_place);
            let peer = Peer { client, local, connection: open.connection };
            match serve(stream, peer, calls, limits, stop).await {
                // A client that goes away is no news.
                Ok(()) | Err(ConnectionError::Io(_)) => {}
                Err(error) => {
                    metrics.connections_refused.inc();
                    tracing::warn!(%client, %error, "connection closed");
                }
            }
            drop(open);
        });
    }
}

/// An open connection, as the calls and the metrics know it; none any more when it is dropped, however it ended.
struct Open<C: Calls> {
    calls: Arc<C>,
    metrics: RequestMetrics,
    connection: u64,
}

impl<C: Calls> Open<C> {
    fn new(calls: Arc<C>, metrics: RequestMetrics) -> Open<C> {
        metrics.connections.inc();
        let connection = calls.connected();
        Open { calls, metrics, connection }
    }
}

impl<C: Calls> Drop for Open<C> {
    fn drop(&mut self) {
        self.calls.disconnected(self.connection);
        self.metrics.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tallymq_gateway::kafka::session::{Call, SessionLimits};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::{
        super::connection::{Pending, Step},
        *,
    };
    use crate::{memory::Budget, metrics::Metrics};

    /// Who is connected; every call panics.
    #[derive(Default)]
    struct Fragile(Mutex<Vec<u64>>);

    impl Calls for Fragile {
        fn connected(&self) -> u64 {
            self.0.lock().push(7);
            7
        }

        fn disconnected(&self, connection: u64) {
            self.0.lock().retain(|open| *open != connection);
        }

        fn begin(self: &Arc<Self>, _: Peer, _: &watch::Receiver<bool>, _: Call) -> Pending<Step> {
            assert_eq!(*self.0.lock(), [7]);
            Box::pin(async { panic!("planted") })
        }

        fn moved(&self, _: usize, _: usize) {}
    }

    #[tokio::test]
    async fn a_connection_that_panics_leaves_nothing_behind() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, metrics) = (Arc::new(Fragile::default()), Metrics::new(Vec::new()).requests);
        let (stop, stopped) = watch::channel(false);
        let session = SessionLimits {
            frame_bytes_max: 1 << 20,
            requests_in_flight_max: 5,
            bytes_in_flight_max: 1 << 20,
        };
        let limits =
            ConnectionLimits { session, idle_max: Duration::from_secs(600), budget: Budget::new(1 << 20) };
        let acceptor = Acceptor {
            calls: calls.clone(),
            metrics: metrics.clone(),
            limits,
            room: Arc::new(Semaphore::new(2)),
            per_address: PerAddress::new(10),
            stop: stopped,
        };
        let accepting = tokio::spawn(acceptor.run(listener));
        for _ in 0..2 {
            let mut client = TcpStream::connect(address).await.unwrap();
            // ApiVersions, version 0, without a client id.
            client.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).await.unwrap();
            assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0, "nobody answers");
        }
        stop.send_replace(true);
        accepting.await.unwrap();
        assert_eq!((calls.0.lock().len(), metrics.connections.get()), (0, 0));
        assert_eq!(metrics.connections_accepted.get(), 2);
    }
}
