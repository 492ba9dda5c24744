//! The log and what comes of it: events as they arrive and as they stand, the numbered changes of the feed, and
//! what could not be processed.

use contact::{Event, Notice, PromiseKind, SourceName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub event: Event,
    /// The event's JSON exactly as it was published; the log keeps this text.
    pub payload: String,
    /// When the decision about it was taken: now, or what the log says at a replay.
    pub recorded_at: Timestamp,
}

impl Arrival {
    /// An event of our own making, with its text.
    pub fn new(event: Event, recorded_at: Timestamp) -> Arrival {
        let payload = String::from_utf8(event.to_json()).expect("JSON is UTF-8");
        Arrival { event, payload, recorded_at }
    }
}

/// An event in the log. Positions begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    pub position: i64,
    pub recorded_at: Timestamp,
    pub payload: String,
}

/// One change, numbered. It says what changed, not how: the reader looks the present state up, so the
/// feed holds no personal data and erasure need not rewrite it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedItem {
    /// Begins at 1, without gaps.
    pub position: i64,
    pub kind: FeedKind,
    /// Of the entry, conversation or client.
    pub id: Uuid,
    pub rev: i64,
    /// Of a deadline what was told: two of one conversation may be told at once, and none is looked up.
    pub notice: Option<Announcement>,
}

/// What a promise said by itself, and by when it was to be kept as it was reckoned then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    pub promise: PromiseKind,
    pub notice: Notice,
    pub due_at: Option<Timestamp>,
}

words!(FeedKind, "kind of change" {
    Entry = "entry",
    Conversation = "conversation",
    Client = "client",
    /// A promise of a conversation warned or was broken.
    Deadline = "deadline",
    Reservation = "reservation",
    Agent = "agent",
});

/// What could not be processed, kept with its reason and a way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// 32 hex digits, derived from what is kept; keeping the same thing twice is keeping it once.
    pub id: String,
    /// `None` when not even the source could be read.
    pub source: Option<SourceName>,
    pub received_at: Timestamp,
    pub reason: String,
    pub field: Option<String>,
    /// The bus message's payload; not UTF-8 only if the message was not.
    pub payload: Vec<u8>,
    pub state: LetterState,
}

words!(LetterState, "state of a dead letter" { Open = "open", Retried = "retried", Discarded = "discarded" });
