//! `/v1/alarms`: the losses that nobody acknowledged, and acknowledging them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, RawQuery, State, rejection::JsonRejection},
    http::HeaderMap,
};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::query::{Query, check_origin, person};
use super::refusal::Refusal;
use crate::books::{self, Acknowledged, AlarmFilter, AlarmId, AlarmsReport};

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<AlarmsReport>, Refusal> {
    let mut query = Query::parse(query.as_deref(), &["topic", "group"])?;
    let filter = AlarmFilter { topic: query.text("topic"), group: query.text("group") };
    let _turn = shared.readings.acquire().await.map_err(Refusal::unavailable)?;
    let node = shared.node.clone();
    let reading = tokio::task::spawn_blocking(move || books::alarms(&node, &filter));
    Ok(Json(reading.await.map_err(Refusal::unavailable)?))
}

/// The body of `/v1/alarms/acknowledge`: `ids`, or `all`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgeRequest {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    all: bool,
    by: Option<String>,
}

/// Its answer.
#[derive(Serialize)]
pub(super) struct AcknowledgeAnswer {
    acknowledged: u64,
    /// Of `ids`, those that no alarm has, or none any more.
    missing: Vec<String>,
}

pub(super) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Result<Json<AcknowledgeRequest>, JsonRejection>,
) -> Result<Json<AcknowledgeAnswer>, Refusal> {
    check_origin(&headers)?;
    let Json(request) = request?;
    if request.all != request.ids.is_empty() {
        return Err(Refusal::bad("either `ids` or `all`"));
    }
    let ids: Vec<AlarmId> =
        request.ids.iter().map(|id| id.parse()).collect::<Result<_, _>>().map_err(Refusal::bad)?;
    let ids = (!request.all).then_some(&ids[..]);
    let by = person(request.by.as_deref(), peer);
    let Acknowledged { alarms, missing } = books::acknowledge(&shared.node, ids, &by).await?;
    let missing = missing.iter().map(AlarmId::to_string).collect();
    Ok(Json(AcknowledgeAnswer { acknowledged: alarms, missing }))
}
