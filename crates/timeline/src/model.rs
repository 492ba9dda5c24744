//! The nouns, as the decisions see them and a store keeps them.

use std::collections::BTreeMap;
use std::str::FromStr;

use contact::{
    Channel, ClientId, ContactId, ContactKey, ConversationId, Direction, EntryId, Event, Identifier, Invalid,
    Level, MergeId, Order, Permission, SourceName, Trust,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::call::Call;
use crate::chat::Session;
use crate::mail::Mail;

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub event: Event,
    /// The event's JSON exactly as it was published; the log keeps this text.
    pub payload: String,
    /// When the decision about it was taken: now, or what the log says at a replay.
    pub recorded_at: Timestamp,
}

/// An event in the log. Positions begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    pub position: i64,
    pub recorded_at: Timestamp,
    pub payload: String,
}

/// The person or organisation a timeline belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    pub name: Option<String>,
    pub segment: Option<String>,
    pub created_at: Timestamp,
    /// The latest moment they reached us or we them.
    pub last_contact_at: Timestamp,
    /// The end of the latest talk: what was owed before it is owed no more.
    pub reached_at: Option<Timestamp>,
    /// What they said about being reached; where nothing was said, it is allowed.
    pub permissions: BTreeMap<Channel, Permission>,
    /// They turned out to be this client, who holds everything of theirs; never one who is merged too.
    pub merged_into: Option<ClientId>,
    pub rev: i64,
}

impl Client {
    /// Whether we may write to them or call them there.
    pub fn allows(&self, channel: Channel) -> bool {
        self.permissions.get(&channel) != Some(&Permission::Deny)
    }
}

/// An identifier and the one client who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub identifier: Identifier,
    pub client: ClientId,
    pub level: Level,
    pub since: Timestamp,
}

/// An identifier that somebody merely says is theirs, or that a rule did not dare to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub identifier: Identifier,
    /// Whose claim it is.
    pub client: ClientId,
    /// Why it is no more than a claim, for a person.
    pub reason: String,
    pub since: Timestamp,
}

/// Two clients made one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    pub id: MergeId,
    /// As they were when it was decided; both may have been merged further since.
    pub survivor: ClientId,
    pub absorbed: ClientId,
    /// The agent or the policy, by name.
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
    pub undone_at: Option<Timestamp>,
}

/// A contact that a person gave to another client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    pub id: MergeId,
    pub contact: ContactId,
    pub from: Option<ClientId>,
    pub to: ClientId,
}

/// Two clients who look like one and are not. The lesser id first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    pub clients: [ClientId; 2],
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}

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

/// Contacts and replies about one matter; what is owned, answered, promised, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub status: Status,
    pub client: Option<ClientId>,
    /// What contacts must share, besides the client, to be about one matter; `phone` for all calls.
    pub thread: String,
    pub channel: Channel,
    pub queue: String,
    pub priority: i32,
    pub assignee: Option<String>,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub due_at: Option<Timestamp>,
    pub callback: Option<Callback>,
    pub last_entry: Option<EntryId>,
    /// The client's latest contact in it: what an answer answers.
    pub last_contact: Option<ContactId>,
    /// It turned out to be part of this one, when clients were made one or taken apart; it is listed no more,
    /// and who names it means that one.
    pub continued_in: Option<ConversationId>,
    pub rev: i64,
}

impl Conversation {
    /// It waits for something, so new contacts of its client and thread belong to it.
    pub fn is_open(&self) -> bool {
        self.status != Status::Resolved
    }
}

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

/// An outbound call we owe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Our calls that reached nobody since it is owed.
    pub attempts: u32,
    /// The calls that were missed: five of one client are one callback.
    pub missed: u32,
    /// When the first of them was.
    pub since: Timestamp,
    /// When the client was reached; what follows begins a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

macro_rules! words {
    ($(#[$doc:meta])* $Name:ident, $noun:literal { $($(#[$vdoc:meta])* $Variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $Name { $($(#[$vdoc])* #[serde(rename = $word)] $Variant),+ }

        impl $Name {
            pub const ALL: &[$Name] = &[$($Name::$Variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($Name::$Variant => $word),+ }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $Name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    Invalid(format!(concat!("`{}` is no ", $noun, "; it is one of ", $($word, " "),+), text).trim_end().to_owned())
                })
            }
        }
    };
}

words!(EntryKind, "kind of entry" { Contact = "contact", Reply = "reply", Note = "note", Change = "change" });
words!(Status, "status" { Open = "open", Pending = "pending", Snoozed = "snoozed", Resolved = "resolved" });
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
words!(FeedKind, "kind of change" { Entry = "entry", Conversation = "conversation", Client = "client" });
words!(
    /// What a token may do; each includes the ones before it, but `reader` reads only.
    Role, "role" { Reader = "reader", Agent = "agent", Supervisor = "supervisor", Admin = "admin" }
);
words!(LetterState, "state of a dead letter" { Open = "open", Retried = "retried", Discarded = "discarded" });

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
}

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

/// A key to the API. The secret itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// 32 hex digits of the SHA-256 of the secret.
    pub id: String,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}
