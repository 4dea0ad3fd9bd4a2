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
            let places = (place, address_place);
            let peer = Peer { client, local, connection: open.connection };
            match serve(stream, peer, calls, limits, stop).await {
                // A client that goes away is no news.
                Ok(()) | Err(ConnectionError::Io(_)) => {}
                Err(error) => {
                    metrics.connections_refused.inc();
                    tracing::warn!(%client, %error, "connection closed");
                }
            }
            // In this order: who sees that one connection is less finds its place free.
            drop(places);
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
    use tallymq_gateway::kafka::{
        messages::api_versions::ApiVersionsResponse,
        session::{Call, SessionLimits},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
        time::sleep,
    };

    use super::{
        super::connection::{Answer, Pending, Step},
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

        fn waits_for_others(&self, _: &Call) -> bool {
            false
        }

        fn begin(self: &Arc<Self>, _: Peer, _: &watch::Receiver<bool>, _: Call) -> Pending<Step> {
            assert_eq!(*self.0.lock(), [7]);
            Box::pin(async { panic!("planted") })
        }

        fn moved(&self, _: usize, _: usize) {}
    }

    /// Answers each call after `SLOW`, and tells that it has begun.
    struct Slow(Notify);

    const SLOW: Duration = Duration::from_secs(15);

    impl Calls for Slow {
        fn connected(&self) -> u64 {
            1
        }

        fn disconnected(&self, _: u64) {}

        fn waits_for_others(&self, _: &Call) -> bool {
            false
        }

        fn begin(self: &Arc<Self>, _: Peer, _: &watch::Receiver<bool>, _: Call) -> Pending<Step> {
            self.0.notify_one();
            let answer = async {
                sleep(SLOW).await;
                Answer::Response(ApiVersionsResponse::default().into())
            };
            Box::pin(async { Step::Waiting(Box::pin(answer)) })
        }

        fn moved(&self, _: usize, _: usize) {}
    }

    /// ApiVersions, version 0, without a client id.
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

    fn acceptor<C: Calls>(calls: Arc<C>, metrics: RequestMetrics) -> (Acceptor<C>, watch::Sender<bool>) {
        let (sender, stop) = watch::channel(false);
        let session = SessionLimits {
            frame_bytes_max: 1 << 20,
            requests_in_flight_max: 5,
            bytes_in_flight_max: 1 << 20,
        };
        let limits =
            ConnectionLimits { session, idle_max: Duration::from_secs(600), budget: Budget::new(1 << 20) };
        let (room, per_address) = (Arc::new(Semaphore::new(2)), PerAddress::new(10));
        (Acceptor { calls, metrics, limits, room, per_address, stop }, sender)
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_waits_for_the_disk() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Slow(Notify::new()));
        let (acceptor, stop) = acceptor(calls.clone(), Metrics::new(Vec::new()).requests);
        let accepting = tokio::spawn(acceptor.run(listener));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&REQUEST).await.unwrap();
        calls.0.notified().await;
        // From here on time jumps to the next moment at which something is due.
        tokio::time::pause();
        stop.send_replace(true);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.get(4..8), Some(&[0, 0, 0, 1][..]), "the answer to request 1: {answer:?}");
        accepting.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_panics_leaves_nothing_behind() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, metrics) = (Arc::new(Fragile::default()), Metrics::new(Vec::new()).requests);
        let (acceptor, stop) = acceptor(calls.clone(), metrics.clone());
        let accepting = tokio::spawn(acceptor.run(listener));
        for _ in 0..2 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&REQUEST).await.unwrap();
            assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0, "nobody answers");
        }
        stop.send_replace(true);
        accepting.await.unwrap();
        assert_eq!((calls.0.lock().len(), metrics.connections.get()), (0, 0));
        assert_eq!(metrics.connections_accepted.get(), 2);
    }
}
