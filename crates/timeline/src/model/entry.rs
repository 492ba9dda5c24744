//! One interaction, and the entries by which the timeline shows it.

use contact::{
    Channel, ClientId, ContactId, ContactKey, ConversationId, Direction, EntryId, SourceName, Trust,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::chat::Session;
use crate::mail::Mail;

/// One interaction, folded from one or more events.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub id: ContactId,
    pub key: ContactKey,
    pub source: SourceName,
    pub direction: Direction,
    pub trust: Trust,
    pub client: Option<ClientId>,
    pub conversation: Option<ConversationId>,
    /// The entry that shows it: a call and a mail have exactly one.
    pub entry: EntryId,
    /// How many facts changed it; also the `rev` of its entry.
    pub rev: i64,
    pub state: ContactState,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// What the facts about a contact add up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the most contacts are calls; a box would cost each of them")]
pub enum ContactState {
    Call(Call),
    Email(Box<Mail>),
    Chat(Session),
}

/// One line of a client's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub kind: EntryKind,
    pub channel: Channel,
    pub direction: Direction,
    pub source: SourceName,
    pub trust: Trust,
    /// Rises with every change of the entry, beginning at 1.
    pub rev: i64,
    pub occurred_at: Timestamp,
    /// When it first stood on the timeline.
    pub recorded_at: Timestamp,
    pub client: Option<ClientId>,
    /// `None` of what is no contact: an answer, a note.
    pub contact: Option<ContactId>,
    pub conversation: Option<ConversationId>,
    pub agent: Option<String>,
    /// One line for a person.
    pub summary: String,
    /// JSON, by channel; see the HTTP contract.
    pub content: String,
}

words!(EntryKind, "kind of entry" { Contact = "contact", Reply = "reply", Note = "note", Change = "change" });

/// By which mail an answer finds its conversation. Only the client of both finds it: an id is the free text
/// of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// [`crate::mail::message_key`]
    pub key: [u8; 16],
    pub client: ClientId,
    /// `None` of a mail of ours.
    pub contact: Option<ContactId>,
    pub conversation: ConversationId,
}
