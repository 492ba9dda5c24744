//! A house to call: the router over a store in memory, people with tokens, and a telephone.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use api::{Condition, Desk, DeskError, Feed, Health, Parts, SourceInfo, token_id, token_secret};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use contact::email::Attachment;
use contact::{
    CallChange, CallState, ContactKey, Content, Direction, Event, EventKey, IdentifierKind, Outcome, Party,
    Raw, RawBytes, SourceName, Suspect, Trust,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use timeline::{Arrival, DeadLetter, LetterState, Role, Store, Token, record};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::memory::MemoryStore;

pub(crate) struct House {
    pub(crate) router: Router,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) desk: Arc<TestDesk>,
    pub(crate) feed: Feed,
    pub(crate) stop: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// Seconds after noon.
    pub(crate) clock: Arc<AtomicI64>,
    people: AtomicU8,
}

impl House {
    /// Needs a running runtime.
    pub(crate) fn new() -> Self {
        let (store, stop, tracker) =
            (Arc::new(MemoryStore::default()), CancellationToken::new(), TaskTracker::new());
        let desk = Arc::new(TestDesk::default());
        let clock = Arc::new(AtomicI64::new(0));
        let time = time(&clock);
        let feed = Feed::start(Arc::<MemoryStore>::clone(&store), time.clone(), stop.clone(), &tracker);
        let router = api::router(Parts {
            store: Arc::<MemoryStore>::clone(&store),
            feed: feed.clone(),
            policy: Arc::default(),
            clock: time,
            process: PROCESS.to_owned(),
            desk: Arc::<TestDesk>::clone(&desk),
            stop: stop.clone(),
            tracker: tracker.clone(),
        });
        Self { router, store, desk, feed, stop, tracker, clock, people: AtomicU8::new(1) }
    }

    /// Somebody with a token of their own, named after their role.
    pub(crate) async fn person(&self, role: Role) -> Person {
        self.named(&format!("a {role}"), role).await
    }

    pub(crate) async fn named(&self, name: &str, role: Role) -> Person {
        let secret = token_secret([self.people.fetch_add(1, Ordering::Relaxed); 32]);
        let token = Token {
            id: token_id(&secret),
            name: name.to_owned(),
            role,
            created_at: noon(0),
            revoked_at: None,
        };
        self.store.add_token(&token).await.unwrap();
        Person { router: self.router.clone(), secret: Some(secret) }
    }

    pub(crate) fn stranger(&self) -> Person {
        Person { router: self.router.clone(), secret: None }
    }

    /// Records the calls in one batch, and tells the feed.
    pub(crate) async fn records(&self, events: Vec<Event>) {
        let arrivals = events.into_iter().map(|event| Arrival {
            payload: String::from_utf8(event.to_json()).unwrap(),
            recorded_at: event.received_at,
            event,
        });
        let policy = timeline::Policy::default();
        let recorded = record(self.store.as_ref(), &policy, arrivals.collect(), Vec::new()).await.unwrap();
        self.feed.wake(recorded.feed_position);
    }
}

/// The process that the API runs in.
pub(crate) const PROCESS: &str = "desk-1";

/// What the time is, by a clock that stands until it is set.
pub(crate) fn time(clock: &Arc<AtomicI64>) -> api::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || noon(clock.load(Ordering::Relaxed)))
}

