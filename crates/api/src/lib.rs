//! HTTP for agents and integrators, over [`timeline::Store`].
//!
//! The only crate that knows the statuses of `/v1`. It never decides anything about a contact, knows no
//! SQL and no broker, listens on no socket (the binary does) and never shows a cause of its own failures
//! to a caller. What it needs beyond the store it asks of a [`Desk`].
//!
//! Reading order: [`router`] below (what is served), `problem` (errors), `caller` (tokens and roles),
//! `extract`, `paging` and `text` (reading a request), `once` and `acts` (writes), `views` (the shapes);
//! then one module per noun: `clients`, `cards`, `wishes`, `introductions`, `merges`, `contacts`, `attachments`, `conversations` and
//! `handling` (what becomes of them), `agents`, `reservations`, `stats`, `letters`, `quarantine`, `tokens`, `house`; then
//! the live part: `render` and `screen` (pure), `pages`, `feed`, `events`, `consoles` (who is connected); last `layers`,
//! `metrics`, `document`. The decisions behind them are in this crate's README.

mod acts;
mod agents;
mod attachments;
mod caller;
mod cards;
mod clients;
mod consoles;
mod contacts;
mod conversations;
mod desk;
mod document;
mod events;
mod extract;
mod feed;
mod handling;
mod house;
mod introductions;
mod layers;
mod letters;
mod merges;
pub mod metrics;
mod once;
mod pages;
mod paging;
mod problem;
mod quarantine;
mod render;
mod reservations;
mod screen;
mod stats;
mod text;
mod together;
mod tokens;
mod views;
mod wishes;
mod words;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use jiff::Timestamp;
use timeline::{Policy, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
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

/// The time, from whoever knows it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the API is made of.
pub struct Parts {
    /// Where everything is read.
    pub store: Arc<dyn Store>,
    /// What `/v1/events` follows.
    pub feed: Feed,
    /// What was configured about routing.
    pub policy: Arc<Policy>,
    /// The time.
    pub clock: Clock,
    /// Which process this is, among all that agents are connected through. It says by [`Store::keep_alive`] that
    /// it is there, before the API is open and as long as it is.
    pub process: String,
    /// The rest of the house.
    pub desk: Arc<dyn Desk>,
    /// Ends the event streams, and the task that says who is connected.
    pub stop: CancellationToken,
    /// Has that task, and what is done to its end whoever goes away.
    pub tracker: TaskTracker,
}

/// Everything under `/v1`, `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`.
///
/// Unknown paths and methods are problems too, so it brings the fallback of whatever it is merged into;
/// routers merged beside it must have none. Its layers are on its own routes and on that fallback only. Needs a
/// running runtime: the task that says who is connected begins with it.
pub fn router(parts: Parts) -> Router {
    let Parts { store, feed, policy, clock, process, desk, stop, tracker } = parts;
    let request_ids = layers::RequestIds::new(&desk.secret());
    let app = App(Arc::new(Inner {
        store,
        feed,
        policy,
        clock,
        process,
        desk,
        stop,
        tracker: tracker.clone(),
        tokens: caller::Tokens::default(),
        writes: once::Writes::default(),
        consoles: Arc::default(),
        next: tokio::sync::Mutex::default(),
        figures: stats::Memory::default(),
        together: together::Together::default(),
        request_ids,
    }));
    tracker.spawn(consoles::attend(app.clone()));
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
        .merge(cards::routes())
        .merge(introductions::routes())
        .merge(merges::routes())
        .merge(contacts::routes())
        .merge(attachments::routes())
        .merge(conversations::routes())
        .merge(handling::routes())
        .merge(agents::routes())
        .merge(reservations::routes())
        .merge(stats::routes())
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
    policy: Arc<Policy>,
    clock: Clock,
    process: String,
    desk: Arc<dyn Desk>,
    stop: CancellationToken,
    tracker: TaskTracker,
    tokens: caller::Tokens,
    writes: once::Writes,
    consoles: Arc<consoles::Consoles>,
    /// Who asks what is next is served in turn.
    next: tokio::sync::Mutex<()>,
    figures: stats::Memory,
    together: together::Together,
    request_ids: layers::RequestIds,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
