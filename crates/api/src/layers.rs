//! What every request goes through: an id, a span, a count, a limit in time, and nothing that panics.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use tracing::Instrument as _;

use crate::App;
use crate::caller::token_id;
use crate::problem::{Cause, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id of others that is taken over.
const LONGEST_ID: usize = 64;
/// How long an answer may take, reading the request's body included. Event streams are not limited.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gives out request ids that differ between processes.
pub(crate) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(secret: &str) -> Self {
        Self { process: token_id(secret).chars().take(12).collect(), next: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The outermost layer. The span knows route and id, never the query, a token or an address.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = taken_over(&request).unwrap_or_else(|| app.request_ids.next());
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let private = route.starts_with("/v1");
    let span = tracing::info_span!("request", request.id = %id, http.method = method, http.route = %route);
    let mut response = async {
        let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a handler panicked");
            Problem::ours().into_response()
        });
        tell(&response, began.elapsed());
        response
    }
    .instrument(span)
    .await;
    crate::metrics::answered(route, method, response.status().as_u16(), began.elapsed());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown")));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if private {
        // Personal data: no cache keeps it.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// Logs what went wrong on our side, once, here where the request is known.
fn tell(response: &Response, took: Duration) {
    let (status, took_ms) = (response.status().as_u16(), took.as_millis());
    match response.extensions().get::<Cause>() {
        Some(Cause(error)) if response.status().as_u16() == 500 => {
            tracing::error!(http.status = status, error = %chain(error.as_ref()), "a request failed");
        }
        Some(Cause(error)) => {
            tracing::warn!(http.status = status, error = %chain(error.as_ref()), "a request was put off");
        }
        None => tracing::debug!(http.status = status, took_ms, "answered"),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The id a proxy gave, where it is one that can stand in a log.
fn taken_over(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let good = (1..=LONGEST_ID).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    good.then(|| id.to_owned())
}

/// A method invented by a caller must not become a label of a metric.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Gives up on an answer that takes too long.
pub(crate) async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::away("this took longer than 30 seconds and was given up").into_response(),
    }
}
