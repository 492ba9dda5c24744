//! What becomes of a visitor's frames, whichever way they came in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use connector::{Head, Sign, Signal};
use contact::RawBytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tracing::debug;

use crate::claims;
use crate::deliver::Position;
use crate::door::{Site, close};
use crate::frame::{self, Claims, Code, Fault, Frame, Hello, Said};
use crate::hub::{Listening, News};
use crate::limits::{Full, Place, Seat};
use crate::normalise::{Author, Saying, event};
use crate::token::{Proof, Unproved};
use crate::visitor::{self, Visitor};

/// What is recorded is asked for in passing; a line does not wait longer for it.
const HEAD_TIMEOUT: Duration = Duration::from_millis(500);
/// That a visitor is writing is passed on this often.
const TYPING_EVERY: Duration = Duration::from_secs(2);

/// A visitor who said hello, on one connection.
pub(crate) struct Talk {
    site: Arc<Site>,
    place: Place,
    author: Author,
    listening: Listening,
    _seat: Seat<String>,
    /// The session of what is recorded, where we know of none ourselves.
    recorded_session: Option<String>,
    /// The last line that this connection may have seen.
    shown: i64,
    /// How far the visitor has read, and how far that was kept.
    read: i64,
    unkept_read: Option<RawBytes>,
    typed_at: Option<Instant>,
}

/// What comes of a hello.
pub(crate) struct Welcome {
    pub(crate) talk: Talk,
    /// What to say at once.
    pub(crate) said: Vec<Said>,
    /// Where delivery begins.
    pub(crate) position: Position,
}

/// Why somebody is sent away after a hello, and with which close code.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) said: Said,
    pub(crate) code: u16,
}

/// What comes of a frame.
pub(crate) enum Heard {
    Nothing,
    Say(Said),
    /// It is being kept. What to say is known at the end; the order of beginning is the order of the log.
    Keep(BoxFuture<'static, Option<Said>>),
}

impl Talk {
    /// Who says hello, and what they have missed.
    pub(crate) async fn begin(site: &Arc<Site>, place: Place, hello: Hello) -> Result<Welcome, Away> {
        let now = (site.doors.clock)();
        let (visitor, secret, proof) = recognise(site, &hello, now)?;
        if site.rates.visitor_hellos.take(&visitor.id().to_owned()).is_err() {
            return Err(away(site, Code::SlowDown, "this visitor connects too often", close::FLOOD));
        }
        let seat = site.visitors.take(visitor.id().to_owned()).map_err(|full| match full {
            Full::Each => away(site, Code::TooMany, "this visitor has too many connections", close::TOO_MANY),
            Full::All => away(site, Code::TooMany, "there are too many connections", close::TOO_MANY),
        })?;
        // Before what is recorded is read, so that nothing falls in between.
        let listening = site.hub.join(visitor.id());
        let (name, proved) = proof.map_or((None, Vec::new()), |proof| (proof.name, proof.parties));
        let page = hello.page.and_then(frame::page);
        let mut talk = Self {
            site: site.clone(),
            place,
            author: Author { source: site.source().clone(), visitor, name, proved, page },
            listening,
            _seat: seat,
            recorded_session: None,
            shown: 0,
            read: 0,
            unkept_read: None,
            typed_at: None,
        };
        let head = talk.head().await;
        let position = match (hello.after, &head) {
            // A number beyond the last is of a chat that is no more: a record restored from earlier.
            (Some(after), Some(head)) => {
                Position::After(after.clamp(0, head.as_ref().map_or(0, |head| head.seq)))
            }
            (Some(after), None) => Position::After(after.max(0)),
            (None, Some(head)) => Position::After(head.as_ref().map_or(0, |head| head.seq)),
            (None, None) => Position::Since(now),
        };
        let mut said = vec![Said::Welcome {
            visitor: secret,
            seq: head.as_ref().map(|head| head.as_ref().map_or(0, |head| head.seq)),
        }];
        if let Some(Some(head)) = head {
            talk.shown = head.seq;
            talk.read = head.read;
            if head.read > 0 {
                said.push(Said::Read { seq: head.read });
            }
            talk.recorded_session = Some(head.session).filter(|session| !session.is_empty());
        }
        Ok(Welcome { talk, said, position })
    }

