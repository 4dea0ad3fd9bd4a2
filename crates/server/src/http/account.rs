//! `/v1/account`: the balances, those that have ended, and opening accounts by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{
    Json,
    extract::{ConnectInfo, RawQuery, State, rejection::JsonRejection},
    http::HeaderMap,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tallymq_broker::account::OpenFrom;
use tallymq_model::Offset;

use super::Shared;
use super::query::{Query, check_origin, person};
use super::refusal::Refusal;
use crate::books::{self, AccountFilter, AccountsReport, EndedFilter, EndedReport, OpenError, Opening};

/// Partitions that are shown if nobody says how many.
const PARTITIONS_MAX: usize = 10_000;
/// And if somebody does.
const PARTITIONS_ASKED_MAX: usize = 300_000;
/// The same of accounts that have ended, with what they hold in memory meanwhile.
const ENDED_MAX: usize = 1_000;
const ENDED_ASKED_MAX: usize = 10_000;
/// Seconds that reading journals may take, if nobody says how long, and if somebody does.
const SECONDS_DEFAULT: u64 = 10;
const SECONDS_MAX: u64 = 300;

pub(super) async fn read(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<AccountsReport>, Refusal> {
    let mut query = Query::parse(query.as_deref(), &["topic", "group", "limit"])?;
    let limit = query.parsed("limit")?.unwrap_or(PARTITIONS_MAX);
    let filter = AccountFilter {
        topic: query.text("topic"),
        group: query.text("group"),
        partitions_max: limit.clamp(1, PARTITIONS_ASKED_MAX),
    };
    let _turn = shared.readings.acquire().await.map_err(Refusal::unavailable)?;
    let node = shared.node.clone();
    let reading = tokio::task::spawn_blocking(move || books::accounts(&node, &filter));
    Ok(Json(reading.await.map_err(Refusal::unavailable)?))
}

pub(super) async fn ended(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<EndedReport>, Refusal> {
    let mut query = Query::parse(query.as_deref(), &["topic", "group", "limit", "seconds"])?;
    let limit = query.parsed("limit")?.unwrap_or(ENDED_MAX);
    let seconds = query.parsed("seconds")?.unwrap_or(SECONDS_DEFAULT);
    let filter = EndedFilter {
        topic: query.text("topic"),
        group: query.text("group"),
        partitions_max: limit.clamp(1, ENDED_ASKED_MAX),
        time_max: Duration::from_secs(seconds.clamp(1, SECONDS_MAX)),
    };
    let _turn = shared.searches.acquire().await.map_err(Refusal::unavailable)?;
    Ok(Json(books::ended(&shared.node, &filter).await.map_err(Refusal::unavailable)?))
}

/// The body of `/v1/account/open`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenRequest {
    group: String,
    topic: Option<String>,
    from: Value,
    by: Option<String>,
}

/// Its answer.
#[derive(Serialize)]
pub(super) struct OpenAnswer {
    opened: u64,
}

pub(super) async fn open(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Result<Json<OpenRequest>, JsonRejection>,
) -> Result<Json<OpenAnswer>, Refusal> {
    check_origin(&headers)?;
    let Json(request) = request?;
    let from = match (&request.from, request.from.as_i64()) {
        (Value::String(text), _) if text == "earliest" => OpenFrom::Earliest,
        (_, Some(offset)) if offset >= 0 => OpenFrom::Offset(Offset(offset)),
        _ => return Err(Refusal::bad("`from` is \"earliest\" or an offset")),
    };
    let by = person(request.by.as_deref(), peer);
    let opening = Opening { group: request.group, topic: request.topic, from, by };
    let opened = books::open(&shared.node, &opening).await.map_err(|error| match error {
        OpenError::UnknownTopic(_) | OpenError::NoTopics(_) => Refusal::not_found(error),
        OpenError::NoGroup => Refusal::bad(error),
        OpenError::SwitchedOff | OpenError::Propose(_) => Refusal::unavailable(error),
    })?;
    Ok(Json(OpenAnswer { opened }))
}
