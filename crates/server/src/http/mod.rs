//! The HTTP listener: health, metrics, and the books. Shows what the broker knows, and passes on what a person asks for;
//! docs/openapi.json describes it all.

mod account;
mod alarms;
mod health;
mod listener;
mod query;
mod refusal;
mod routes;
mod trace;

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::node::Node;
use listener::Limits;

/// Scrapers, dashboards and people are few; others wait. Not of `max.connections`, so that health is told while that is used
/// up.
const LIMITS: Limits =
    Limits { connections_max: 64, silence_max: Duration::from_secs(10), stop_grace: Duration::from_secs(5) };
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
pub async fn serve(listener: TcpListener, node: Arc<Node>, stop: watch::Receiver<bool>) {
    let (readings, searches) = (Semaphore::new(READINGS_MAX), Semaphore::new(SEARCHES_MAX));
    let shared = Arc::new(Shared { node, readings, searches });
    listener::run(listener, routes::router(shared), LIMITS, stop).await;
}