/// So many seconds after noon of the day everything happens.
pub(crate) fn noon(seconds: i64) -> Timestamp {
    "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// One fact about an inbound call, at so many seconds after noon.
pub(crate) fn call(id: &str, from: Option<&str>, state: CallState, at: i64) -> Event {
    let source: SourceName = "phone/main-line".parse().unwrap();
    let outcome = (state == CallState::Ended).then_some(Outcome::Missed);
    let party = |value: Option<&str>, name: Option<&str>| Party {
        kind: IdentifierKind::Phone,
        value: value.map(str::to_owned),
        raw: value.unwrap_or("anonymous").to_owned(),
        name: name.map(str::to_owned),
    };
    let form = format!("CallSid={id}&State={state:?}");
    Event {
        key: EventKey { source: source.clone(), id: format!("{id}:{state:?}:00000000").to_lowercase() },
        contact: ContactKey::new(&source, id),
        occurred_at: noon(at),
        received_at: noon(at),
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: Some(party(from, from.map(|_| "Олена"))),
        to: vec![party(Some("+380800500500"), None)],
        content: Content::Call(CallChange { state: Some(state), outcome, ..CallChange::default() }),
        raw: Some(RawBytes::new("application/x-www-form-urlencoded", form).inline()),
    }
}

/// Rang and was missed.
pub(crate) fn missed(id: &str, from: Option<&str>, at: i64) -> Vec<Event> {
    vec![call(id, from, CallState::Ringing, at), call(id, from, CallState::Ended, at + 21)]
}

/// Somebody who calls the API.
#[derive(Clone)]
pub(crate) struct Person {
    router: Router,
    pub(crate) secret: Option<String>,
}

impl Person {
    pub(crate) fn new(router: Router, secret: String) -> Self {
        Self { router, secret: Some(secret) }
    }

    pub(crate) fn with_secret(&self, secret: &str) -> Self {
        Self { router: self.router.clone(), secret: Some(secret.to_owned()) }
    }

    pub(crate) fn id(&self) -> String {
        token_id(self.secret.as_ref().unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        Answer::read(self.open(method, path, headers, body).await).await
    }

    /// The answer's head, its body unread.
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(secret) = &self.secret {
            request = request.header("Authorization", format!("Bearer {secret}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body: to_bytes(body, 1 << 24).await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The JSON of a good answer.
    pub(crate) fn json(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<Value> {
        self.json()["items"].as_array().unwrap().clone()
    }

    /// Everything a problem says.
    pub(crate) fn problem_json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json["status"], self.status.as_u16());
        json
    }

    /// A problem in one line: status, field, sentence.
    pub(crate) fn problem(&self) -> String {
        let json = self.problem_json();
        let title = match json["type"].as_str().unwrap() {
            "about:blank" => self.status.canonical_reason().unwrap(),
            "/problems/no-way" => "Nothing can be sent there",
            "/problems/taken" => "Somebody else has it",
            "/problems/too-late" => "It is too late",
            "/problems/unwanted-by-client" => "The client does not want it",
            other => panic!("nobody knows {other}"),
        };
        assert_eq!(json["title"], title);
        let field = json["field"].as_str().map(|field| format!(" [{field}]")).unwrap_or_default();
        format!("{}{field} {}", self.status.as_u16(), json["detail"].as_str().unwrap())
    }
}

/// The rest of the house, as far as the API sees it.
#[derive(Default)]
pub(crate) struct TestDesk {
    secrets: AtomicU64,
    pub(crate) retried: Mutex<Vec<String>>,
    pub(crate) released: Mutex<Vec<(String, bool)>>,
    pub(crate) blobs: Mutex<HashMap<String, Bytes>>,
    /// Files in mails, by their digest.
    pub(crate) files: Mutex<HashMap<String, (Attachment, Bytes)>>,
    /// The positions that acts brought the feed to.
    pub(crate) acted: Mutex<Vec<i64>>,
    /// Nothing that is written leaves by any source.
    pub(crate) mute: AtomicBool,
    /// The door is closed.
    pub(crate) closed: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) hangs: AtomicBool,
    /// What hung when a letter was to be sent in goes on.
    pub(crate) goes_on: Notify,
}

#[async_trait]
impl Desk for TestDesk {
    fn sources(&self) -> Vec<SourceInfo> {
        vec![SourceInfo {
            name: "phone/main-line".parse().unwrap(),
            channel: contact::Channel::Phone,
            provider: "twilio".to_owned(),
            hook: Some("http://127.0.0.1:8700/hooks/phone/main-line".to_owned()),
            demo: false,
        }]
    }

    async fn health(&self) -> Health {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let open = !self.closed.load(Ordering::Relaxed);
        let fine = |state: &str| Condition { ok: true, state: state.to_owned() };
        Health {
            ready: open,
            journal: Condition { ok: open, state: if open { "accepting" } else { "full" }.to_owned() },
            bus: fine("connected"),
            store: fine("sqlite"),
            connectors: BTreeMap::from([("phone/main-line".to_owned(), fine("running"))]),
            versions: BTreeMap::from([("frontdesk".to_owned(), "0.1.0".to_owned())]),
        }
    }

    fn metrics(&self) -> String {
        assert!(!self.panics.load(Ordering::Relaxed), "the desk fell over");
        "frontdesk_sse_subscribers 0\n".to_owned()
    }

    fn secret(&self) -> String {
        let mut random = [200; 32];
        let (low, _) = random.split_first_chunk_mut().unwrap();
        *low = self.secrets.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        token_secret(random)
    }

    async fn retry(&self, letter: &DeadLetter) -> Result<(), DeskError> {
        if self.hangs.load(Ordering::Relaxed) {
            self.goes_on.notified().await;
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(DeskError::Away {
                doing: "send a letter in again",
                cause: "the journal is full".into(),
            });
        }
        self.retried.lock().unwrap().push(letter.id.clone());
        Ok(())
    }

    async fn release(&self, suspect: &Suspect, unverified: bool) -> Result<(), DeskError> {
        if !unverified && !suspect.request.text.as_ref().unwrap().contains("good") {
            return Err(DeskError::Refused("its signature is still not right".to_owned()));
        }
        self.released.lock().unwrap().push((suspect.id.clone(), unverified));
        Ok(())
    }

    async fn blob(&self, raw: &Raw) -> Result<Option<Bytes>, DeskError> {
        Ok(self.blobs.lock().unwrap().get(&raw.sha256).cloned())
    }

    async fn attachment(&self, raw: &Raw, sha256: &str) -> Result<Option<(Attachment, Bytes)>, DeskError> {
        assert_eq!(raw.media_type, "message/rfc822");
        Ok(self.files.lock().unwrap().get(sha256).cloned())
    }

    fn can_answer(&self, source: &SourceName) -> Result<(), String> {
        if self.mute.load(Ordering::Relaxed) {
            return Err(format!("{source} has no way to send"));
        }
        Ok(())
    }

    fn acted(&self, feed_position: i64) {
        self.acted.lock().unwrap().push(feed_position);
    }
}

pub(crate) fn letter(n: u8) -> DeadLetter {
    DeadLetter {
        id: format!("{n:032x}"),
        source: Some("phone/main-line".parse().unwrap()),
        received_at: noon(i64::from(n)),
        reason: "`From` is not UTF-8".to_owned(),
        field: Some("From".to_owned()),
        payload: if n.is_multiple_of(2) { vec![0xff, n] } else { br#"{"broken":true}"#.to_vec() },
        state: LetterState::Open,
    }
}

pub(crate) fn suspect(body: &str) -> Suspect {
    let request =
        RawBytes::new("message/http", format!("POST /hooks/phone/main-line HTTP/1.1\r\n\r\n{body}"));
    let reason = "its signature is not right".to_owned();
    Suspect::new(
        "phone/main-line".parse().unwrap(),
        noon(0),
        Some("203.0.113.9".to_owned()),
        reason,
        &request,
    )
}
