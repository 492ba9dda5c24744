//! A consumer, as its messages arrive.
//!
//! The pulls are ours and not the library's, for one reason: before we go (a stop, a store away)
//! everything the broker has under way to us must have arrived, so that it can be given back.
//! Otherwise it would lie unacked for the ack wait, and a ringing call would be seen a minute late.
//! So a pull is short-lived at the broker, and its end is always heard: either it was filled, or a
//! status says how much of it was not.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::jetstream::{Context, Message};
use async_nats::{StatusCode, Subscriber};
use futures::{FutureExt, StreamExt};
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::conn::{REQUEST, Session, chain};
use crate::consume::MOST;
use crate::topology::Consumer;

/// Bytes in a batch at most (one message more may cross it).
const MOST_BYTES: usize = 8 << 20;
/// Twice the batch is under way from the broker, so that the next is here when this is done.
const AHEAD: usize = 2 * MOST;
/// Bytes of one pull at most; two may be open. What bounds our memory when messages are large.
const AHEAD_BYTES: usize = 16 << 20;
/// How long a pull waits at the broker for messages: what a stop may have to wait for.
const PULL: Duration = Duration::from_millis(500);
/// A broker that has not ended a pull this long after its time is given up.
const OVERDUE: Duration = Duration::from_secs(5);

/// What has been asked of one consumer, and what came of it.
struct Pulls {
    handle: PullConsumer,
    js: Context,
    answers: Subscriber,
    inbox: String,
    /// Messages asked for that may still come.
    open: usize,
    /// The broker had more when it last spoke. A pull that timed out means that it has not.
    more: bool,
    /// When something was last heard, or first asked.
    heard: Instant,
}

impl Pulls {
    async fn open(session: &Session, consumer: &Consumer) -> Result<Self, String> {
        let handle = session
            .js
            .get_consumer_from_stream(consumer.name(), consumer.stream().name())
            .await
            .map_err(|error| chain(&error))?;
        let more = handle.cached_info().num_pending > 0;
        let inbox = session.client.new_inbox();
        let answers = session.client.subscribe(inbox.clone()).await.map_err(|error| chain(&error))?;
        Ok(Self { handle, js: session.js.clone(), answers, inbox, open: 0, more, heard: Instant::now() })
    }

    async fn ask(&mut self, batch: BatchConfig) -> Result<(), String> {
        let messages = batch.batch;
        let asked = self.handle.request_batch(batch, self.inbox.as_str().into());
        asked.await.map_err(|error| chain(&error))?;
        if self.open == 0 {
            self.heard = Instant::now();
        }
        self.open += messages;
        Ok(())
    }

    /// The next message. `None` when a pull has ended instead.
    async fn next(&mut self) -> Result<Option<Message>, String> {
        let Some(message) = unconstrained(self.answers.next()).await else {
            return Err("the stream of messages ended, though nobody stopped it".to_owned());
        };
        self.heard = Instant::now();
        let Some(status) = message.status.filter(|status| *status != StatusCode::OK) else {
            self.open = self.open.saturating_sub(1);
            let message = Message { message, context: self.js.clone() };
            self.more = message.info().is_ok_and(|info| info.pending > 0);
            return Ok(Some(message));
        };
        // Other ends (batch completed, bytes reached) do not mean that nothing is left.
        if status == StatusCode::TIMEOUT || status == StatusCode::NOT_FOUND {
            self.more = false;
        }
        let unfilled = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
        let unfilled = unfilled.and_then(|count| count.as_str().parse::<usize>().ok());
        match (status, unfilled) {
            (StatusCode::IDLE_HEARTBEAT, _) => Ok(None),
            (_, Some(unfilled)) => {
                self.open = self.open.saturating_sub(unfilled);
                Ok(None)
            }
            // Nothing there, and nothing to be waited for.
            (StatusCode::NOT_FOUND, None) => {
                self.open = 0;
                Ok(None)
            }
            (status, None) => {
                let why = message.description.as_deref().unwrap_or("no reason given");
                if why.contains("MaxAckPending") {
                    // As much as may be is with us or our predecessor: later.
                    self.open = 0;
                    return Ok(None);
                }
                Err(format!("the broker ended a pull: {status} {why}"))
            }
        }
    }
}

