//! The HTTP listener: health and metrics. Read-only; it decides nothing and shows only what the broker already knows.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::{node::Node, stop::stopped};

/// What `/health/*` answers.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    durability: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Serves until `stop` turns true.
pub async fn serve(listener: TcpListener, node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    let routes = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(node);
    let stopped = async move { stopped(&mut stop).await };
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}

async fn live(State(node): State<Arc<Node>>) -> Json<Health> {
    Json(health(&node, Vec::new()))
}

async fn ready(State(node): State<Arc<Node>>) -> (StatusCode, Json<Health>) {
    let reasons = node.not_ready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health(&node, reasons)))
}

async fn metrics(State(node): State<Arc<Node>>) -> ([(&'static str, &'static str); 1], String) {
    node.metrics.observe_storage(&node.storage_reading());
    (
        [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        node.metrics.exposition(),
    )
}

fn health(node: &Node, reasons: Vec<String>) -> Health {
    Health {
        status: if reasons.is_empty() { "ok" } else { "unavailable" },
        reasons,
        durability: node.durability(),
        warnings: node.warnings(),
    }
}
