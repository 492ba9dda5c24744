//! Every statement that reads the same in both dialects; compiled once inside `sqlite` and once inside
//! `postgres`, whose names it uses by `super`.
//!
//! Reading order: `writer` (whose turn it is), `tx` (the one transaction that decides: `known` reads,
//! `changes` writes and `absorb`s, `history` gathers, `digest` compares), `reader`, `lists`, `feed`, `dossier`,
//! `ties`, `chats`, `work`, `agents`, `figures`, `shelves`.

mod absorb;
mod agents;
mod changes;
mod chats;
mod digest;
mod dossier;
mod feed;
mod figures;
mod history;
mod known;
mod lists;
mod nul;
mod reader;
mod shelves;
mod ties;
mod tx;
mod work;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use contact::{
    Channel, ClientId, ContactId, ConversationId, EntryId, EventKey, MergeId, ReservationId, SourceName,
    Suspect,
};
use jiff::Timestamp;
use sqlx::Pool;
use timeline::figures::{Board, Facts, FiguresQuery};
use timeline::{
    AgentView, Answered, Candidate, Card, ChatLine, ChatView, Conversation, ConversationView, DeadLetter,
    Dossier, Entry, FeedChange, FindClients, FindContacts, FindConversations, HoldBounds, LetterState,
    ListedLetter, ListedSuspect, Logged, Merge, Page, Reply, Reservation, Store, StoreError, Token, Tx,
};
use tokio::sync::Mutex;

use self::reader::{Lent, reading};
use self::writer::{Writer, writing};
use super::{BEGIN, BEGIN_SHELF, ConnectOptions, Connection, Db, Upkeep};
use crate::error::{PATIENCE, within};

/// A store: one connection that writes, some that read.
pub(crate) struct Database {
    writer: Writer,
    readers: Pool<Db>,
    upkeep: Upkeep,
}

impl Database {
    pub(crate) fn new(
        writing: ConnectOptions,
        slot: Arc<Mutex<Option<Connection>>>,
        readers: Pool<Db>,
        upkeep: Upkeep,
    ) -> Self {
        Self { writer: Writer::new(writing, slot), readers, upkeep }
    }
}

