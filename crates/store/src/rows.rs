//! The rows of both databases, and the nouns they hold.
//!
//! One struct a table: `FromRow` reads it from either driver, `Serialize` gives the bytes that are
//! digested, so a digest does not depend on the database. `Deserialize` reads what SQLite gives as a page.

use contact::{ClientId, ContactId, ContactKey, ConversationId, EntryId, Identifier, Raw, Suspect};
use serde::{Deserialize, Serialize};
use sqlx::{Error, FromRow};
use timeline::{
    Answered, Client, Contact, Conversation, DeadLetter, Entry, FeedItem, Holder, Logged, Message, Token,
};
use uuid::Uuid;

use crate::values::{Stamp, direction, trust, unreadable};

/// The columns of a table, in the order of its struct here and of every insert.
macro_rules! columns {
    (client) => {
        "id, name, segment, created_at, last_contact_at, reached_at, rev"
    };
    (identifier) => {
        "kind, value, client_id, level, since"
    };
    (contact) => {
        "id, key, subject, source, direction, trust, client_id, conversation_id, entry_id, rev, state, \
         occurred_at, recorded_at"
    };
    (entry) => {
        "id, kind, channel, direction, source, trust, rev, occurred_at, recorded_at, client_id, contact_id, \
         conversation_id, agent, summary, content"
    };
    (conversation) => {
        "id, status, client_id, thread, channel, queue, priority, assignee, opened_at, updated_at, due_at, \
         callback, last_entry_id, rev"
    };
    (message) => {
        "key, client_id, contact_id, conversation_id"
    };
    (feed) => {
        "position, kind, id, rev"
    };
    (dead_letter) => {
        "id, source, received_at, reason, field, payload, state"
    };
    (suspect) => {
        "id, source, received_at, peer, reason, request, size"
    };
    (token) => {
        "id, name, role, created_at, revoked_at"
    };
}

#[derive(FromRow, Serialize)]
pub(crate) struct ClientRow {
    pub(crate) id: Uuid,
    name: Option<String>,
    segment: Option<String>,
    created_at: Stamp,
    last_contact_at: Stamp,
    reached_at: Option<Stamp>,
    rev: i64,
}

