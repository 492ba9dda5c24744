//! Rows about chats and answers.

use contact::{ClientId, ConversationId, EntryId};
use serde::Serialize;
use sqlx::{Error, FromRow};
use timeline::{Chat, ChatLine, ChatView, Reply};
use uuid::Uuid;

use crate::values::{Stamp, unreadable};

#[derive(FromRow, Serialize)]
pub(crate) struct ChatRow {
    visitor: String,
    source: String,
    pub(crate) client_id: Option<Uuid>,
    conversation_id: Option<Uuid>,
    seq: i64,
    read_seq: i64,
    session: String,
    last_at: Stamp,
}

impl TryFrom<ChatRow> for Chat {
    type Error = Error;
    fn try_from(row: ChatRow) -> Result<Self, Error> {
        Ok(Chat {
            visitor: row.visitor,
            source: row.source.parse().map_err(unreadable)?,
            client: row.client_id.map(ClientId::from_uuid),
            conversation: row.conversation_id.map(ConversationId::from_uuid),
            seq: row.seq,
            read: row.read_seq,
            session: row.session,
            last_at: row.last_at.0,
        })
    }
}

/// A chat beside the state of its conversation.
#[derive(FromRow)]
pub(crate) struct ChatViewRow {
    #[sqlx(flatten)]
    chat: ChatRow,
    resolved: bool,
}

impl TryFrom<ChatViewRow> for ChatView {
    type Error = Error;
    fn try_from(row: ChatViewRow) -> Result<Self, Error> {
        Ok(ChatView { chat: row.chat.try_into()?, resolved: row.resolved })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct ChatLineRow {
    visitor: String,
    seq: i64,
    entry_id: Uuid,
    message_id: String,
    agent: Option<String>,
    content: String,
    written_at: Stamp,
}

impl TryFrom<ChatLineRow> for ChatLine {
    type Error = Error;
    fn try_from(row: ChatLineRow) -> Result<Self, Error> {
        Ok(ChatLine {
            visitor: row.visitor,
            seq: row.seq,
            entry: EntryId::from_uuid(row.entry_id),
            message_id: row.message_id,
            agent: row.agent,
            text: row.content,
            at: row.written_at.0,
        })
    }
}

/// A line beside the client of its chat.
#[derive(FromRow)]
pub(crate) struct OwnedLineRow {
    pub(crate) client_id: Option<Uuid>,
    #[sqlx(flatten)]
    pub(crate) line: ChatLineRow,
}

#[derive(FromRow, Serialize)]
pub(crate) struct ReplyRow {
    id: Uuid,
    conversation_id: Uuid,
    pub(crate) client_id: Option<Uuid>,
    source: String,
    state: String,
    attempts: i64,
    doubts: i64,
    due_at: Option<Stamp>,
    errand: String,
    detail: Option<String>,
    message_id: Option<String>,
    instead_of: Option<Uuid>,
    rev: i64,
    recorded_at: Stamp,
}

impl TryFrom<ReplyRow> for Reply {
    type Error = Error;
    fn try_from(row: ReplyRow) -> Result<Self, Error> {
        Ok(Reply {
            id: EntryId::from_uuid(row.id),
            conversation: ConversationId::from_uuid(row.conversation_id),
            client: row.client_id.map(ClientId::from_uuid),
            source: row.source.parse().map_err(unreadable)?,
            state: row.state.parse().map_err(unreadable)?,
            attempts: u32::try_from(row.attempts).map_err(unreadable)?,
            doubts: u32::try_from(row.doubts).map_err(unreadable)?,
            due_at: row.due_at.map(|at| at.0),
            order: serde_json::from_str(&row.errand).map_err(unreadable)?,
            detail: row.detail,
            message_id: row.message_id,
            instead_of: row.instead_of.map(EntryId::from_uuid),
            rev: row.rev,
            recorded_at: row.recorded_at.0,
        })
    }
}
