//! An answer on its way.

use contact::{ClientId, ConversationId, EntryId, Order, SourceName};
use jiff::Timestamp;

/// An answer of ours and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The entry that shows it.
    pub id: EntryId,
    pub conversation: ConversationId,
    pub client: Option<ClientId>,
    /// By which it goes.
    pub source: SourceName,
    pub state: ReplyState,
    /// How many tries have ended.
    pub attempts: u32,
    /// How many of them ended in doubt.
    pub doubts: u32,
    /// When the next try is due, or, of a chat line that was sent, when it goes by mail if it was not read;
    /// `None` when nothing is to be done.
    pub due_at: Option<Timestamp>,
    /// What is to be brought to whom.
    pub order: Order,
    /// What the other side said last.
    pub detail: Option<String>,
    pub message_id: Option<String>,
    /// The answer in a chat that this mail brings, because it was not read there.
    pub instead_of: Option<EntryId>,
    pub rev: i64,
    pub recorded_at: Timestamp,
}

impl Reply {
    /// Nothing more is tried, and nobody can say that the client has it.
    pub fn is_lost(&self) -> bool {
        match self.state {
            ReplyState::Failed => true,
            ReplyState::Uncertain => self.due_at.is_none(),
            ReplyState::Queued | ReplyState::Deferred | ReplyState::Sent => false,
        }
    }
}

words!(
    /// How far an answer has come.
    ReplyState, "state of an answer" {
        /// It waits for its first try.
        Queued = "queued",
        /// It was refused for now, and is tried again.
        Deferred = "deferred",
        /// Nobody knows whether it arrived.
        Uncertain = "uncertain",
        Sent = "sent",
        Failed = "failed",
    }
);