/// The lane that is always read: the broker sends ahead.
pub(crate) struct Live {
    pulls: Pulls,
    /// Arrived, not yet in a batch.
    first: Option<Message>,
    /// The lane has to be opened anew; what had arrived is still worked on.
    lost: Option<String>,
    /// Nothing more can arrive.
    ended: bool,
}

impl Live {
    pub(crate) async fn open(session: &Session, consumer: &Consumer) -> Result<Self, String> {
        let pulls = Pulls::open(session, consumer).await?;
        Ok(Self { pulls, first: None, lost: None, ended: false })
    }

    pub(crate) fn lose(&mut self, reason: &str) {
        self.lost.get_or_insert_with(|| reason.to_owned());
    }

    /// Why the lane has to be opened anew, if it has.
    pub(crate) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Whether the broker has nothing that we have not seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && !self.pulls.more
    }

    /// Has the broker send ahead.
    pub(crate) async fn ask(&mut self) {
        if self.pulls.open > AHEAD / 2 || self.lost.is_some() {
            return;
        }
        let batch = BatchConfig {
            batch: AHEAD,
            max_bytes: AHEAD_BYTES,
            expires: Some(PULL),
            ..BatchConfig::default()
        };
        if let Err(reason) = self.pulls.ask(batch).await {
            self.lose(&reason);
        }
    }

    /// What has arrived, at most `cap`; waits for nothing.
    pub(crate) fn ready(&mut self, cap: usize) -> Vec<Message> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < cap && bytes < MOST_BYTES {
            // Unconstrained: tokio's budget would otherwise end every batch at 64 messages.
            if self.first.is_none() && (self.ended || unconstrained(self.hear()).now_or_never().is_none()) {
                break;
            }
            if let Some(message) = self.first.take() {
                bytes += message.payload.len();
                batch.push(message);
            }
        }
        batch
    }

    /// Waits until something has happened: a message is there, a pull or the lane has ended.
    pub(crate) async fn happens(&mut self) {
        let overdue = self.pulls.heard + PULL + OVERDUE;
        match tokio::time::timeout_at(overdue, self.hear()).await {
            Ok(()) => {}
            Err(_) => self.lose("the broker says nothing"),
        }
    }

    /// Everything that is here or under way. Waits for the open pulls to end, but not for ever;
    /// asks for nothing more.
    pub(crate) async fn everything(mut self) -> Vec<Message> {
        let mut all = self.ready(usize::MAX);
        let deadline = Instant::now() + PULL + OVERDUE;
        while self.pulls.open > 0 && !self.ended {
            if tokio::time::timeout_at(deadline, self.hear()).await.is_err() {
                break;
            }
            all.extend(self.first.take());
        }
        all
    }

    async fn hear(&mut self) {
        if self.ended {
            return;
        }
        match self.pulls.next().await {
            Ok(message) => self.first = message,
            Err(reason) => {
                self.ended = true;
                self.lose(&reason);
            }
        }
    }
}

/// The lane that is read only when the other is empty: nothing is sent ahead of the asking, so
/// nothing lies here unacked while the live lane is busy.
pub(crate) struct Behind {
    pub(crate) consumer: &'static Consumer,
    pulls: Pulls,
    due: Instant,
    idle: Backoff,
}

impl Behind {
    pub(crate) async fn open(session: &Session, consumer: &'static Consumer) -> Result<Self, String> {
        let pulls = Pulls::open(session, consumer).await?;
        let idle = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        Ok(Self { consumer, pulls, due: Instant::now(), idle })
    }

    /// When to look again.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What is waiting, at most `cap`. An empty lane is due again later and later, up to a second.
    pub(crate) async fn fetch(&mut self, cap: usize) -> Result<Vec<Message>, String> {
        let batch = BatchConfig { batch: cap, no_wait: true, ..BatchConfig::default() };
        self.pulls.ask(batch).await?;
        let deadline = Instant::now() + REQUEST;
        let mut batch = Vec::new();
        while self.pulls.open > 0 {
            match tokio::time::timeout_at(deadline, self.pulls.next()).await {
                Ok(Ok(message)) => batch.extend(message),
                // What came before is still worked on; an ended lane shows at the next fetch.
                _ if !batch.is_empty() => break,
                Ok(Err(reason)) => return Err(reason),
                Err(_) => return Err("the broker says nothing".to_owned()),
            }
        }
        if batch.is_empty() {
            self.due = Instant::now() + self.idle.wait();
        } else {
            self.idle.reset();
        }
        Ok(batch)
    }
}
