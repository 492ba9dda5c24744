//! What a store promises. Two dozen coarse, set-based methods; the decisions are elsewhere.

mod views;

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use contact::{
    Channel, ClientId, ContactId, ConversationId, EntryId, EventKey, Identifier, Level, MergeId,
    ReservationId, SourceName, Suspect,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::figures::{Board, Facts, FiguresQuery};
use crate::model::{
    Agent, Apart, Arrival, Chat, ChatLine, Claim, Client, Contact, Conversation, DeadLetter, Entry, FeedItem,
    Holder, LetterState, Logged, Merge, Message, Relocation, Reply, Reservation, Token,
};

pub use self::views::{
    AgentView, Candidate, Card, ChatView, ConversationView, Dossier, FeedChange, FindClients, FindContacts,
    FindConversations, ListedLetter, ListedSuspect, Page,
};

/// SQLite or PostgreSQL. Reads see what is committed.
#[async_trait]
pub trait Store: Send + Sync {
    /// Takes the writer, and with it the right to decide: on both stores at most one [`Tx`] exists at
    /// any moment over all processes, so what it reads stays true until it commits.
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError>;

    /// Answers at once whether the store can be reached and written.
    async fn ping(&self) -> Result<(), StoreError>;

    // --- reading for the API

    async fn clients(&self, ids: &[ClientId]) -> Result<Vec<Card>, StoreError>;
    /// Newest first (by id, which sorts by creation). `identifier` finds holders only, never claimants.
    async fn find_clients(&self, find: &FindClients, page: Page<ClientId>) -> Result<Vec<Card>, StoreError>;
    /// Newest first by (`occurred_at`, id), beginning below `page.after`.
    async fn timeline(
        &self,
        client: ClientId,
        channel: Option<Channel>,
        page: Page<(Timestamp, EntryId)>,
    ) -> Result<Vec<Entry>, StoreError>;
    /// Newest first, also those without a client.
    async fn contacts(&self, find: &FindContacts, page: Page<ContactId>) -> Result<Vec<Entry>, StoreError>;
    /// One event of the log.
    async fn logged(&self, key: &EventKey) -> Result<Option<Logged>, StoreError>;
    /// The contact with every event of it as logged, oldest first.
    async fn contact(&self, id: ContactId) -> Result<Option<(Entry, Vec<Logged>)>, StoreError>;
    /// Newest first.
    async fn conversations(
        &self,
        find: &FindConversations,
        page: Page<ConversationId>,
    ) -> Result<Vec<ConversationView>, StoreError>;
    async fn conversation(&self, id: ConversationId) -> Result<Option<ConversationView>, StoreError>;
    /// Up to `limit` changes after `position`, in order, each with the present state of what changed.
    async fn feed(&self, after: i64, limit: usize) -> Result<Vec<FeedChange>, StoreError>;
    /// The last position, 0 when there is none.
    async fn feed_head(&self) -> Result<i64, StoreError>;

    /// Who else this client may be, most likely first: who holds what they claim, and who claims what they
    /// hold; without those who are kept apart from them.
    async fn candidates(&self, client: ClientId) -> Result<Vec<Candidate>, StoreError>;
    /// The merges this client is made of, undone ones too, newest first.
    async fn merges(&self, client: ClientId) -> Result<Vec<Merge>, StoreError>;
    async fn merge(&self, id: MergeId) -> Result<Option<Merge>, StoreError>;

    /// A chat by its visitor.
    async fn chat(&self, visitor: &str) -> Result<Option<ChatView>, StoreError>;
    /// Up to `limit` lines after number `after`, in order.
    async fn chat_lines(&self, visitor: &str, after: i64, limit: usize) -> Result<Vec<ChatLine>, StoreError>;
    /// Up to `limit` answers whose time has come by `now`, the earliest first; without those in a chat that
    /// were sent and that the visitor has read (`order.to` is the chat's visitor, `order.seq` the line).
    async fn due_replies(&self, now: Timestamp, limit: usize) -> Result<Vec<Reply>, StoreError>;
    /// When the next of them is due, if one is.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Those that wait for an agent, in the order of the list: by (`rank`, id), beginning after `page.after`.
    async fn waiting(
        &self,
        queue: Option<&str>,
        page: Page<(i64, ConversationId)>,
    ) -> Result<Vec<ConversationView>, StoreError>;
    /// The same of all queues without clients and entries, for who looks for one of them; each with its pending offer.
    async fn standing(
        &self,
        page: Page<(i64, ConversationId)>,
    ) -> Result<Vec<(Conversation, Option<Reservation>)>, StoreError>;
    /// The entries of one conversation, newest first as [`Store::timeline`].
    async fn conversation_entries(
        &self,
        conversation: ConversationId,
        page: Page<(Timestamp, EntryId)>,
    ) -> Result<Vec<Entry>, StoreError>;
    /// Everybody, by name.
    async fn agents(&self) -> Result<Vec<AgentView>, StoreError>;
    async fn agent(&self, name: &str) -> Result<Option<AgentView>, StoreError>;
    /// Pending ones, the first to end first; of one agent, or of everybody.
    async fn reservations(&self, agent: Option<&str>) -> Result<Vec<Reservation>, StoreError>;
    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError>;
    /// When the next conversation is to be woken for, if one is.
    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError>;
    /// An agent has a console open.
    async fn anybody_here(&self) -> Result<bool, StoreError>;
    /// A process says that it is there until then, unless it says so again.
    async fn keep_alive(&self, process: &str, until: Timestamp) -> Result<(), StoreError>;
    /// What one must know to serve a client, in one reading.
    async fn dossier(&self, client: ClientId) -> Result<Option<Dossier>, StoreError>;
    /// What figures are made of; see [`crate::figures`].
    async fn figures(&self, query: &FiguresQuery) -> Result<Facts, StoreError>;
    /// The desk at a glance.
    async fn board(&self, now: Timestamp) -> Result<Board, StoreError>;

    // --- the operator's shelves

    /// Keeps letters; one already kept is left as it is, except that a `Retried` one that failed again
    /// is open again.
    async fn bury(&self, letters: &[DeadLetter]) -> Result<(), StoreError>;
    async fn letters(
        &self,
        state: Option<LetterState>,
        page: Page<String>,
    ) -> Result<Vec<ListedLetter>, StoreError>;
    async fn letter(&self, id: &str) -> Result<Option<DeadLetter>, StoreError>;
    /// False when there is no such letter.
    async fn set_letter(&self, id: &str, state: LetterState) -> Result<bool, StoreError>;

    /// Keeps suspects up to `per_source` requests or `bytes_per_source`; gives how many were dropped.
    async fn hold(&self, suspects: &[Suspect], bounds: HoldBounds) -> Result<u64, StoreError>;
    async fn suspects(
        &self,
        source: Option<&SourceName>,
        page: Page<String>,
    ) -> Result<Vec<ListedSuspect>, StoreError>;
    async fn suspect(&self, id: &str) -> Result<Option<Suspect>, StoreError>;
    /// Takes it off the shelf, released or discarded; false when it was not there.
    async fn drop_suspect(&self, id: &str) -> Result<bool, StoreError>;

    async fn add_token(&self, token: &Token) -> Result<(), StoreError>;
    async fn token(&self, id: &str) -> Result<Option<Token>, StoreError>;
    async fn tokens(&self) -> Result<Vec<Token>, StoreError>;
    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// What was answered to an `Idempotency-Key` of this caller, if it was seen before.
    async fn answered(&self, caller: &str, key: &str) -> Result<Option<Answered>, StoreError>;
    /// Remembers the answer; the first one stays. Answers older than `forget_before` are forgotten.
    async fn remember(
        &self,
        caller: &str,
        key: &str,
        answer: &Answered,
        forget_before: Timestamp,
    ) -> Result<(), StoreError>;
}

/// The one transaction that may decide. Dropped without [`Tx::commit`] it leaves no trace.
#[async_trait]
pub trait Tx: Send {
    /// Everything the decisions about a batch need, in a fixed number of statements.
    async fn read(&mut self, wanted: &Wanted) -> Result<Known, StoreError>;
    /// Everything that was decided, set-based.
    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError>;
    /// Up to `limit` events of the log after `position`, in order.
    async fn log(&mut self, after: i64, limit: usize) -> Result<Vec<Logged>, StoreError>;
    /// Everything projected of these clients, and every event of the log that had a part in it, in order.
    /// What belongs to nobody is not theirs; of it only these contacts, with their entries, are taken in.
    async fn history(&mut self, clients: &[ClientId], contacts: &[ContactId]) -> Result<History, StoreError>;
    /// The merges and relocations in which these clients have a part, undone ones too.
    async fn ties(&mut self, clients: &[ClientId]) -> Result<Ties, StoreError>;
    /// Of everything, or of these: agents, conversations that wait or occupy somebody (asked for by id,
    /// whatever they do), and reservations that are pending or rest beyond `now`.
    async fn work(&mut self, of: Option<&WorkOf>, now: Timestamp) -> Result<Work, StoreError>;
    /// Up to `limit` conversations that are to be woken for by then, and when, the earliest first.
    async fn to_wake(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Timestamp)>, StoreError>;
    /// Up to `limit` changes of the feed after `position`, in order, as numbered.
    async fn feed_items(&mut self, after: i64, limit: usize) -> Result<Vec<FeedItem>, StoreError>;
    /// The processes that said they were there, and until when; see [`Store::keep_alive`].
    async fn processes(&mut self) -> Result<Vec<(String, Timestamp)>, StoreError>;
    /// Forgets that a process was there.
    async fn forget_process(&mut self, process: &str) -> Result<(), StoreError>;
    /// Takes every projected row of these clients away; reservations stay.
    async fn clear_clients(&mut self, clients: &[ClientId]) -> Result<(), StoreError>;
    /// Empties every projection. Log and feed stay.
    async fn clear_projections(&mut self) -> Result<(), StoreError>;
    /// A digest of everything projected, per client.
    async fn digests(&mut self) -> Result<Digests, StoreError>;
    /// Makes it last. A transaction that was only read in is committed too: one that is dropped takes its
    /// connection along.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// SHA-256 in hex over all projected rows of each client; `None` holds what belongs to nobody.
pub type Digests = BTreeMap<Option<ClientId>, String>;

/// What a batch makes one ask. Without repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// [`contact::EventKey::digest`]
    pub events: Vec<[u8; 16]>,
    /// [`contact::ContactKey::digest`]
    pub contacts: Vec<[u8; 16]>,
    pub identifiers: Vec<Identifier>,
    /// Those of them that are no mere address of a mail: who has one of these is wanted with everything that is
    /// open, as are the clients asked for and those of calls and chats. An address from which a web site's forms
    /// come may have tens of thousands of mails that wait.
    pub whole: Vec<Identifier>,
    /// [`crate::mail::message_key`] of the mails, and of those they say they answer.
    pub messages: Vec<[u8; 16]>,
    /// Visitors, see [`Chat::visitor`].
    pub chats: Vec<String>,
    pub clients: Vec<ClientId>,
    pub contact_ids: Vec<ContactId>,
    /// Each with its client, its latest contact and, of a chat (the thread is `chat/<visitor>`), the chat.
    pub conversations: Vec<ConversationId>,
    /// Each with its conversation, its client and, of an answer in a chat, the chat.
    pub replies: Vec<EntryId>,
    pub merges: Vec<MergeId>,
    /// By name.
    pub agents: Vec<String>,
    /// Each with its conversation.
    pub reservations: Vec<ReservationId>,
    /// Something is proved: what the clients found hold, and whom they are kept apart from, is wanted too.
    pub proofs: bool,
}

/// What the store answers.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Those of the wanted events that are in the log already.
    pub events: HashSet<[u8; 16]>,
    pub contacts: HashMap<[u8; 16], Contact>,
    pub holders: HashMap<Identifier, (ClientId, Level)>,
    /// The clients of those contacts, holders, conversations and answers, and those asked for; of one who
    /// is merged, the survivor too.
    pub clients: HashMap<ClientId, Client>,
    /// Those of the wanted messages that belong to those clients; each client has at most one of a key.
    pub messages: HashMap<([u8; 16], ClientId), Message>,
    /// The conversations of those contacts, messages and chats; of those clients the open ones: all of whom is
    /// wanted whole ([`Wanted::whole`]), of the others no mails but those that owe a call. Of one that is continued
    /// in another, that one too.
    pub conversations: HashMap<ConversationId, Conversation>,
    pub chats: HashMap<String, Chat>,
    pub replies: HashMap<EntryId, Reply>,
    pub merges: HashMap<MergeId, Merge>,
    /// Those asked for, those who have the conversations found, and those the reservations found are for.
    pub agents: HashMap<String, Agent>,
    /// Those asked for, and of the conversations found the pending ones.
    pub reservations: HashMap<ReservationId, Reservation>,
    /// Where something is proved: everything those clients hold.
    pub holdings: HashMap<ClientId, Vec<Identifier>>,
    /// Where something is proved: who of those clients are kept apart from whom, by who they are today; the
    /// lesser id first.
    pub aparts: HashSet<[ClientId; 2]>,
    /// The last positions of the log and the feed; 0 when empty.
    pub log_position: i64,
    pub feed_position: i64,
}