impl TryFrom<ClientRow> for Client {
    type Error = Error;
    fn try_from(row: ClientRow) -> Result<Self, Error> {
        Ok(Client {
            id: ClientId::from_uuid(row.id),
            name: row.name,
            segment: row.segment,
            created_at: row.created_at.0,
            last_contact_at: row.last_contact_at.0,
            reached_at: row.reached_at.map(|at| at.0),
            rev: row.rev,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct IdentifierRow {
    kind: String,
    value: String,
    pub(crate) client_id: Uuid,
    level: String,
    since: Stamp,
}

impl TryFrom<IdentifierRow> for Holder {
    type Error = Error;
    fn try_from(row: IdentifierRow) -> Result<Self, Error> {
        Ok(Holder {
            identifier: Identifier { kind: row.kind.parse().map_err(unreadable)?, value: row.value },
            client: ClientId::from_uuid(row.client_id),
            level: row.level.parse().map_err(unreadable)?,
            since: row.since.0,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct ContactRow {
    id: Uuid,
    pub(crate) key: Uuid,
    subject: String,
    source: String,
    direction: String,
    trust: String,
    pub(crate) client_id: Option<Uuid>,
    conversation_id: Option<Uuid>,
    entry_id: Uuid,
    rev: i64,
    state: String,
    occurred_at: Stamp,
    recorded_at: Stamp,
}

impl TryFrom<ContactRow> for Contact {
    type Error = Error;
    fn try_from(row: ContactRow) -> Result<Self, Error> {
        Ok(Contact {
            id: ContactId::from_uuid(row.id),
            key: ContactKey(row.subject),
            source: row.source.parse().map_err(unreadable)?,
            direction: direction(&row.direction)?,
            trust: trust(&row.trust)?,
            client: row.client_id.map(ClientId::from_uuid),
            conversation: row.conversation_id.map(ConversationId::from_uuid),
            entry: EntryId::from_uuid(row.entry_id),
            rev: row.rev,
            state: serde_json::from_str(&row.state).map_err(unreadable)?,
            occurred_at: row.occurred_at.0,
            recorded_at: row.recorded_at.0,
        })
    }
}

#[derive(FromRow, Serialize, Deserialize)]
pub(crate) struct EntryRow {
    id: Uuid,
    kind: String,
    channel: String,
    direction: String,
    source: String,
    trust: String,
    rev: i64,
    occurred_at: Stamp,
    recorded_at: Stamp,
    pub(crate) client_id: Option<Uuid>,
    contact_id: Uuid,
    conversation_id: Option<Uuid>,
    agent: Option<String>,
    summary: String,
    content: String,
}

impl TryFrom<EntryRow> for Entry {
    type Error = Error;
    fn try_from(row: EntryRow) -> Result<Self, Error> {
        Ok(Entry {
            id: EntryId::from_uuid(row.id),
            kind: row.kind.parse().map_err(unreadable)?,
            channel: row.channel.parse().map_err(unreadable)?,
            direction: direction(&row.direction)?,
            source: row.source.parse().map_err(unreadable)?,
            trust: trust(&row.trust)?,
            rev: row.rev,
            occurred_at: row.occurred_at.0,
            recorded_at: row.recorded_at.0,
            client: row.client_id.map(ClientId::from_uuid),
            contact: ContactId::from_uuid(row.contact_id),
            conversation: row.conversation_id.map(ConversationId::from_uuid),
            agent: row.agent,
            summary: row.summary,
            content: row.content,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct ConversationRow {
    id: Uuid,
    status: String,
    pub(crate) client_id: Option<Uuid>,
    thread: String,
    channel: String,
    queue: String,
    priority: i32,
    assignee: Option<String>,
    opened_at: Stamp,
    updated_at: Stamp,
    due_at: Option<Stamp>,
    callback: Option<String>,
    last_entry_id: Option<Uuid>,
    rev: i64,
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = Error;
    fn try_from(row: ConversationRow) -> Result<Self, Error> {
        Ok(Conversation {
            id: ConversationId::from_uuid(row.id),
            status: row.status.parse().map_err(unreadable)?,
            client: row.client_id.map(ClientId::from_uuid),
            thread: row.thread,
            channel: row.channel.parse().map_err(unreadable)?,
            queue: row.queue,
            priority: row.priority,
            assignee: row.assignee,
            opened_at: row.opened_at.0,
            updated_at: row.updated_at.0,
            due_at: row.due_at.map(|at| at.0),
            callback: row.callback.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?,
            last_entry: row.last_entry_id.map(EntryId::from_uuid),
            rev: row.rev,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct MessageRow {
    key: Uuid,
    pub(crate) client_id: Uuid,
    contact_id: Uuid,
    conversation_id: Uuid,
}

impl TryFrom<MessageRow> for Message {
    type Error = Error;
    fn try_from(row: MessageRow) -> Result<Self, Error> {
        Ok(Message {
            key: row.key.into_bytes(),
            client: ClientId::from_uuid(row.client_id),
            contact: ContactId::from_uuid(row.contact_id),
            conversation: ConversationId::from_uuid(row.conversation_id),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct LoggedRow {
    position: i64,
    recorded_at: Stamp,
    payload: String,
}

impl TryFrom<LoggedRow> for Logged {
    type Error = Error;
    fn try_from(row: LoggedRow) -> Result<Self, Error> {
        Ok(Logged { position: row.position, recorded_at: row.recorded_at.0, payload: row.payload })
    }
}

#[derive(FromRow)]
pub(crate) struct FeedRow {
    position: i64,
    kind: String,
    id: Uuid,
    rev: i64,
}

impl TryFrom<FeedRow> for FeedItem {
    type Error = Error;
    fn try_from(row: FeedRow) -> Result<Self, Error> {
        Ok(FeedItem {
            position: row.position,
            kind: row.kind.parse().map_err(unreadable)?,
            id: row.id,
            rev: row.rev,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct LetterRow {
    id: String,
    source: Option<String>,
    received_at: Stamp,
    reason: String,
    field: Option<String>,
    payload: Vec<u8>,
    state: String,
}

impl TryFrom<LetterRow> for DeadLetter {
    type Error = Error;
    fn try_from(row: LetterRow) -> Result<Self, Error> {
        Ok(DeadLetter {
            id: row.id,
            source: row.source.map(|source| source.parse()).transpose().map_err(unreadable)?,
            received_at: row.received_at.0,
            reason: row.reason,
            field: row.field,
            payload: row.payload,
            state: row.state.parse().map_err(unreadable)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct SuspectRow {
    id: String,
    source: String,
    received_at: Stamp,
    peer: Option<String>,
    reason: String,
    request: String,
}

impl TryFrom<SuspectRow> for Suspect {
    type Error = Error;
    fn try_from(row: SuspectRow) -> Result<Self, Error> {
        Ok(Suspect {
            id: row.id,
            source: row.source.parse().map_err(unreadable)?,
            received_at: row.received_at.0,
            peer: row.peer,
            reason: row.reason,
            request: serde_json::from_str::<Raw>(&row.request).map_err(unreadable)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct TokenRow {
    id: String,
    name: String,
    role: String,
    created_at: Stamp,
    revoked_at: Option<Stamp>,
}

impl TryFrom<TokenRow> for Token {
    type Error = Error;
    fn try_from(row: TokenRow) -> Result<Self, Error> {
        Ok(Token {
            id: row.id,
            name: row.name,
            role: row.role.parse().map_err(unreadable)?,
            created_at: row.created_at.0,
            revoked_at: row.revoked_at.map(|at| at.0),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct AnswerRow {
    request: String,
    status: i32,
    body: Vec<u8>,
    at: Stamp,
}

impl TryFrom<AnswerRow> for Answered {
    type Error = Error;
    fn try_from(row: AnswerRow) -> Result<Self, Error> {
        Ok(Answered {
            request: row.request,
            status: u16::try_from(row.status).map_err(unreadable)?,
            body: row.body,
            at: row.at.0,
        })
    }
}

/// Rows as nouns.
pub(crate) fn read<Row, Noun: TryFrom<Row, Error = Error>>(rows: Vec<Row>) -> Result<Vec<Noun>, Error> {
    rows.into_iter().map(Noun::try_from).collect()
}
