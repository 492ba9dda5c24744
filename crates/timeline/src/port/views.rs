//! What is read to be shown: several rows as one, and how lists are asked for.

use std::collections::BTreeMap;

use contact::{Channel, ClientId, Identifier, IdentifierKind, Level, SourceName};
use jiff::Timestamp;

use crate::model::{
    Agent, Announcement, Chat, Client, Conversation, Entry, FeedKind, Holder, LetterState, Reservation,
    Status,
};

/// Who a client may be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub card: Card,
    /// What both have: one of them holds it, the other claims it.
    pub identifier: Identifier,
    /// How sure it is that its holder holds it.
    pub level: Level,
    /// Why it is no more than a claim.
    pub reason: String,
    pub since: Timestamp,
}

/// A chat, and whether what it was about is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatView {
    pub chat: Chat,
    pub resolved: bool,
}

/// A page of a list: up to `limit` items below (newest-first lists) `after`.
#[derive(Clone, Debug)]
pub struct Page<Cursor> {
    pub after: Option<Cursor>,
    pub limit: usize,
}

#[derive(Clone, Debug, Default)]
pub struct FindClients {
    pub identifier: Option<Identifier>,
    /// Part of a name or an identifier, compared without regard to case.
    pub q: Option<String>,
}

impl FindClients {
    /// The holder of one phone number or e-mail address.
    pub fn by(kind: IdentifierKind, value: impl Into<String>) -> Self {
        Self { identifier: Some(Identifier { kind, value: value.into() }), q: None }
    }
}

#[derive(Clone, Debug, Default)]
pub struct FindContacts {
    pub channel: Option<Channel>,
    pub source: Option<SourceName>,
    /// Only those that belong to no client.
    pub nobodys: bool,
}

#[derive(Clone, Debug, Default)]
pub struct FindConversations {
    pub status: Option<Status>,
    pub queue: Option<String>,
    pub assignee: Option<String>,
    pub channel: Option<Channel>,
    pub client: Option<ClientId>,
}

/// A client with how they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub client: Client,
    pub identifiers: Vec<Holder>,
}

/// A dead letter without what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLetter {
    pub id: String,
    pub source: Option<SourceName>,
    pub received_at: Timestamp,
    pub reason: String,
    pub field: Option<String>,
    pub state: LetterState,
    /// Of what is kept, in bytes.
    pub size: u64,
}

/// A suspect without its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSuspect {
    pub id: String,
    pub source: SourceName,
    pub received_at: Timestamp,
    pub peer: Option<String>,
    pub reason: String,
    /// Of the request, in bytes.
    pub size: u64,
}

#[derive(Clone, Debug)]
pub struct ConversationView {
    pub conversation: Conversation,
    pub client: Option<Card>,
    /// Maybe in brief: see [`Entry::in_brief`].
    pub last_entry: Option<Entry>,
    /// Its pending offer.
    pub offer: Option<Reservation>,
}

/// An agent and how much they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    pub agent: Agent,
    /// Conversations on their hands and offers they are asked to answer, by channel.
    pub load: BTreeMap<Channel, u32>,
}

/// What one must know to serve a client.
#[derive(Clone, Debug)]
pub struct Dossier {
    pub card: Card,
    /// Those that are open, the latest first; up to 50.
    pub conversations: Vec<ConversationView>,
    /// The latest contact of each channel.
    pub last_contacts: Vec<Entry>,
    /// How many others they may be.
    pub candidates: u32,
}

/// One change of the feed with the present state of what changed; the state is `None` when it is gone.
#[derive(Clone, Debug)]
pub struct FeedChange {
    pub position: i64,
    pub kind: FeedKind,
    pub rev: i64,
    /// The entry that changed, or the last one of the conversation that did, that maybe in brief.
    pub entry: Option<Entry>,
    pub conversation: Option<Conversation>,
    /// The client of the entry or conversation, or the one that changed.
    pub client: Option<Card>,
    /// The one that changed, with its conversation above, or the pending one of the conversation that did.
    pub reservation: Option<Reservation>,
    pub agent: Option<AgentView>,
    /// Of the entry of a call that rings: the agents whose extension it rings at.
    pub rings: Vec<String>,
    /// Of a deadline what was told then, whatever was told since; `None` of what older versions told.
    pub notice: Option<Announcement>,
}
