//! The nouns, as the decisions see them and a store keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use contact::{
    Channel, ClientId, ContactHours, ContactId, ContactKey, ConversationId, Decision, Direction, EntryId,
    Event, Identifier, Invalid, Level, MergeId, Order, Permission, Presence, Profile, PromiseKind,
    ReservationId, SourceName, Trust,
};
use jiff::Timestamp;
use routing::order::{Ageing, Place, Priority};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::call::Call;
use crate::chat::Session;
use crate::clock::Clock;
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
    /// What they are worth to the company, as another system of ours counts it; the greater the more.
    pub value: Option<i64>,
    /// The agent whose client they are, as another system of ours knows.
    pub owner: Option<String>,
    /// The agent who spoke with them or wrote to them last.
    pub known_by: Option<String>,
    pub created_at: Timestamp,
    /// The latest moment they reached us or we them.
    pub last_contact_at: Timestamp,
    /// When they came back after they seemed lost.
    pub won_back_at: Option<Timestamp>,
    /// The end of the latest talk: what was owed before it is owed no more.
    pub reached_at: Option<Timestamp>,
    pub preferences: Preferences,
    /// They turned out to be this client, who holds everything of theirs; never one who is merged too.
    pub merged_into: Option<ClientId>,
    pub rev: i64,
}

impl Client {
    /// Whether we may write to them or call them there.
    pub fn allows(&self, channel: Channel) -> bool {
        self.preferences.channels.get(&channel).is_none_or(|wish| wish.permission != Permission::Deny)
    }
}

/// How a client wants to be worked with; what is not said is free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Whether they may be reached there; where nothing was said, they may.
    pub channels: BTreeMap<Channel, Wish>,
    pub preferred_channel: Option<Channel>,
    /// BCP 47: `uk`
    pub language: Option<String>,
    pub hours: Option<ContactHours>,
}

/// What was said about a channel, by whom and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub permission: Permission,
    /// Who of us wrote it down.
    pub by: String,
    pub at: Timestamp,
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
    /// To whom it goes and what is promised; `None` where nothing but the usual was decided.
    pub routing: Option<Decision>,
    /// The promises that were made, running or ended.
    pub clocks: BTreeMap<PromiseKind, Clock>,
    /// When the client first acted of what nobody has answered yet; `None`: nobody waits.
    pub waiting_since: Option<Timestamp>,
    /// Since when it has been its agent's, or nobody's.
    pub handed_at: Timestamp,
    pub snoozed_until: Option<Timestamp>,
    /// When it first was somebody's.
    pub assigned_at: Option<Timestamp>,
    /// When we first answered, and when last.
    pub answered_at: Option<Timestamp>,
    pub last_answer_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// The soonest deadline of a promise that runs. This and the next two follow from the rest, see
    /// [`Conversation::settle`].
    pub due_at: Option<Timestamp>,
    /// When something is to be done about it though nothing happens: a notice is due, or it has rested enough.
    pub wake_at: Option<Timestamp>,
    /// Its place among those that wait for an agent, the least first; `None`: it does not.
    pub rank: Option<i64>,
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

    /// An agent is to be found for it. A telephone rings by itself; of calls only what we owe waits.
    pub fn waits(&self) -> bool {
        let owed = self.callback.as_ref().is_some_and(|callback| callback.done_at.is_none());
        self.status == Status::Open
            && self.assignee.is_none()
            && self.continued_in.is_none()
            && (self.channel != Channel::Phone || owed)
    }

    /// It is on the hands of its agent: one that waits for the client is not, unless the client is there.
    pub fn occupies(&self) -> bool {
        let there = match self.status {
            Status::Open => true,
            Status::Pending => self.channel == Channel::Chat,
            Status::Snoozed | Status::Resolved => false,
        };
        there && self.assignee.is_some() && self.continued_in.is_none()
    }

    /// Where it stands in the waiting list, if it waits.
    pub fn place(&self) -> Place {
        let point_s = self.routing.as_ref().map_or(contact::work::USUAL_POINT_S, |routing| routing.point_s);
        let since = self.waiting_since.unwrap_or(self.opened_at);
        Ageing { point_s }.place(self.id, Priority::clamped(self.priority), since)
    }

    /// What follows from the rest: when it is due, when to wake for it, where it stands.
    pub fn settle(&mut self) {
        self.due_at = self.clocks.values().filter_map(Clock::runs_until).min();
        let rests = self.snoozed_until.filter(|_| self.status == Status::Snoozed);
        self.wake_at = self.clocks.values().filter_map(Clock::next_notice).chain(rests).min();
        self.rank = self.waits().then(|| self.place().key);
    }
}

/// Who of us answers clients, and whether they are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// As their token names them.
    pub name: String,
    /// What they can take; `None`: they are offered nothing.
    pub profile: Option<Profile>,
    pub presence: Presence,
    /// The processes of ours through which a console of theirs is connected.
    pub consoles: BTreeSet<String>,
    /// Since when they are offline or not connected.
    pub gone_since: Option<Timestamp>,
    /// Since when nothing new came to them and nothing of theirs ended.
    pub idle_since: Timestamp,
    /// Offers in a row they did not answer at all.
    pub missed: u16,
    pub rev: i64,
}

impl Agent {
    /// Newly known, and not here.
    pub fn new(name: &str, at: Timestamp) -> Agent {
        Agent {
            name: name.to_owned(),
            profile: None,
            presence: Presence::Offline,
            consoles: BTreeSet::new(),
            gone_since: Some(at),
            idle_since: at,
            missed: 0,
            rev: 0,
        }
    }

    /// The id by which the feed names them: derived from the name, which is theirs for ever.
    pub fn id(name: &str) -> Uuid {
        let full: [u8; 32] = Sha256::digest(format!("agent/{name}")).into();
        let mut id = [0; 16];
        id.copy_from_slice(&full[..16]);
        Uuid::from_bytes(id)
    }

    /// They could see an offer.
    pub fn is_connected(&self) -> bool {
        !self.consoles.is_empty()
    }
}

/// A conversation held for one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub id: ReservationId,
    pub conversation: ConversationId,
    pub agent: String,
    pub state: ReservationState,
    pub offered_at: Timestamp,
    /// After this an answer is too late.
    pub until: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The agent is not offered the conversation again before.
    pub rests_until: Option<Timestamp>,
    pub rev: i64,
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
words!(FeedKind, "kind of change" {
    Entry = "entry",
    Conversation = "conversation",
    Client = "client",
    /// A promise of a conversation warned or was broken.
    Deadline = "deadline",
    Reservation = "reservation",
    Agent = "agent",
});
words!(ReservationState, "state of a reservation" {
    Pending = "pending",
    Accepted = "accepted",
    Declined = "declined",
    TimedOut = "timed_out",
    Rescinded = "rescinded",
});
words!(
    /// How a relation with a client stands.
    Stage, "stage of a relation" {
        New = "new",
        Active = "active",
        Loyal = "loyal",
        AtRisk = "at_risk",
        Lost = "lost",
        WonBack = "won_back",
    }
);
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
