//! The HTTP listener: health, metrics, and the books. Shows what the broker knows, and passes on what a person asks for;
//! docs/openapi.json describes it all.

mod account;
mod alarms;
mod health;
mod query;
mod refusal;
mod routes;
mod trace;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{node::Node, stop::stopped};

/// Readings of all accounts or alarms at a time; further ones wait.
const READINGS_MAX: usize = 2;
/// Searches through the logs and journals at a time; further ones wait.
const SEARCHES_MAX: usize = 2;

/// What the handlers share.
struct Shared {
    node: Arc<Node>,
    readings: Semaphore,
    searches: Semaphore,
}

/// Serves until `stop` turns true.
pub async fn serve(listener: TcpListener, node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    let (readings, searches) = (Semaphore::new(READINGS_MAX), Semaphore::new(SEARCHES_MAX));
    let shared = Arc::new(Shared { node, readings, searches });
    let service = routes::router(shared).into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move { stopped(&mut stop).await };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}
