//! Errors as RFC 9457 `application/problem+json`.

use std::time::Duration;

use axum::http::header::ALLOW;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use connector::problem::problem;
use contact::Unreadable;

/// What a sender is told when its request was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    detail: String,
    field: Option<String>,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None, retry_after: None }
    }

    /// The same words for an unknown name and a wrong secret, so that neither can be guessed.
    pub(crate) fn no_such_hook() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such hook")
    }

    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "a hook takes GET and POST")
    }

    /// Without the reason, which would teach a forger; it stands beside the held request.
    pub(crate) fn not_proved() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "the request does not prove where it comes from")
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {limit} bytes"))
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
    }

    pub(crate) fn broken_off() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the body broke off")
    }

    pub(crate) fn unreadable(why: Unreadable) -> Self {
        Self { field: why.field, ..Self::new(StatusCode::BAD_REQUEST, why.reason) }
    }

    pub(crate) fn not_now(retry_after: Duration) -> Self {
        let detail = "it cannot be kept now; nothing is lost if it is sent again";
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = problem(self.status, &self.detail, self.field.as_deref(), self.retry_after);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }
}
