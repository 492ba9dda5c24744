//! Refusals before a conversation begins, as RFC 9457 `application/problem+json`.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use connector::problem::problem;

/// What a client is told that may not come in.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// In a metric.
    pub(crate) reason: &'static str,
    detail: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        Self { status, reason, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn no_such_widget() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", "there is no such chat")
    }

    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "it is not asked for in this way")
    }

    pub(crate) fn origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "origin",
            "this site may not use this chat; its `origins` do not list it",
        )
    }

    pub(crate) fn slow_down(pause: Duration) -> Self {
        let refusal =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too much comes from this address");
        Self { retry_after: Some(pause), ..refusal }
    }

    pub(crate) fn full() -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", "there are too many connections");
        Self { retry_after: Some(Duration::from_secs(10)), ..refusal }
    }

    pub(crate) fn stopping() -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "this server is stopping");
        Self { retry_after: Some(Duration::from_secs(1)), ..refusal }
    }

    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unreadable", detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        problem(self.status, &self.detail, None, self.retry_after)
    }
}
