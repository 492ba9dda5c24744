//! Where a connector puts things.

use std::time::Duration;

use async_trait::async_trait;
use contact::{Event, Order, RawBytes, ReplyFate, Suspect};
use jiff::Timestamp;
use tokio::sync::broadcast;

/// Where a connector puts a contact event.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Returns once the event and its raw are durable on this machine. Only then may the source be
    /// told "got it". Safe to repeat: the event's key makes the second time harmless.
    ///
    /// `event.raw` is filled in here: the raw rides inside while it is small and beside it when large.
    async fn accept(&self, event: Event, raw: RawBytes) -> Result<(), IntakeError>;
}

/// Why an event was not taken. The source must not be told "got it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The journal has reached its bound on disk; nothing is lost if the source tries again.
    #[error("the journal is full")]
    Full { retry_after: Duration },
    /// The disk refused. Nothing was promised.
    #[error("the journal cannot write: {reason}")]
    Broken { reason: String, retry_after: Duration },
}

impl IntakeError {
    pub fn retry_after(&self) -> Duration {
        match self {
            IntakeError::Full { retry_after } | IntakeError::Broken { retry_after, .. } => *retry_after,
        }
    }
}

/// Where a connector puts a request to a known source that did not prove itself.
///
/// A place of its own with bounds of its own, so that no forger can fill the journal.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Never fails the caller: what cannot be held is counted and dropped.
    async fn hold(&self, suspect: Suspect) -> Held;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Kept,
    /// A bound was reached (per address, per source, or on disk); the newest is dropped and counted.
    Dropped,
}

/// Where reading a source had come to, kept so that whoever reads it next goes on there.
///
/// The revision is the only fence: two may read one source at the same time, and only one of them moves
/// its mark. Reading twice is harmless.
#[async_trait]
pub trait Cursors: Send + Sync {
    /// The mark of this name, as it was last moved; `None` when nobody ever set one.
    async fn get(&self, name: &str) -> Result<Option<Mark>, CursorError>;

    /// Moves it, durably, if its revision is still `from` (`None`: if there is none). Gives the new one.
    async fn advance(&self, name: &str, from: Option<u64>, value: &str) -> Result<u64, CursorError>;
}

/// A mark: what its reader wrote, and its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// In the reader's own words.
    pub value: String,
    pub revision: u64,
}

/// Why a mark could not be read or moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Somebody else moved it: read it again and go on from there.
    #[error("somebody else has moved the cursor")]
    Moved,
    #[error("the cursors cannot be reached: {0}")]
    Away(String),
}

/// Brings answers to clients over one source. The house asks it, once for every try.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Tries once, within a time-out of its own, and says how it ended. Never retries, because somebody
    /// else counts the tries.
    async fn deliver(&self, order: &Order) -> Tried;
}

/// How a try to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub fate: ReplyFate,
    /// What the other side said, for a person.
    pub detail: Option<String>,
    /// The Message-ID it was sent under, without `<>`.
    pub message_id: Option<String>,
}

/// What a visitor may re-read: the recorded lines of their own chat, both sides', and nothing else.
#[async_trait]
pub trait Thread: Send + Sync {
    /// Where the chat stands; `None` when nothing of it is recorded.
    async fn head(&self, visitor: &str) -> Result<Option<Head>, ThreadAway>;

    /// Up to `limit` lines after number `after`, in order.
    async fn lines(&self, visitor: &str, after: i64, limit: usize) -> Result<Vec<Line>, ThreadAway>;
}

/// Where a chat stands. A visitor is `<name of the source>:<digest>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last recorded line.
    pub seq: i64,
    /// The session it belongs to.
    pub session: String,
    /// When that session last moved.
    pub last_at: Timestamp,
    /// What it was about is resolved: the next line begins a session.
    pub resolved: bool,
    /// The last line the visitor has seen.
    pub read: i64,
}

/// One recorded line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number within the chat, from 1.
    pub seq: i64,
    /// The visitor's own id of it; of a line of ours, the id of its entry.
    pub id: String,
    /// The name of the agent who wrote it; `None` when the visitor did.
    pub agent: Option<String>,
    pub text: String,
    pub at: Timestamp,
}

/// The recorded lines cannot be read now. Writing goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recorded chat cannot be read now: {0}")]
pub struct ThreadAway(pub String);

/// Signs of life between processes: nothing is kept, and any may be lost.
pub trait Live: Send + Sync {
    fn tell(&self, signal: Signal);

    /// Everything told by anybody from now on, oneself included. Who lags behind misses some.
    fn listen(&self) -> broadcast::Receiver<Signal>;
}

/// A sign of life about one visitor's chat.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Signal {
    /// `<name of the source>:<digest>`.
    pub visitor: String,
    pub what: Sign,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sign {
    /// There are new lines to be read through [`Thread`].
    Lines,
    /// The visitor, or the named agent, is writing.
    Typing { agent: Option<String> },
    /// The visitor has seen every line up to this number.
    Read { seq: i64 },
}
