//! What one visitor and we write to each other.

use contact::{ClientId, ConversationId, EntryId, SourceName};
use jiff::Timestamp;

/// What one visitor and we write to each other: where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// `<name of the source>:<digest>`, the value of the visitor's identifier.
    pub visitor: String,
    pub source: SourceName,
    pub client: Option<ClientId>,
    pub conversation: Option<ConversationId>,
    /// The number of the last line, both sides' counted; 0 before the first.
    pub seq: i64,
    /// The last line the visitor has seen.
    pub read: i64,
    /// The session of the visitor's last line.
    pub session: String,
    pub last_at: Timestamp,
}

/// One line of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatLine {
    pub visitor: String,
    pub seq: i64,
    pub entry: EntryId,
    /// The visitor's own id of it; of a line of ours, its entry's.
    pub message_id: String,
    /// Who of us wrote it; `None` when the visitor did.
    pub agent: Option<String>,
    pub text: String,
    pub at: Timestamp,
}
