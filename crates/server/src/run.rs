//! A server as a whole: started from a configuration, asked where it listens, stopped in order.

use std::{net::SocketAddr, sync::Arc};

use tallymq_storage::disk::Disk;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    config::{Config, Startup},
    http,
    kafka::KafkaCalls,
    net::{
        accept::Acceptor,
        listener::{BindError, SocketOptions, bind},
        per_address::PerAddress,
    },
    node::{self, Node, NodeParts},
    supervision::vital,
};

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Its node does not.
    #[error(transparent)]
    Node(#[from] node::StartError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// A running server.
pub struct Server {
    parts: NodeParts,
    kafka: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Opens the data directory, recovers, and listens. When this returns clients are served.
    pub async fn start(config: Config) -> Result<Server, ServerError> {
        let startup = Startup::from_config(&config).map_err(node::StartError::from)?;
        if !startup.data_dir.exists() {
            // A start that is refused for its listeners leaves no new directory. They are closed again: nobody is to
            // wait on a connection while the directory is made.
            drop(bind_all(&startup).await?);
        }
        Server::listen(node::open(config).await?).await
    }

    /// The same on a disk that is not the data directory.
    pub async fn start_on(disk: Arc<dyn Disk>, config: Config) -> Result<Server, ServerError> {
        Server::listen(node::open_on(disk, config).await?).await
    }

    async fn listen(parts: NodeParts) -> Result<Server, ServerError> {
        let (listeners, http_listeners) = match bind_all(&parts.node.startup).await {
            Ok(listeners) => listeners,
            Err(error) => {
                parts.stop().await;
                return Err(error.into());
            }
        };
        let node = parts.node.clone();
        let (stop, stopped) = watch::channel(false);
        let (kafka, http) = (addresses(&listeners), addresses(&http_listeners));
        let mut tasks = Vec::new();
        let acceptors = acceptors(&node, &stopped);
        for listener in listeners {
            tasks.push(tokio::spawn(vital("Kafka listener", acceptors().run(listener))));
        }
        for listener in http_listeners {
            let serving = http::serve(listener, node.clone(), stopped.clone());
            tasks.push(tokio::spawn(vital("HTTP listener", serving)));
        }
        Ok(Server { parts, kafka, http, tasks, stop })
    }

    /// The node, for what the binary prints.
    pub fn node(&self) -> &Arc<Node> {
        &self.parts.node
    }

    /// Where Kafka clients connect.
    pub fn kafka_addresses(&self) -> &[SocketAddr] {
        &self.kafka
    }

    /// Where health and metrics are.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Stops in order: no new connections, what is in flight is answered, files are synced and closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A listener's task gives nothing back.
            drop(task.await);
        }
        self.parts.stop().await;
    }
}

/// The listeners of Kafka clients and those of HTTP.
async fn bind_all(startup: &Startup) -> Result<(Vec<TcpListener>, Vec<TcpListener>), BindError> {
    let kafka = bind(&startup.listen, startup.insecure_listeners, startup.sockets).await?;
    let http = bind(&startup.http_listen, startup.insecure_listeners, SocketOptions::default()).await?;
    Ok((kafka, http))
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

fn acceptors(node: &Arc<Node>, stopped: &watch::Receiver<bool>) -> impl Fn() -> Acceptor<KafkaCalls> {
    let calls = Arc::new(KafkaCalls::new(node.clone()));
    let per_address = PerAddress::new(node.startup.connections_per_address_max);
    let room = Arc::new(Semaphore::new(node.startup.connections_max.min(Semaphore::MAX_PERMITS)));
    let (metrics, limits, stopped) =
        (node.metrics.requests.clone(), node.startup.connection.clone(), stopped.clone());
    move || Acceptor {
        calls: calls.clone(),
        metrics: metrics.clone(),
        limits: limits.clone(),
        room: room.clone(),
        per_address: per_address.clone(),
        stop: stopped.clone(),
    }
}