    /// What becomes of one frame.
    pub(crate) async fn hear(&mut self, text: &str) -> Heard {
        let frame = match Frame::read(text) {
            Ok(frame) => frame,
            Err(said) => return self.refuse(said),
        };
        let heard = match frame {
            Frame::Hello(_) => Err(Fault::new(Code::BadFrame, "hello was said already")),
            Frame::Message { id, text: line } => self.line(id, &line, text).await,
            Frame::Identify(claims) => self.identify(&claims, text).await,
            Frame::Typing {} => {
                self.typing();
                Ok(Heard::Nothing)
            }
            Frame::Read { seq } => {
                self.read(seq, text);
                Ok(Heard::Nothing)
            }
            Frame::Ping {} => Ok(Heard::Say(Said::Pong {})),
        };
        heard.unwrap_or_else(|fault| self.refuse(Said::Error(fault)))
    }

    /// Whose chat it is.
    pub(crate) fn visitor(&self) -> &str {
        self.author.visitor.id()
    }

    /// Waits until something happened in the chat.
    pub(crate) async fn news(&self) -> News {
        self.listening.news().await
    }

    /// What to say of news, apart from lines.
    pub(crate) fn told(&mut self, news: News) -> Vec<Said> {
        let read = news.read.filter(|seq| *seq > self.read);
        self.read = read.unwrap_or(self.read);
        let typing = news.typing.map(|name| Said::Typing { name });
        typing.into_iter().chain(read.map(|seq| Said::Read { seq })).collect()
    }

    /// These were sent.
    pub(crate) fn showed(&mut self, position: Position) {
        if let Position::After(seq) = position {
            self.shown = self.shown.max(seq);
        }
    }

    /// Whether the visitor has read more than what was kept of it.
    pub(crate) fn has_read_on(&self) -> bool {
        self.unkept_read.is_some()
    }

