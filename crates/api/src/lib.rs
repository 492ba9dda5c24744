//! HTTP for agents and integrators, over [`timeline::Store`].
//!
//! The only crate that knows the statuses of `/v1`. It never decides anything about a contact, knows no
//! SQL and no broker, listens on no socket (the binary does) and never shows a cause of its own failures
//! to a caller. What it needs beyond the store it asks of a [`Desk`].
//!
//! Reading order: [`router`] below (what is served), `problem` (errors), `caller` (tokens and roles),
//! `extract`, `paging` and `text` (reading a request), `once` and `acts` (writes), `views` (the shapes);
//! then one module per noun: `clients`, `merges`, `contacts`, `attachments`, `conversations`, `letters`,
//! `quarantine`, `tokens`, `house`; then the
//! live part: `join` (pure), `feed`, `events`; last `layers`, `metrics`, `document`. The decisions behind
//! them are in this crate's README.

mod acts;
mod attachments;
mod caller;
mod clients;
mod contacts;
mod conversations;
mod desk;
mod document;
mod events;
mod extract;
mod feed;
mod house;
mod join;
mod layers;
mod letters;
mod merges;
pub mod metrics;
mod once;
mod paging;
mod problem;
mod quarantine;
mod text;
mod tokens;
mod views;
mod words;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use jiff::Timestamp;
use timeline::Store;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

pub use caller::{token_id, token_secret};
pub use desk::{Condition, Desk, DeskError, Health, SourceInfo};
pub use document::openapi;
pub use feed::Feed;
pub use house::operator;
pub use problem::MEDIA_TYPE as PROBLEM_MEDIA_TYPE;

use problem::Problem;

/// The largest body of a request, in bytes; a larger one is 413. The longest text has room, each of its
/// letters escaped.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// What the API is made of.
pub struct Parts {
    /// Where everything is read.
    pub store: Arc<dyn Store>,
    /// What `/v1/events` follows.
    pub feed: Feed,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The rest of the house.
    pub desk: Arc<dyn Desk>,
    /// Ends the event streams.
    pub stop: CancellationToken,
}

/// Everything under `/v1`, `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`.
///
/// Unknown paths and methods are problems too, so it brings the fallback of whatever it is merged into;
/// routers merged beside it must have none. Its layers are on its own routes and on that fallback only.
pub fn router(parts: Parts) -> Router {
    let Parts { store, feed, clock, desk, stop } = parts;
    let request_ids = layers::RequestIds::new(&desk.secret());
    let (tokens, writes) = Default::default();
    let app = App(Arc::new(Inner { store, feed, clock, desk, stop, tokens, writes, request_ids }));
    let (router, document) = routes().split_for_parts();
    router
        .merge(document::serve(&document::complete(document)))
        .fallback(async || Problem::missing("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(app.clone(), layers::observe))
        .with_state(app)
}

/// All routes that are documented.
fn routes() -> OpenApiRouter<App> {
    let quick = OpenApiRouter::new()
        .merge(clients::routes())
        .merge(merges::routes())
        .merge(contacts::routes())
        .merge(attachments::routes())
        .merge(conversations::routes())
        .merge(letters::routes())
        .merge(quarantine::routes())
        .merge(tokens::routes())
        .merge(house::routes())
        .layer(from_fn(layers::in_time));
    document::router().merge(events::routes()).merge(quick)
}

/// What every handler has.
#[derive(Clone)]
struct App(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    feed: Feed,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    desk: Arc<dyn Desk>,
    stop: CancellationToken,
    tokens: caller::Tokens,
    writes: once::Writes,
    request_ids: layers::RequestIds,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
