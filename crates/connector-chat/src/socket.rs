//! The socket: one loop over everything that can happen on a connection.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use connector::ThreadAway;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tracing::debug;

use crate::deliver::{self, Page, Position};
use crate::door::{Admission, House, close};
use crate::frame::{Code, Frame, Said};
use crate::limits::Rate;
use crate::problem::Refusal;
use crate::talk::{Away, Heard, Talk, Welcome, count_refusal};

/// So many lines of one connection are kept at once; meanwhile it is not read, which is back-pressure.
const PIPELINE: usize = 32;
/// More frames a minute than this, of whatever kind, are a flood.
const FRAMES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).expect("it is positive");
/// At the end, what is being kept has so long to be acknowledged.
const LAST_ACKS: Duration = Duration::from_secs(3);

/// `GET /chat/{source}/socket`
pub(crate) async fn open(
    State(house): State<Arc<House>>,
    path: Result<Path<String>, PathRejection>,
    parts: Parts,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admission = match house.admit(path, &parts) {
        Ok(admission) => admission,
        Err(refusal) => return refusal.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let refusal = match rejection.into_response().status() {
                StatusCode::UPGRADE_REQUIRED => StatusCode::UPGRADE_REQUIRED,
                _ => StatusCode::BAD_REQUEST,
            };
            return Refusal::new(refusal, "no_socket", "it is a WebSocket (RFC 6455, version 13)")
                .into_response();
        }
    };
    let largest = admission.site.largest_frame();
    let sockets = admission.site.doors.sockets.clone();
    upgrade
        .max_message_size(largest)
        .max_frame_size(largest)
        // The usual buffers would hold 256 KiB for every idle visitor.
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * 1024 * 1024)
        .on_failed_upgrade(|error| debug!(%error, "a socket was not opened"))
        .on_upgrade(move |socket| {
            sockets.track_future(async move {
                let (send, flood) = (admission.site.doors.pace.send, Rate::new(FRAMES_PER_MINUTE));
                let mut connection = Connection { socket, send, flood };
                let code = connection.serve(&admission).await.unwrap_or(None);
                if let Some(code) = code {
                    if !matches!(code, close::GOING_AWAY | close::BAD_TOKEN | close::TOO_MANY) {
                        count_refusal(admission.site.source().as_str(), reason(code));
                    }
                    connection.close(code).await;
                }
            })
        })
}

/// The client is gone, or takes nothing any more.
struct Gone;

/// A close code; `None` when the client closed.
type End = Result<Option<u16>, Gone>;

struct Connection {
    socket: WebSocket,
    /// See [`crate::Pace::send`].
    send: Duration,
    flood: Rate<()>,
}

/// What came in.
enum Incoming {
    Text(axum::extract::ws::Utf8Bytes),
    /// A ping or a pong; the library answers pings.
    Alive,
    End(Option<u16>),
}

impl Connection {
    async fn serve(&mut self, admission: &Admission) -> End {
        let site = &admission.site;
        let Welcome { mut talk, said, position } = match self.hello(admission).await? {
            Ok(welcome) => welcome,
            Err(code) => return Ok(code),
        };
        for said in said {
            self.say(&said).await?;
        }
        let mut keeping = FuturesOrdered::new();
        let ended = self.talk(admission, &mut talk, position, &mut keeping).await;
        // What is kept is kept, and whoever is still there hears of it.
        keeping.extend(talk.keep_read().await);
        let mut there = !matches!(ended, Err(Gone) | Ok(None));
        let last = async {
            while let Some(said) = keeping.next().await {
                if let (true, Some(said)) = (there, said) {
                    there = self.say(&said).await.is_ok();
                }
            }
        };
        if timeout(LAST_ACKS, last).await.is_err() {
            debug!(source = %site.source(), "a socket ended before everything was kept");
        }
        ended
    }

    /// Waits for the hello. What comes before it is answered, and counts against the time there is.
    async fn hello(&mut self, admission: &Admission) -> Result<Result<Welcome, Option<u16>>, Gone> {
        let site = &admission.site;
        let deadline = Instant::now() + site.doors.pace.hello;
        loop {
            let incoming = tokio::select! {
                incoming = self.receive() => incoming,
                () = sleep_until(deadline) => return Ok(Err(Some(close::SILENT))),
                () = site.doors.stop.cancelled() => return Ok(Err(Some(close::GOING_AWAY))),
            };
            let text = match incoming {
                Incoming::Text(text) => text,
                Incoming::Alive => continue,
                Incoming::End(code) => return Ok(Err(code)),
            };
            let said = match Frame::read(&text) {
                Ok(Frame::Hello(hello)) => match Talk::begin(site, admission.place, hello).await {
                    Ok(welcome) => return Ok(Ok(welcome)),
                    Err(Away { said, code }) => {
                        self.say(&said).await?;
                        return Ok(Err(Some(code)));
                    }
                },
                Ok(_) => Said::error(Code::HelloFirst, "say hello first"),
                Err(said) => said,
            };
            if let Said::Error(fault) = &said {
                count_refusal(site.source().as_str(), fault.code.as_str());
            }
            self.say(&said).await?;
        }
    }

