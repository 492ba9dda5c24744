//! A reader of the event stream that comes back whenever it is cut off, and remembers everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::load::Facts;
use crate::wait::{eventually, when};

const PATIENCE: Duration = Duration::from_secs(90);
/// A console that was cut off waits this long before it comes back.
const COME_BACK: Duration = Duration::from_millis(50);

/// A client of `/v1/events` that reconnects all along with `Last-Event-ID`.
#[derive(Debug)]
pub struct Follower {
    seen: Arc<Mutex<Seen>>,
    _running: DropGuard,
}

/// What a follower has read.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The last message's id; the next one's is one more.
    pub last: u64,
    /// The last state of each call: its facts.
    pub calls: Facts,
    /// How many messages of each event there were.
    pub events: BTreeMap<String, usize>,
    /// Every message but those of entries and conversations, and of entries those of a telephone that rings.
    pub told: Vec<Told>,
    /// How often the stream was begun.
    pub connections: usize,
    /// The first message that was not the one after the last.
    wrong: Option<String>,
}

/// A message of the stream.
#[derive(Clone, Debug)]
pub struct Told {
    pub event: String,
    pub data: Value,
    /// When it was read.
    pub at: Timestamp,
}

impl Follower {
    pub(crate) fn start(base: &str, token: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        // Without a limit on the whole answer, which never ends; a silent server is noticed by its keep-alives.
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(40))
            .no_proxy()
            .build()
            .expect("no HTTP client");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = CancellationToken::new();
        let reader =
            Reader { http, url: format!("{base}/v1/events"), token: token.to_owned(), seen: seen.clone() };
        let until = stop.clone();
        TaskTracker::new().spawn(async move {
            loop {
                tokio::select! {
                    () = until.cancelled() => return,
                    () = reader.read() => {}
                }
                tokio::select! {
                    () = until.cancelled() => return,
                    () = tokio::time::sleep(COME_BACK) => {}
                }
            }
        });
        Self { seen, _running: stop.drop_guard() }
    }

    /// What was read so far.
    ///
    /// # Panics
    /// When there was a gap or a repetition.
    pub fn seen(&self) -> Seen {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(wrong) = &seen.wrong {
            panic!("{wrong}");
        }
        seen
    }

    /// Waits until the stream has shown each of these calls with all its facts, and nothing else.
    pub async fn sees(&self, told: &Facts) -> Seen {
        eventually("the feed shows everything", PATIENCE, async || {
            let seen = self.seen();
            let missing = told.iter().filter(|(id, facts)| seen.calls.get(*id) != Some(*facts)).count();
            when(missing == 0, format!("{missing} of {} calls are missing at {}", told.len(), seen.last))
        })
        .await;
        let seen = self.seen();
        assert_eq!(seen.calls.len(), told.len(), "the feed shows calls that were never told");
        seen
    }

    /// Waits until what was told of some kind of event satisfies `enough`, and gives it.
    pub async fn hears(&self, event: &str, what: &str, enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        eventually(what, PATIENCE, async || {
            let told: Vec<_> = self.seen().told.into_iter().filter(|told| told.event == event).collect();
            if enough(&told) { Ok(told) } else { Err(told) }
        })
        .await
    }

    /// Waits until the stream was begun so many times: who is cut off now had been connected.
    pub async fn connects(&self, times: usize) {
        eventually("the reader of the feed is connected", PATIENCE, async || {
            let seen = self.seen().connections;
            when(seen >= times, seen)
        })
        .await;
    }

    /// Waits until the stream has come to `position`.
    pub async fn reaches(&self, position: u64) -> Seen {
        eventually("the feed is read", PATIENCE, async || {
            let seen = self.seen();
            when(seen.last >= position, seen.last)
        })
        .await;
        self.seen()
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever reads has a clock on the wall")]
fn now() -> Timestamp {
    Timestamp::now()
}

struct Reader {
    http: reqwest::Client,
    url: String,
    token: String,
    seen: Arc<Mutex<Seen>>,
}

impl Reader {
    /// One connection, until it ends for whatever reason.
    async fn read(&self) {
        let request = self.http.get(&self.url).bearer_auth(&self.token);
        let last = self.with(|seen| seen.last);
        let request = match last {
            0 => request.query(&[("after", "0")]),
            last => request.header("Last-Event-ID", last.to_string()),
        };
        let Ok(answer) = request.send().await else { return };
        let status = answer.status();
        if status.is_client_error() {
            let text = answer.text().await.unwrap_or_default();
            return self.complain(format!("the event stream after {last} was refused with {status}: {text}"));
        }
        if !status.is_success() {
            return;
        }
        self.with(|seen| seen.connections += 1);
        let mut chunks = answer.bytes_stream();
        let mut text = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let message: Vec<u8> = text.drain(..end + 2).collect();
                self.take(&String::from_utf8_lossy(&message));
            }
        }
    }

    /// One message; a comment has no id.
    fn take(&self, message: &str) {
        let field = |name: &str| {
            message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start))
        };
        let Some(id) = field("id") else { return };
        let event = field("event").unwrap_or("message");
        let Ok(data) = serde_json::from_str::<Value>(field("data").unwrap_or_default()) else {
            return self.complain(format!("message {id} of the feed is no JSON: {message}"));
        };
        let last = self.with(|seen| seen.last);
        if id.parse() != Ok(last + 1) {
            return self.complain(format!("after {last} the feed went on with {id}"));
        }
        let rings = data["rings"].as_array().is_some_and(|rings| !rings.is_empty());
        let kept = rings || !matches!(event, "entry" | "conversation");
        self.with(|seen| {
            seen.last = last + 1;
            if kept {
                seen.told.push(Told { event: event.to_owned(), data: data.clone(), at: now() });
            }
            *seen.events.entry(event.to_owned()).or_default() += 1;
            let call = data.pointer("/entry/content/call_id").and_then(Value::as_str);
            let rev = data.pointer("/entry/rev").and_then(Value::as_u64);
            if let (Some(call), Some(rev)) = (call, rev.and_then(|rev| usize::try_from(rev).ok())) {
                let known = seen.calls.entry(call.to_owned()).or_default();
                if rev < *known {
                    seen.wrong.get_or_insert(format!("call {call} went back from rev {known} to {rev}"));
                }
                *known = rev;
            }
        });
    }

    fn complain(&self, what: String) {
        self.with(|seen| {
            seen.wrong.get_or_insert(what);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
