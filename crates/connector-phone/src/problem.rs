//! Errors as RFC 9457 `application/problem+json`.

use std::time::Duration;

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use contact::Unreadable;
use serde::Serialize;

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

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
        };
        let json = serde_json::to_vec(&body).expect("a problem has no map with keys that are not text");
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        if let Some(pause) = self.retry_after {
            // Whole seconds, rounded up: 0 would mean "at once".
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