    async fn talk(
        &mut self,
        admission: &Admission,
        talk: &mut Talk,
        mut position: Position,
        keeping: &mut FuturesOrdered<BoxFuture<'static, Option<Said>>>,
    ) -> End {
        let doors = &admission.site.doors;
        let mut ping = interval_at(Instant::now() + doors.pace.ping, doors.pace.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read_marks = interval_at(Instant::now() + doors.pace.read, doors.pace.read);
        read_marks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        let mut reading: Option<BoxFuture<'static, Result<Page, ThreadAway>>> = None;
        // When to look at what is recorded next; at once, because something may be there.
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                () = doors.stop.cancelled() => return Ok(Some(close::GOING_AWAY)),
                incoming = self.receive(), if keeping.len() < PIPELINE => {
                    unanswered = 0;
                    let text = match incoming {
                        Incoming::Text(text) => text,
                        Incoming::Alive => continue,
                        Incoming::End(code) => return Ok(code),
                    };
                    match talk.hear(&text).await {
                        Heard::Nothing => {}
                        Heard::Say(said) => keeping.push_back(futures::future::ready(Some(said)).boxed()),
                        Heard::Keep(kept) => keeping.push_back(kept),
                    }
                }
                Some(said) = keeping.next() => {
                    if let Some(said) = said {
                        self.say(&said).await?;
                    }
                }
                news = talk.news() => {
                    if news.lines {
                        look_at = Instant::now();
                    }
                    for said in talk.told(news) {
                        self.say(&said).await?;
                    }
                }
                () = sleep_until(look_at), if reading.is_none() => {
                    let (thread, visitor) = (doors.thread.clone(), talk.visitor().to_owned());
                    reading = Some(
                        async move { deliver::read(thread.as_ref(), &visitor, position).await }.boxed(),
                    );
                    // News that come while this reads set it back to at once.
                    look_at = Instant::now() + doors.pace.look;
                }
                page = async { reading.as_mut().expect("it is there").await }, if reading.is_some() => {
                    reading = None;
                    match page {
                        Ok(page) => {
                            for said in &page.said {
                                self.say(said).await?;
                            }
                            position = page.position;
                            talk.showed(position);
                            if page.more {
                                look_at = Instant::now();
                            }
                        }
                        Err(error) => {
                            debug!(%error, "what is recorded cannot be read now");
                            look_at = Instant::now() + doors.pace.retry;
                        }
                    }
                }
                _ = read_marks.tick(), if talk.has_read_on() => keeping.extend(talk.keep_read().await),
                _ = ping.tick() => {
                    if unanswered >= 2 {
                        return Ok(Some(close::SILENT));
                    }
                    unanswered += 1;
                    self.send(Message::Ping(Vec::new().into())).await?;
                }
            }
        }
    }

    /// What comes next. Nothing is lost when this is dropped.
    async fn receive(&mut self) -> Incoming {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => match self.flood.take(&()) {
                Ok(()) => Incoming::Text(text),
                Err(_) => Incoming::End(Some(close::FLOOD)),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Incoming::Alive,
            Some(Ok(Message::Binary(_))) => Incoming::End(Some(close::NOT_TEXT)),
            Some(Ok(Message::Close(_))) | None => Incoming::End(None),
            // It broke, and then nobody hears this; or a frame was too large.
            Some(Err(_)) => Incoming::End(Some(close::TOO_LARGE)),
        }
    }

    async fn say(&mut self, said: &Said) -> Result<(), Gone> {
        self.send(Message::text(said.to_json())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(self.send, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Says why, and waits a moment for the client to say goodbye, so that it hears it.
    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code, reason: reason(code).into() };
        if self.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        let goodbye = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        if timeout(Duration::from_secs(1), goodbye).await.is_err() {
            debug!("a client did not close its socket in time");
        }
    }
}

/// In the close frame, and in a metric.
fn reason(code: u16) -> &'static str {
    match code {
        close::GOING_AWAY => "stopping",
        close::NOT_TEXT => "not_text",
        close::TOO_LARGE => "too_large",
        close::BAD_TOKEN => "bad_token",
        close::SILENT => "silent",
        close::FLOOD => "flood",
        close::TOO_MANY => "too_many",
        _ => "",
    }
}