/// What was decided. Rows are whole: the store inserts or replaces them by id.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// With their positions; empty at a replay.
    pub log: Vec<(i64, Arrival)>,
    pub clients: Vec<Client>,
    pub holders: Vec<Holder>,
    pub contacts: Vec<Contact>,
    pub entries: Vec<Entry>,
    pub conversations: Vec<Conversation>,
    /// Known by key and client.
    pub messages: Vec<Message>,
    /// Known by identifier and client; the earliest stays (by `since`, then by its reason).
    pub claims: Vec<Claim>,
    pub merges: Vec<Merge>,
    pub relocations: Vec<Relocation>,
    pub aparts: Vec<Apart>,
    pub chats: Vec<Chat>,
    pub chat_lines: Vec<ChatLine>,
    pub replies: Vec<Reply>,
    pub agents: Vec<Agent>,
    pub reservations: Vec<Reservation>,
    /// Everything of the first belongs to the second from now on, done before any row is written: its
    /// contacts, entries, conversations and answers with one more `rev`, its identifiers, claims, messages and
    /// chats. Of two messages under one key the survivor's stays, of two claims to one identifier the earlier.
    pub absorbed: Vec<(ClientId, ClientId)>,
    /// Empty at a replay.
    pub feed: Vec<FeedItem>,
    pub letters: Vec<DeadLetter>,
}