#[async_trait]
impl Store for Database {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let turn = within("begin to write", PATIENCE, self.writer.begin(BEGIN)).await?;
        Ok(Box::new(tx::Transaction::new(turn, self.upkeep.clone())))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        reader::ping(&self.readers).await
    }

    async fn clients(&self, ids: &[ClientId]) -> Result<Vec<Card>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
        reading!(self, "read clients", |connection| lists::cards(connection, &ids))
    }

    async fn find_clients(&self, find: &FindClients, page: Page<ClientId>) -> Result<Vec<Card>, StoreError> {
        reading!(self, "find clients", |connection| lists::find_clients(connection, find, page))
    }

    async fn timeline(
        &self,
        client: ClientId,
        channel: Option<Channel>,
        page: Page<(Timestamp, EntryId)>,
    ) -> Result<Vec<Entry>, StoreError> {
        reading!(self, "read a timeline", |connection| lists::timeline(connection, client, channel, page))
    }

    async fn contacts(&self, find: &FindContacts, page: Page<ContactId>) -> Result<Vec<Entry>, StoreError> {
        reading!(self, "list contacts", |connection| lists::contacts(connection, find, page))
    }

    async fn logged(&self, key: &EventKey) -> Result<Option<Logged>, StoreError> {
        reading!(self, "look for an event", |connection| lists::logged(connection, key))
    }

    async fn contact(&self, id: ContactId) -> Result<Option<(Entry, Vec<Logged>)>, StoreError> {
        reading!(self, "read a contact", |connection| lists::contact(connection, id))
    }

    async fn conversations(
        &self,
        find: &FindConversations,
        page: Page<ConversationId>,
    ) -> Result<Vec<ConversationView>, StoreError> {
        reading!(self, "list conversations", |connection| lists::conversations(connection, find, page))
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<ConversationView>, StoreError> {
        reading!(self, "read a conversation", |connection| lists::conversation(connection, id))
    }

    async fn feed(&self, after: i64, limit: usize) -> Result<Vec<FeedChange>, StoreError> {
        reading!(self, "read the feed", |connection| feed::changes(connection, after, limit))
    }

    async fn feed_head(&self) -> Result<i64, StoreError> {
        reading!(self, "read the feed's position", |connection| feed::head(connection))
    }

    async fn candidates(&self, client: ClientId) -> Result<Vec<Candidate>, StoreError> {
        reading!(self, "look for candidates", |connection| ties::candidates(connection, client))
    }

    async fn merges(&self, client: ClientId) -> Result<Vec<Merge>, StoreError> {
        reading!(self, "list merges", |connection| ties::merges(connection, client))
    }

    async fn merge(&self, id: MergeId) -> Result<Option<Merge>, StoreError> {
        let mut found =
            reading!(self, "read a merge", |connection| ties::by_id(connection, std::slice::from_ref(&id)))?;
        Ok(found.remove(&id))
    }

    async fn chat(&self, visitor: &str) -> Result<Option<ChatView>, StoreError> {
        reading!(self, "read a chat", |connection| chats::chat(connection, visitor))
    }

    async fn chat_lines(&self, visitor: &str, after: i64, limit: usize) -> Result<Vec<ChatLine>, StoreError> {
        reading!(self, "read a chat's lines", |connection| chats::lines(connection, visitor, after, limit))
    }

    async fn due_replies(&self, now: Timestamp, limit: usize) -> Result<Vec<Reply>, StoreError> {
        reading!(self, "read the answers that are due", |connection| chats::due_replies(
            connection, now, limit
        ))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        reading!(self, "look when an answer is due", |connection| chats::next_due(connection))
    }

    async fn waiting(
        &self,
        queue: Option<&str>,
        page: Page<(i64, ConversationId)>,
    ) -> Result<Vec<ConversationView>, StoreError> {
        reading!(self, "read the waiting list", |connection| lists::waiting(connection, queue, page))
    }

    async fn standing(
        &self,
        page: Page<(i64, ConversationId)>,
    ) -> Result<Vec<(Conversation, Option<Reservation>)>, StoreError> {
        reading!(self, "look who waits", |connection| lists::standing(connection, page))
    }

    async fn conversation_entries(
        &self,
        conversation: ConversationId,
        page: Page<(Timestamp, EntryId)>,
    ) -> Result<Vec<Entry>, StoreError> {
        reading!(self, "read what was said in a conversation", |connection| lists::conversation_entries(
            connection,
            conversation,
            page
        ))
    }

    async fn agents(&self) -> Result<Vec<AgentView>, StoreError> {
        reading!(self, "list agents", |connection| agents::all(connection))
    }

    async fn agent(&self, name: &str) -> Result<Option<AgentView>, StoreError> {
        reading!(self, "read an agent", |connection| agents::one(connection, name))
    }

    async fn reservations(&self, agent: Option<&str>) -> Result<Vec<Reservation>, StoreError> {
        reading!(self, "list reservations", |connection| work::reservations(connection, agent))
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        reading!(self, "read a reservation", |connection| work::reservation(connection, id))
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        reading!(self, "look when to wake", |connection| work::next_wake(connection))
    }

    async fn anybody_here(&self) -> Result<bool, StoreError> {
        reading!(self, "look whether anybody is here", |connection| agents::anybody_here(connection))
    }

    async fn keep_alive(&self, process: &str, until: Timestamp) -> Result<(), StoreError> {
        writing!(self, BEGIN_SHELF, "say that a process is there", |connection| agents::keep_alive(
            connection, process, until
        ))
    }

    async fn dossier(&self, client: ClientId) -> Result<Option<Dossier>, StoreError> {
        reading!(self, "read what is known of a client", |connection| dossier::dossier(connection, client))
    }

    async fn figures(&self, query: &FiguresQuery) -> Result<Facts, StoreError> {
        reading!(self, "read what figures are made of", |connection| figures::facts(connection, query))
    }

    async fn board(&self, now: Timestamp) -> Result<Board, StoreError> {
        reading!(self, "look at the desk", |connection| figures::board(connection, now))
    }

    async fn bury(&self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        writing!(self, BEGIN_SHELF, "keep dead letters", |connection| shelves::bury(connection, letters))
    }

    async fn letters(
        &self,
        state: Option<LetterState>,
        page: Page<String>,
    ) -> Result<Vec<ListedLetter>, StoreError> {
        reading!(self, "list dead letters", |connection| shelves::letters(connection, state, page))
    }

    async fn letter(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        reading!(self, "read a dead letter", |connection| shelves::letter(connection, id))
    }

    async fn set_letter(&self, id: &str, state: LetterState) -> Result<bool, StoreError> {
        writing!(self, BEGIN_SHELF, "mark a dead letter", |connection| shelves::set_letter(
            connection, id, state
        ))
    }

    async fn hold(&self, suspects: &[Suspect], bounds: HoldBounds) -> Result<u64, StoreError> {
        // The bounds are counted and then filled, so nobody else may fill them meanwhile.
        writing!(self, BEGIN, "hold suspects", |connection| shelves::hold(connection, suspects, bounds))
    }

    async fn suspects(
        &self,
        source: Option<&SourceName>,
        page: Page<String>,
    ) -> Result<Vec<ListedSuspect>, StoreError> {
        reading!(self, "list suspects", |connection| shelves::suspects(connection, source, page))
    }

    async fn suspect(&self, id: &str) -> Result<Option<Suspect>, StoreError> {
        reading!(self, "read a suspect", |connection| shelves::suspect(connection, id))
    }

    async fn drop_suspect(&self, id: &str) -> Result<bool, StoreError> {
        writing!(self, BEGIN_SHELF, "take a suspect off the shelf", |connection| shelves::drop_suspect(
            connection, id
        ))
    }

    async fn add_token(&self, token: &Token) -> Result<(), StoreError> {
        writing!(self, BEGIN_SHELF, "add a token", |connection| shelves::add_token(connection, token))
    }

    async fn token(&self, id: &str) -> Result<Option<Token>, StoreError> {
        reading!(self, "read a token", |connection| shelves::token(connection, id))
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        reading!(self, "list tokens", |connection| shelves::tokens(connection))
    }

    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        writing!(self, BEGIN_SHELF, "revoke a token", |connection| shelves::revoke_token(connection, id, at))
    }

    async fn answered(&self, caller: &str, key: &str) -> Result<Option<Answered>, StoreError> {
        reading!(self, "look for an earlier answer", |connection| shelves::answered(connection, caller, key))
    }

    async fn remember(
        &self,
        caller: &str,
        key: &str,
        answer: &Answered,
        forget_before: Timestamp,
    ) -> Result<(), StoreError> {
        writing!(self, BEGIN_SHELF, "remember an answer", |connection| shelves::remember(
            connection,
            caller,
            key,
            answer,
            forget_before
        ))
    }
}
