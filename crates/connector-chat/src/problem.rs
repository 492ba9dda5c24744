//! Refusals before a conversation begins, as RFC 9457 `application/problem+json`.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let json = serde_json::to_vec(&body).expect("a problem has no map with keys that are not text");
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(pause) = self.retry_after {
            // Whole seconds, rounded up: 0 would mean "at once".
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
