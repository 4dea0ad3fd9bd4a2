//! Health and metrics. Read-only; it decides nothing and shows only what the broker already knows.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use super::Shared;
use crate::{books, node::Node};

/// What `/health/*` answers.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    durability: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub(super) async fn live(State(shared): State<Arc<Shared>>) -> Json<Health> {
    Json(health(&shared.node, Vec::new()))
}

pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Health>) {
    let reasons = shared.node.not_ready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health(&shared.node, reasons)))
}

pub(super) async fn metrics(
    State(shared): State<Arc<Shared>>,
) -> ([(&'static str, &'static str); 1], String) {
    let node = &shared.node;
    (
        [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        node.metrics.exposition(&node.storage_reading(), &books::summary(node)),
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
