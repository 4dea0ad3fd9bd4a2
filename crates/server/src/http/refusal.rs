//! What is answered when a request cannot be: a status and a sentence.

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tallymq_consensus::ProposeError;

/// A status, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: String,
}

impl Refusal {
    /// The request makes no sense.
    pub(super) fn bad(error: impl ToString) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, error: error.to_string() }
    }

    /// There is no such thing.
    pub(super) fn not_found(error: impl ToString) -> Refusal {
        Refusal { status: StatusCode::NOT_FOUND, error: error.to_string() }
    }

    /// There is such a thing, and it takes no such request.
    pub(super) fn not_allowed(error: impl ToString) -> Refusal {
        Refusal { status: StatusCode::METHOD_NOT_ALLOWED, error: error.to_string() }
    }

    /// Not now.
    pub(super) fn unavailable(error: impl ToString) -> Refusal {
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, error: error.to_string() }
    }
}

impl From<ProposeError> for Refusal {
    fn from(error: ProposeError) -> Refusal {
        Refusal::unavailable(error)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Refusal {
        Refusal::bad(rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}
