//! Routes that come when the store does. Until then they answer 503, and the hooks beside them work.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceExt as _;

/// Routes that are replaced once.
#[derive(Clone)]
pub(crate) struct Late {
    before: Router,
    after: Arc<OnceLock<Router>>,
}

impl Late {
    /// Until the rest arrives, `before` answers what it can and everything else is put off.
    pub(crate) fn new(before: Router) -> Self {
        Self { before: before.fallback(async || not_yet()), after: Arc::default() }
    }

    /// From now on requests go there. The first one stays.
    pub(crate) fn arrive(&self, routes: Router) {
        self.after.get_or_init(|| routes);
    }

    /// The service for those requests.
    pub(crate) fn service(
        &self,
    ) -> impl tower::Service<Request<Body>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static {
        let late = self.clone();
        tower::service_fn(move |request: Request<Body>| {
            let routes = late.after.get().unwrap_or(&late.before).clone();
            routes.oneshot(request)
        })
    }
}

fn not_yet() -> Response {
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the store cannot be reached yet; hooks are accepted all the same",
    });
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "5")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, problem.to_string()).into_response()
}
