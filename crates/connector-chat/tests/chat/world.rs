//! The house around the chat: an intake, a recorder with its thread, and signs of life.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use connector::{Connector, Head, Intake, IntakeError, Line, Live, Sign, Signal, Thread, ThreadAway};
use connector_chat::visitor::Visitor;
use connector_chat::{Config, Doors, Pace, connect};
use contact::chat::{ChatChange, ChatFact};
use contact::{Content, Event, RawBytes, SourceName};
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Far longer than anything here takes, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(100);

pub(crate) const SITE: &str = "https://shop.example";
pub(crate) const KEY: &str = "demo-identity-secret-of-32-bytes!";

/// Everything behind the door, shared by any number of servers.
pub(crate) struct Core {
    state: Mutex<State>,
    live: broadcast::Sender<Signal>,
    /// Whether the intake answers.
    open: watch::Sender<bool>,
    micros: AtomicI64,
}

#[derive(Default)]
struct State {
    accepted: Vec<(Event, RawBytes)>,
    refusal: Option<IntakeError>,
    keys: HashSet<[u8; 16]>,
    chats: HashMap<String, Chat>,
    /// What is recorded cannot be read.
    away: bool,
    /// Reading what is recorded never ends.
    stuck: bool,
    told: Vec<Signal>,
}

#[derive(Default)]
struct Chat {
    lines: Vec<Line>,
    session: String,
    last_at: Timestamp,
    resolved: bool,
    read: i64,
}

