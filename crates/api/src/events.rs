//! The event stream: every change as it happens, resumed without a gap.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use timeline::Role;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::consoles::Console;
use crate::extract::{FromParams, Params, Query};
use crate::feed::Subscription;
use crate::problem::Problem;

/// The first thing sent: how long to wait before coming back, in milliseconds.
const HELLO: Bytes = Bytes::from_static(b"retry: 2000\n\n");
/// After so long a silence something is sent, so that nobody between us takes the line for dead.
const QUIET: Duration = Duration::from_secs(15);
/// How often it is asked whether the token is still good.
const CHECK: Duration = Duration::from_secs(5);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// The last position seen: what follows is sent, from the beginning with `0`. The header
    /// `Last-Event-ID` goes before it. Without either the stream begins at the present.
    after: Option<i64>,
    /// For a page before somebody's eyes: offers to others are left out, and what is more than a screen can show
    /// (512 KiB a second in the long run) is skipped.
    #[param(value_type = Option<bool>)]
    screen: bool,
}

impl FromParams for EventsQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let after = params.text("after").map(|text| position("after", &text)).transpose()?;
        Ok(Self { after, screen: params.flag("screen")? })
    }
}

/// Every change as it happens, as server-sent events.
///
/// `id` is the position in the feed and rises by one. `data` shows what changed in its present state, by
/// `event`:
///
/// - `entry`: `{"entry":…,"rings":[…],"client":…}`. While a call rings, `rings` names the agents at whose
///   telephones, and `client` is the whole card, as `/v1/clients/{id}/card` gives it.
/// - `conversation`: `{"conversation":…,"client":…}`
/// - `client`: `{"client":…}`
/// - `deadline`: `{"conversation":…,"promise":…,"notice":…,"due_at":…,"client":…}`; `notice` is `warned` or
///   `breached`.
/// - `reservation`: `{"reservation":…,"client":…}`
/// - `agent`: `{"agent":…}`
/// - `skipped`, only where `screen=true`: `{"after":…,"position":…}`. Of what lies between, only offers to the
///   caller and calls at their telephones were told: what is shown is to be read anew.
///
/// To a screen changes in quick succession are told together, every 50 ms. While an agent's stream is open they are connected.
/// The stream ends when the token is revoked or we shut down; come back with `Last-Event-ID` and nothing is missed.
/// A position beyond the head of the feed is refused: it is of another feed, so what the caller has is to be read
/// anew. An `id` may come without data, to say how far the feed is.
#[utoipa::path(get, path = "/v1/events", tag = "live", operation_id = "followEvents",
    params(EventsQuery, ("Last-Event-ID" = Option<i64>, Header, description = "The last position seen.")),
    responses((status = 200, description = "The stream.", body = String, content_type = "text/event-stream")))]
async fn events(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    let after = last_event(&headers)?.or(query.after);
    let name = &caller.token.name;
    let subscription = app.feed.subscribe(after, query.screen.then(|| name.clone())).await?;
    let mut check = tokio::time::interval_at(Instant::now() + CHECK, CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let answers = caller.token.role >= Role::Agent;
    let console = answers.then(|| app.consoles.open(name));
    let token = caller.token.id.clone();
    let stream = Stream { app, token, subscription, check, greeted: false, _console: console };
    let body = futures::stream::unfold(stream, async |mut stream| {
        let chunk = stream.next().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // nginx would keep the events until its buffer is full.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn last_event(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    match headers.get("last-event-id") {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => position("Last-Event-ID", value.to_str().unwrap_or_default()).map(Some),
    }
}

fn position(field: &str, text: &str) -> Result<i64, Problem> {
    let position = text.parse().ok().filter(|position| *position >= 0);
    position
        .ok_or_else(|| Problem::field(field, format!("`{text}` is no position in the feed; it is 0 or more")))
}

struct Stream {
    app: App,
    token: String,
    subscription: Subscription,
    check: Interval,
    greeted: bool,
    /// Of somebody who answers clients.
    _console: Option<Console>,
}

impl Stream {
    /// What to send next; `None` is the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(HELLO);
        }
        let quiet = tokio::time::sleep(QUIET);
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                biased;
                () = self.app.stop.cancelled() => return None,
                _ = self.check.tick() => {
                    // A store that is away has not revoked anything.
                    if let Ok(None) = self.app.tokens.check(self.app.store.as_ref(), &self.token).await {
                        return None;
                    }
                }
                chunk = self.subscription.next() => return Some(chunk),
                () = &mut quiet => return Some(self.subscription.still_here()),
            }
        }
    }
}