    /// Keeps how far the visitor has read, if that moved since. One event for any number of frames.
    pub(crate) async fn keep_read(&mut self) -> Option<BoxFuture<'static, Option<Said>>> {
        let raw = self.unkept_read.take()?;
        let known = self.site.sessions.latest(self.visitor()).or_else(|| self.recorded_session.clone());
        let session = match known {
            Some(session) => session,
            None => match self.head().await.flatten() {
                Some(head) => head.session,
                None => {
                    self.unkept_read = Some(raw);
                    return None;
                }
            },
        };
        let seq = self.read;
        self.site.doors.live.tell(Signal { visitor: self.visitor().to_owned(), what: Sign::Read { seq } });
        let now = (self.site.doors.clock)();
        let event = event(&self.author, Saying::Read { seq }, &session, now);
        let (intake, patience) = (self.site.doors.intake.clone(), self.site.doors.pace.accept);
        Some(Box::pin(async move {
            // The visitor is told nothing: a later mark makes up for a lost one.
            match tokio::time::timeout(patience, intake.accept(event, raw)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "a read mark was not kept"),
                Err(_) => debug!("a read mark was not kept in time"),
            }
            None
        }))
    }

    async fn line(&mut self, id: String, text: &str, raw: &str) -> Result<Heard, Fault> {
        if !frame::is_id(&id) {
            return Err(Fault::new(Code::BadId, "an id has 1 to 64 of A-Z a-z 0-9 - _"));
        }
        let text = frame::line(text);
        if text.is_empty() {
            return Err(Fault::new(Code::Empty, "there is nothing in it").of(&id));
        }
        let most = self.site.widget.max_text;
        if text.chars().count() > most {
            return Err(Fault::new(Code::TooLong, format!("a line has at most {most} characters")).of(&id));
        }
        self.pace().map_err(|fault| fault.of(&id))?;
        Ok(self.keep(Saying::Line { message_id: id.clone(), text }, Some(id), raw).await)
    }

    async fn identify(&mut self, claims: &Claims, raw: &str) -> Result<Heard, Fault> {
        if claims.id.as_ref().is_some_and(|id| !frame::is_id(id)) {
            return Err(Fault::new(Code::BadId, "an id has 1 to 64 of A-Z a-z 0-9 - _"));
        }
        let about = |fault: Fault| match &claims.id {
            Some(id) => fault.of(id),
            None => fault,
        };
        let parties = claims::parties(claims, self.visitor(), self.site.widget.region).map_err(about)?;
        self.pace().map_err(about)?;
        if self.author.name.is_none() {
            self.author.name = parties.iter().find_map(|party| party.name.clone());
        }
        Ok(self.keep(Saying::Claims(parties), claims.id.clone(), raw).await)
    }

    fn typing(&mut self) {
        if self.typed_at.is_none_or(|at| at.elapsed() >= TYPING_EVERY) {
            self.typed_at = Some(Instant::now());
            let what = Sign::Typing { agent: None };
            self.site.doors.live.tell(Signal { visitor: self.visitor().to_owned(), what });
        }
    }

    fn read(&mut self, seq: i64, raw: &str) {
        // Nobody has read what they were not shown.
        let seq = seq.min(self.shown);
        if seq > self.read {
            self.read = seq;
            self.unkept_read = Some(RawBytes::new("application/json", raw));
        }
    }

    /// Puts a saying into its session and begins to keep it.
    async fn keep(&mut self, saying: Saying, id: Option<String>, raw: &str) -> Heard {
        let now = (self.site.doors.clock)();
        let session = self.session(&saying, now).await;
        let is_line = matches!(saying, Saying::Line { .. });
        let event = event(&self.author, saying, &session, now);
        let raw = RawBytes::new("application/json", raw);
        let (intake, source) = (self.site.doors.intake.clone(), self.site.source().as_str().to_owned());
        let patience = self.site.doors.pace.accept;
        Heard::Keep(Box::pin(async move {
            let began = Instant::now();
            let kept = tokio::time::timeout(patience, intake.accept(event, raw)).await;
            let retry_after = match kept {
                Ok(Ok(())) => {
                    if is_line {
                        metrics::counter!("frontdesk_chat_lines_total", "source" => source.clone())
                            .increment(1);
                    }
                    metrics::histogram!("frontdesk_chat_ack_seconds", "source" => source)
                        .record(began.elapsed().as_secs_f64());
                    return id.map(|id| Said::Ack { id });
                }
                Ok(Err(refused)) => refused.retry_after(),
                Err(_) => Duration::from_secs(5),
            };
            count_refusal(&source, Code::NotNow.as_str());
            let fault = Fault::new(Code::NotNow, "it could not be kept; nothing is lost if it is sent again");
            let fault = fault.after(retry_after);
            Some(Said::Error(match &id {
                Some(id) => fault.of(id),
                None => fault,
            }))
        }))
    }

    async fn session(&self, saying: &Saying, now: Timestamp) -> String {
        let (sessions, visitor) = (&self.site.sessions, self.visitor());
        let head = if sessions.is_stale(visitor, now) { self.head().await.flatten() } else { None };
        sessions.join(visitor, head.as_ref(), &saying.session(), now)
    }

    /// Where the recorded chat stands; `None` while that cannot be read.
    async fn head(&self) -> Option<Option<Head>> {
        match tokio::time::timeout(HEAD_TIMEOUT, self.site.doors.thread.head(self.visitor())).await {
            Ok(Ok(head)) => Some(head),
            Ok(Err(error)) => {
                debug!(%error, "went on without what is recorded");
                None
            }
            Err(_) => {
                debug!("went on without what is recorded, which took too long to read");
                None
            }
        }
    }

    /// Counts one more of this visitor and of this address.
    fn pace(&self) -> Result<(), Fault> {
        let rates = &self.site.rates;
        let taken =
            rates.visitor.take(&self.visitor().to_owned()).and_then(|()| rates.address.take(&self.place));
        taken.map_err(|pause| Fault::new(Code::SlowDown, "too much at once").after(pause))
    }

    fn refuse(&self, said: Said) -> Heard {
        if let Said::Error(fault) = &said {
            count_refusal(self.site.source().as_str(), fault.code.as_str());
        }
        Heard::Say(said)
    }
}

/// Who it is: whom a token names, or who holds a secret, if only the one they are given now.
fn recognise(
    site: &Site,
    hello: &Hello,
    now: Timestamp,
) -> Result<(Visitor, Option<String>, Option<Proof>), Away> {
    let Some(token) = &hello.token else {
        let known = hello.visitor.clone().filter(|secret| visitor::is_secret(secret));
        let secret = known.unwrap_or_else(|| visitor::secret((site.doors.random)()));
        return Ok((Visitor::of_secret(site.source(), &secret), Some(secret), None));
    };
    let proof = match &site.widget.identity {
        Some(identity) => identity.prove(token, site.widget.region, now),
        None => Err(Unproved::Bad("this chat takes no tokens".to_owned())),
    };
    let proof = proof.map_err(|why| away(site, why.code(), why.to_string(), close::BAD_TOKEN))?;
    Ok((Visitor::of_subject(site.source(), &proof.sub), None, Some(proof)))
}

fn away(site: &Site, code: Code, detail: impl Into<String>, close: u16) -> Away {
    count_refusal(site.source().as_str(), code.as_str());
    Away { said: Said::error(code, detail), code: close }
}

/// Everything that is refused is counted by why.
pub(crate) fn count_refusal(source: &str, reason: &'static str) {
    metrics::counter!("frontdesk_chat_refusals_total", "source" => source.to_owned(), "reason" => reason)
        .increment(1);
}