impl Core {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            live: broadcast::channel(64).0,
            open: watch::channel(true).0,
            micros: AtomicI64::new(1_800_000_000_000_000),
        })
    }

    /// The next microsecond.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.micros.fetch_add(1, Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// The intake keeps whoever asks waiting, or not any more.
    pub(crate) fn hold(&self, hold: bool) {
        self.open.send_replace(!hold);
    }

    pub(crate) fn refuse(&self, refusal: Option<IntakeError>) {
        self.state().refusal = refusal;
    }

    pub(crate) fn away(&self, away: bool) {
        self.state().away = away;
    }

    pub(crate) fn stuck(&self, stuck: bool) {
        self.state().stuck = stuck;
    }

    /// How many processes listen for signs of life.
    pub(crate) fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    pub(crate) fn resolve(&self, visitor: &str) {
        self.state().chats.get_mut(visitor).unwrap().resolved = true;
    }

    /// An agent's line, recorded and told.
    pub(crate) fn answer(&self, visitor: &str, text: &str) {
        self.append(visitor, text);
        self.tell(Signal { visitor: visitor.into(), what: Sign::Lines });
    }

    /// An agent's line of which nobody is told.
    pub(crate) fn append(&self, visitor: &str, text: &str) {
        let at = self.now();
        let mut state = self.state();
        let chat = state.chats.entry(visitor.to_owned()).or_default();
        let seq = i64::try_from(chat.lines.len()).unwrap() + 1;
        let id = format!("ent_{seq}");
        chat.lines.push(Line { seq, id, agent: Some("Mia".into()), text: text.into(), at });
    }

    /// As if the last line had never been.
    pub(crate) fn forget_last(&self, visitor: &str) {
        self.state().chats.get_mut(visitor).unwrap().lines.pop();
    }

    pub(crate) fn accepted(&self) -> Vec<(Event, RawBytes)> {
        self.state().accepted.clone()
    }

    pub(crate) fn told(&self) -> Vec<Signal> {
        self.state().told.clone()
    }

    /// The recorded lines of a chat, as texts.
    pub(crate) fn recorded(&self, visitor: &str) -> Vec<String> {
        let state = self.state();
        state
            .chats
            .get(visitor)
            .map(|chat| chat.lines.iter().map(|line| line.text.clone()).collect())
            .unwrap_or_default()
    }

    /// As the recorder does it: each key once.
    fn record(&self, event: &Event) {
        let (visitor, session) = (event.from.clone().unwrap().value.unwrap(), session(event));
        {
            let mut state = self.state();
            if !state.keys.insert(event.key.digest()) {
                return;
            }
            let chat = state.chats.entry(visitor.clone()).or_default();
            match change(event).fact {
                ChatFact::Line { message_id, text } => {
                    let seq = i64::try_from(chat.lines.len()).unwrap() + 1;
                    chat.lines.push(Line { seq, id: message_id, agent: None, text, at: event.occurred_at });
                    chat.resolved = false;
                    (chat.session, chat.last_at) = (session, event.occurred_at);
                }
                ChatFact::Read { seq } => chat.read = chat.read.max(seq),
                ChatFact::Identified => {}
            }
        }
        self.tell(Signal { visitor, what: Sign::Lines });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl Intake for Core {
    async fn accept(&self, event: Event, raw: RawBytes) -> Result<(), IntakeError> {
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        {
            let mut state = self.state();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            state.accepted.push((event.clone(), raw));
        }
        self.record(&event);
        Ok(())
    }
}

#[async_trait]
impl Thread for Core {
    async fn head(&self, visitor: &str) -> Result<Option<Head>, ThreadAway> {
        if self.state().stuck {
            return std::future::pending().await;
        }
        let state = self.state();
        if state.away {
            return Err(ThreadAway("for a test".into()));
        }
        Ok(state.chats.get(visitor).map(|chat| Head {
            seq: i64::try_from(chat.lines.len()).unwrap(),
            session: chat.session.clone(),
            last_at: chat.last_at,
            resolved: chat.resolved,
            read: chat.read,
        }))
    }

    async fn lines(&self, visitor: &str, after: i64, limit: usize) -> Result<Vec<Line>, ThreadAway> {
        if self.state().stuck {
            return std::future::pending().await;
        }
        let state = self.state();
        if state.away {
            return Err(ThreadAway("for a test".into()));
        }
        let lines = state.chats.get(visitor).map(|chat| chat.lines.as_slice()).unwrap_or_default();
        Ok(lines.iter().filter(|line| line.seq > after).take(limit).cloned().collect())
    }
}

impl Live for Core {
    fn tell(&self, signal: Signal) {
        self.state().told.push(signal.clone());
        // Nobody may be listening.
        self.live.send(signal).ok();
    }

    fn listen(&self) -> broadcast::Receiver<Signal> {
        self.live.subscribe()
    }
}

/// What an event says of a chat.
pub(crate) fn change(event: &Event) -> ChatChange {
    match &event.content {
        Content::Chat(change) => (**change).clone(),
        other => panic!("{other:?}"),
    }
}

/// The session an event belongs to.
pub(crate) fn session(event: &Event) -> String {
    event.contact.0.rsplit_once('/').unwrap().1.to_owned()
}

pub(crate) fn source() -> SourceName {
    "chat/site".parse().unwrap()
}

/// `<source>:<digest>` of who holds a secret.
pub(crate) fn visitor(secret: &str) -> String {
    Visitor::of_secret(&source(), secret).id().to_owned()
}

pub(crate) fn config() -> Config {
    Config {
        origins: vec![SITE.to_owned()],
        identity_secret: Some(connector_chat::Secret::new(KEY)),
        region: Some("UA".into()),
        ..Config::default()
    }
}

/// Quick, but for what is not told and for what a busy machine may be late with.
pub(crate) fn pace() -> Pace {
    Pace {
        hello: DEADLINE,
        send: DEADLINE,
        accept: DEADLINE,
        look: Duration::from_secs(600),
        retry: Duration::from_millis(20),
        read: Duration::from_millis(20),
        poll: Duration::from_millis(200),
        ..Pace::default()
    }
}

/// The connector over these doors.
pub(crate) fn chat(
    core: &Arc<Core>,
    config: &Config,
    pace: Pace,
    stop: CancellationToken,
) -> (Connector, TaskTracker) {
    over(core.clone(), core, config, pace, stop)
}

pub(crate) fn over(
    intake: Arc<dyn Intake>,
    core: &Arc<Core>,
    config: &Config,
    pace: Pace,
    stop: CancellationToken,
) -> (Connector, TaskTracker) {
    static SERVERS: AtomicU8 = AtomicU8::new(0);
    let (server, count) = (SERVERS.fetch_add(1, Ordering::SeqCst), AtomicU8::new(0));
    let clock = core.clone();
    let doors = Doors {
        pace,
        ..Doors::new(
            intake,
            core.clone(),
            core.clone(),
            Arc::new(move || clock.now()),
            Arc::new(move || {
                let mut random = [server; 32];
                random[0] = count.fetch_add(1, Ordering::SeqCst);
                random
            }),
            stop,
        )
    };
    let sockets = doors.sockets.clone();
    let widget = config.check("site").unwrap();
    (connect([(source(), widget)].into(), doors), sockets)
}

/// Waits for a state.
pub(crate) async fn until(mut state: impl FnMut() -> bool) {
    let reached = async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(DEADLINE, reached).await.expect("the state was not reached");
}