/// Of what the work is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkOf {
    pub conversations: Vec<ConversationId>,
    /// Their conversations are meant too.
    pub reservations: Vec<ReservationId>,
    /// [`Agent::id`]
    pub agents: Vec<Uuid>,
}

/// What is to be given to whom.
#[derive(Clone, Debug, Default)]
pub struct Work {
    pub agents: Vec<Agent>,
    pub conversations: Vec<Conversation>,
    /// Who knows the clients of those conversations, where somebody does: see [`Client::acquaintance`].
    pub known_by: HashMap<ClientId, String>,
    /// Of those conversations the offers that are pending, or whose agent still rests from it; and every
    /// pending one of a conversation that is not there any more.
    pub reservations: Vec<Reservation>,
}

/// Everything of some clients, as it stands, and how it came to be.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// As many as [`Changes`] can hold; `log`, `feed`, `letters`, `agents` and `reservations` are empty.
    pub rows: Changes,
    pub events: Vec<Logged>,
}

/// What ties clients together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    pub merges: Vec<Merge>,
    pub relocations: Vec<Relocation>,
}

#[derive(Clone, Copy, Debug)]
pub struct HoldBounds {
    pub per_source: u64,
    pub bytes_per_source: u64,
}

/// A remembered answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// A digest of the request: the same key with another request is refused.
    pub request: String,
    pub status: u16,
    pub body: Vec<u8>,
    pub at: Timestamp,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is full, busy or shutting down: nobody's fault, try again later.
    #[error("the store is away while it should {doing}")]
    Away {
        doing: &'static str,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It refuses this very request, and will do so again.
    #[error("the store could not {doing}")]
    Refused {
        doing: &'static str,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Away { .. })
    }
}
