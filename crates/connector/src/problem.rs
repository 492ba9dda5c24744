//! How a door says no: RFC 9457 `application/problem+json`, the same at every door.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// A refusal with its sentence, the field at fault where one is, and when to come again where that may help.
pub fn problem(
    status: StatusCode,
    detail: &str,
    field: Option<&str>,
    retry_after: Option<Duration>,
) -> Response {
    let body = Body {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        field,
    };
    let json = serde_json::to_vec(&body).expect("a problem has no map with keys that are not text");
    let mut response = (status, json).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(pause) = retry_after {
        // Whole seconds, rounded up: 0 would mean "at once".
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}
