//! The door: verify, normalise, keep, and only then answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::BytesMut;
use connector::{Clock, Connector, Held, Intake, Quarantine};
use contact::suspect::MESSAGE_HTTP;
use contact::{Channel, Event, RawBytes, SourceName, Suspect};
use futures::StreamExt as _;
use tracing::{debug, error, warn};
use url::Url;

use crate::Lines;
use crate::config::Line;
use crate::normalise::{Receipt, normalise, unreadable};
use crate::problem::Refusal;
use crate::provider::{Answer, Forged};
use crate::request::{Unverified, Verified};

/// A larger body is answered with 413 and not kept: a call's facts take a few hundred bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// A body that takes longer is answered with 408, so that slow senders hold no memory.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What stands behind the door.
#[derive(Clone)]
pub struct Doors {
    pub intake: Arc<dyn Intake>,
    pub quarantine: Arc<dyn Quarantine>,
    pub clock: Clock,
    /// Where the phone systems reach us; signatures cover it. A path in it is kept before ours.
    pub public_url: Url,
    /// In bytes.
    pub body_limit: usize,
    pub body_timeout: Duration,
}

impl Doors {
    /// With [`BODY_LIMIT`] and [`BODY_TIMEOUT`].
    pub fn new(
        intake: Arc<dyn Intake>,
        quarantine: Arc<dyn Quarantine>,
        clock: Clock,
        public_url: Url,
    ) -> Self {
        Self { intake, quarantine, clock, public_url, body_limit: BODY_LIMIT, body_timeout: BODY_TIMEOUT }
    }
}

/// The telephone's connector: `/hooks/phone/{source}` for systems that sign, and
/// `/hooks/phone/{source}/{secret}` for those with a secret configured. It has no tasks of its own.
///
/// A hook is answered 2xx only after every event of it was accepted by the intake.
pub fn connect(lines: Lines, doors: Doors) -> Connector {
    let door = Arc::new(Door { lines, doors });
    let routes = Router::new()
        .route("/hooks/phone/{source}", any(signed))
        .route("/hooks/phone/{source}/{secret}", any(secret))
        // Our own limit answers as a problem; the framework's would be smaller for some extractors.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(door);
    Connector { name: Channel::Phone.as_str(), routes, tasks: Vec::new(), couriers: BTreeMap::new() }
}

struct Door {
    lines: Lines,
    doors: Doors,
}

async fn signed(
    State(door): State<Arc<Door>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let line = path.ok().and_then(|Path(name)| door.line(&name, None));
    door.answer(line, request).await
}

async fn secret(
    State(door): State<Arc<Door>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let line = path.ok().and_then(|Path((name, secret))| door.line(&name, Some(&secret)));
    door.answer(line, request).await
}

/// How a request ended, where it was not refused.
struct Kept {
    answer: Answer,
    events: usize,
}

impl Door {
    /// The line whose door this is; a line with a secret has no door without it, and the reverse.
    fn line(&self, name: &str, secret: Option<&str>) -> Option<&Line> {
        let line = self.lines.get(&SourceName::new(Channel::Phone, name).ok()?)?;
        let open = match (&line.secret, secret) {
            (None, None) => true,
            (Some(expected), Some(given)) => expected.is(given.as_bytes()),
            _ => false,
        };
        open.then_some(line)
    }

    /// Everything is counted and logged here, once.
    async fn answer(&self, line: Option<&Line>, request: Request) -> Response {
        let began = Instant::now();
        let source = line.map_or("unknown", |line| line.source.as_str());
        let outcome = match line {
            Some(line) => self.take(line, request).await,
            None => Err(Refusal::no_such_hook()),
        };
        let response = match outcome {
            Ok(kept) => {
                debug!(source, events = kept.events, "kept a hook");
                document(kept.answer)
            }
            Err(refusal) => {
                let status = refusal.status.as_u16();
                if refusal.status == StatusCode::NOT_FOUND {
                    debug!(source, status, "refused a hook");
                } else if refusal.status.is_server_error() {
                    error!(source, status, "could not keep a hook");
                } else {
                    warn!(source, status, "refused a hook");
                }
                refusal.into_response()
            }
        };
        let answer = response.status().as_str().to_owned();
        metrics::counter!("frontdesk_hooks_total", "source" => source.to_owned(), "answer" => answer)
            .increment(1);
        metrics::histogram!("frontdesk_hook_seconds", "source" => source.to_owned())
            .record(began.elapsed().as_secs_f64());
        response
    }

    async fn take(&self, line: &Line, request: Request) -> Result<Kept, Refusal> {
        let (parts, body) = request.into_parts();
        if !matches!(parts.method, Method::GET | Method::POST) {
            return Err(Refusal::method());
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        // As received: a router above us may have cut a prefix off.
        let uri = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        let target = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
        let body = tokio::time::timeout(self.doors.body_timeout, self.body(&parts.headers, body))
            .await
            .map_err(|_| Refusal::too_slow())??;
        let request = Unverified::new(parts.method, target, parts.headers, body, (self.doors.clock)());
        match request.verify(line, &self.doors.public_url) {
            Ok(verified) => self.keep(line, verified).await,
            Err(why) => {
                self.hold(line, &request, why, peer.map(|peer| peer.to_string())).await;
                Err(Refusal::not_proved())
            }
        }
    }

    /// The whole body, if it is not too large.
    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
        let limit = self.doors.body_limit;
        let too_large = || Refusal::too_large(limit);
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
            return Err(too_large());
        }
        let mut chunks = body.into_data_stream();
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Refusal::broken_off())?;
            if first.len() + whole.len() + chunk.len() > limit {
                return Err(too_large());
            }
            // Nearly every body is one chunk, which then needs no copy.
            if first.is_empty() && whole.is_empty() {
                first = chunk;
            } else {
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&chunk);
            }
        }
        Ok(if whole.is_empty() { first } else { whole.freeze() })
    }

    async fn keep(&self, line: &Line, verified: Verified) -> Result<Kept, Refusal> {
        let receipt = Receipt::of(&verified);
        match normalise(line, verified.raw(), &receipt) {
            Ok((mut events, answer)) => {
                let count = events.len();
                let last = events.pop();
                for event in events {
                    self.accept(event, verified.raw().clone()).await?;
                }
                if let Some(event) = last {
                    self.accept(event, verified.into_raw()).await?;
                }
                Ok(Kept { answer, events: count })
            }
            Err(why) => {
                let event = unreadable(line, verified.raw(), why.clone(), &receipt);
                self.accept(event, verified.into_raw()).await?;
                Err(Refusal::unreadable(why))
            }
        }
    }

    async fn accept(&self, event: Event, raw: RawBytes) -> Result<(), Refusal> {
        let accepted = self.doors.intake.accept(event, raw).await;
        accepted.map_err(|refused| Refusal::not_now(refused.retry_after()))
    }

    async fn hold(&self, line: &Line, request: &Unverified, why: Forged, peer: Option<String>) {
        let message = RawBytes::new(MESSAGE_HTTP, request.to_message());
        let suspect =
            Suspect::new(line.source.clone(), request.received_at(), peer, why.to_string(), &message);
        let held = match self.doors.quarantine.hold(suspect).await {
            Held::Kept => "kept",
            Held::Dropped => "dropped",
        };
        let source = line.source.as_str().to_owned();
        metrics::counter!("frontdesk_hooks_quarantined_total", "source" => source, "held" => held)
            .increment(1);
    }
}

fn document(answer: Answer) -> Response {
    match answer {
        Answer::Nothing => StatusCode::NO_CONTENT.into_response(),
        Answer::Document { media_type, body } => {
            ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
        }
    }
}
