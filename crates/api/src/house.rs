//! How the house is: sources, health, metrics.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::desk::{Desk, Health, SourceInfo};
use crate::paging::Items;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sources))
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// Health, readiness and metrics alone: for a process without the API, and for one whose store has not
/// come yet.
pub fn operator(desk: Arc<dyn Desk>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(desk)
}

/// The configured sources.
#[utoipa::path(get, path = "/v1/sources", tag = "operator", operation_id = "listSources",
    responses((status = 200, description = "All of them.", body = Items<SourceInfo>)))]
async fn sources(_: Caller, State(app): State<App>) -> Json<Items<SourceInfo>> {
    Json(Items { items: app.desk.sources(), next: None })
}

/// Whether the process lives.
///
/// 200 as long as it answers at all; the body says how the parts are.
#[utoipa::path(get, path = "/healthz", tag = "operator", operation_id = "health", security(()),
    responses((status = 200, description = "It lives.", body = Health)))]
async fn healthz(State(desk): State<Arc<dyn Desk>>) -> Json<Health> {
    Json(desk.health().await)
}

/// Whether what arrives is kept: the journal accepts and the migrations are done.
///
/// Broker and store may be away meanwhile; the body says so.
#[utoipa::path(get, path = "/readyz", tag = "operator", operation_id = "readiness", security(()),
    responses((status = 200, description = "Ready.", body = Health), (status = 503, description = "Not ready.", body = Health)))]
async fn readyz(State(desk): State<Arc<dyn Desk>>) -> (StatusCode, Json<Health>) {
    let health = desk.health().await;
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

/// The metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operator", operation_id = "metrics", security(()),
    responses((status = 200, description = "In Prometheus' text format.", body = String, content_type = "text/plain")))]
async fn metrics(State(desk): State<Arc<dyn Desk>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], desk.metrics()).into_response()
}

impl FromRef<App> for Arc<dyn Desk> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.desk)
    }
}
