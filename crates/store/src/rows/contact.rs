//! Rows about contacts: what happened, and what it is about.

use contact::{ClientId, ContactId, ContactKey, ConversationId, EntryId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, FromRow};
use timeline::{Contact, Conversation, Entry, Message};
use uuid::Uuid;

use crate::values::{Stamp, direction, json, trust, unreadable};

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
    contact_id: Option<Uuid>,
    conversation_id: Option<Uuid>,
    agent: Option<String>,
    summary: String,
    content: String,
}

impl EntryRow {
    pub(crate) fn in_brief(self) -> Self {
        Self { content: timeline::in_brief(self.content), ..self }
    }
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
            contact: row.contact_id.map(ContactId::from_uuid),
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
    routing: Option<String>,
    clocks: Option<String>,
    waiting_since: Option<Stamp>,
    handed_at: Stamp,
    snoozed_until: Option<Stamp>,
    assigned_at: Option<Stamp>,
    answered_at: Option<Stamp>,
    last_answer_at: Option<Stamp>,
    resolved_at: Option<Stamp>,
    due_at: Option<Stamp>,
    wake_at: Option<Stamp>,
    rank: Option<i64>,
    callback: Option<String>,
    on_line: Option<String>,
    last_entry_id: Option<Uuid>,
    last_contact_id: Option<Uuid>,
    continued_in: Option<Uuid>,
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
            routing: json(row.routing)?,
            clocks: json(row.clocks)?.unwrap_or_default(),
            waiting_since: row.waiting_since.map(|at| at.0),
            handed_at: row.handed_at.0,
            snoozed_until: row.snoozed_until.map(|at| at.0),
            assigned_at: row.assigned_at.map(|at| at.0),
            answered_at: row.answered_at.map(|at| at.0),
            last_answer_at: row.last_answer_at.map(|at| at.0),
            resolved_at: row.resolved_at.map(|at| at.0),
            due_at: row.due_at.map(|at| at.0),
            wake_at: row.wake_at.map(|at| at.0),
            rank: row.rank,
            callback: json(row.callback)?,
            on_line: json(row.on_line)?.unwrap_or_default(),
            last_entry: row.last_entry_id.map(EntryId::from_uuid),
            last_contact: row.last_contact_id.map(ContactId::from_uuid),
            continued_in: row.continued_in.map(ConversationId::from_uuid),
            rev: row.rev,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct MessageRow {
    key: Uuid,
    pub(crate) client_id: Uuid,
    contact_id: Option<Uuid>,
    conversation_id: Uuid,
}

impl TryFrom<MessageRow> for Message {
    type Error = Error;
    fn try_from(row: MessageRow) -> Result<Self, Error> {
        Ok(Message {
            key: row.key.into_bytes(),
            client: ClientId::from_uuid(row.client_id),
            contact: row.contact_id.map(ContactId::from_uuid),
            conversation: ConversationId::from_uuid(row.conversation_id),
        })
    }
}
