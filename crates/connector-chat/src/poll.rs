//! Long polling, where no WebSocket can be opened: the same frames in arrays.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

use crate::deliver;
use crate::door::{Admission, House};
use crate::frame::{Code, Frame, Said};
use crate::problem::Refusal;
use crate::talk::{Away, Heard, Talk, Welcome};

/// The hello, and so many frames after it.
const FRAMES: usize = 33;
/// A body that takes longer to arrive is refused.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// With something to say already, lines are waited for no longer than this.
const URGENT: Duration = Duration::from_millis(500);

/// `POST /chat/{source}/poll`
pub(crate) async fn poll(
    State(house): State<Arc<House>>,
    path: Result<Path<String>, PathRejection>,
    parts: Parts,
    body: Body,
) -> Response {
    let admission = match house.admit(path, &parts) {
        Ok(admission) => admission,
        Err(refusal) => return shared(refusal.into_response(), None),
    };
    let origin = parts.headers.get(ORIGIN).cloned();
    let tracked = admission.site.doors.sockets.clone();
    let answer = match tracked.track_future(answer(&admission, body)).await {
        Ok(said) => {
            let json = serde_json::to_vec(&said).expect("a frame has no map with keys that are not text");
            ([(CONTENT_TYPE, "application/json")], json).into_response()
        }
        Err(refusal) => refusal.into_response(),
    };
    shared(answer, origin)
}

/// `OPTIONS /chat/{source}/poll`: what a browser asks first. Only listed sites are answered.
pub(crate) async fn preflight(
    State(house): State<Arc<House>>,
    path: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Response {
    match house.site(path) {
        Ok(site) if site.allows(&parts) => {
            let mut response =
                shared(StatusCode::NO_CONTENT.into_response(), parts.headers.get(ORIGIN).cloned());
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
            response
        }
        Ok(_) => shared(Refusal::origin().into_response(), None),
        Err(refusal) => shared(refusal.into_response(), None),
    }
}

/// Readable by the page at `origin`, and by no cache. Without credentials: there are none.
fn shared(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

async fn answer(admission: &Admission, body: Body) -> Result<Vec<Said>, Refusal> {
    let largest = 4 * admission.site.largest_frame();
    let body = timeout(BODY_TIMEOUT, axum::body::to_bytes(body, largest))
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not arrive in time"))?
        .map_err(|_| {
            let detail = format!("the body broke off, or has more than {largest} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        })?;
    let frames: Vec<&RawValue> = serde_json::from_slice(&body)
        .map_err(|error| Refusal::unreadable(format!("it is no array of frames: {error}")))?;
    if frames.len() > FRAMES {
        return Err(Refusal::unreadable(format!("there are more than {FRAMES} frames in it")));
    }
    let hello = match frames.first().map(|first| Frame::read(first.get())) {
        Some(Ok(Frame::Hello(hello))) => hello,
        Some(Err(said)) => return Ok(vec![said]),
        Some(Ok(_)) | None => return Ok(vec![Said::error(Code::HelloFirst, "the first frame is a hello")]),
    };
    match Talk::begin(&admission.site, admission.place, hello).await {
        Ok(welcome) => Ok(converse(admission, welcome, frames.get(1..).unwrap_or_default()).await),
        Err(Away { said, .. }) => Ok(vec![said]),
    }
}

/// Hears every frame, then says what there is, or waits for it.
async fn converse(admission: &Admission, welcome: Welcome, frames: &[&RawValue]) -> Vec<Said> {
    let Welcome { mut talk, mut said, mut position } = welcome;
    let doors = &admission.site.doors;
    let mut keeping = FuturesOrdered::new();
    for frame in frames {
        match talk.hear(frame.get()).await {
            Heard::Nothing => {}
            Heard::Say(said) => keeping.push_back(futures::future::ready(Some(said)).boxed()),
            Heard::Keep(kept) => keeping.push_back(kept),
        }
    }
    keeping.extend(talk.keep_read().await);
    let before = said.len();
    while let Some(kept) = keeping.next().await {
        said.extend(kept);
    }
    let deadline = Instant::now() + doors.pace.poll;
    loop {
        // Whoever waits for an ack does not wait for lines.
        let patience = if said.len() > before { URGENT } else { doors.pace.poll };
        let read = timeout(patience, deliver::read(doors.thread.as_ref(), talk.visitor(), position));
        let next_look = match read.await {
            Ok(Ok(page)) => {
                said.extend(page.said);
                position = page.position;
                doors.pace.look
            }
            Ok(Err(_)) | Err(_) => doors.pace.retry,
        };
        if said.len() > before || Instant::now() >= deadline {
            return said;
        }
        tokio::select! {
            news = talk.news() => {
                let told = talk.told(news);
                said.extend(told);
            }
            () = sleep_until(deadline.min(Instant::now() + next_look)) => {}
            () = doors.stop.cancelled() => return said,
        }
    }
}
