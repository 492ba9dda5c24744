//! The rows of both databases, and the nouns they hold.
//!
//! One struct a table: `FromRow` reads it from either driver, `Serialize` gives the bytes that are
//! digested, so a digest does not depend on the database. `Deserialize` reads what SQLite gives as a page.
//! Here are the columns, the log and the feed; `client`, `contact`, `chat`, `work` and `shelf` have the rest.

mod chat;
mod client;
mod contact;
mod shelf;
mod work;

use sqlx::{Error, FromRow};
use timeline::{FeedItem, Logged};
use uuid::Uuid;

pub(crate) use self::chat::{ChatLineRow, ChatRow, ChatViewRow, OwnedLineRow, ReplyRow};
pub(crate) use self::client::{
    ApartRow, ClaimRow, ClientRow, IdentifierRow, MatchRow, MergeRow, RelocationRow,
};
pub(crate) use self::contact::{ContactRow, ConversationRow, EntryRow, MessageRow};
pub(crate) use self::shelf::{AnswerRow, LetterRow, ListedLetterRow, ListedSuspectRow, SuspectRow, TokenRow};
pub(crate) use self::work::{AgentRow, ReservationRow};
use crate::values::{Stamp, json, unreadable};

/// The columns of a table, in the order of its struct here and of every insert.
macro_rules! columns {
    (client) => {
        "id, name, segment, value, owner, known_by, wrote_at, talks, created_at, last_contact_at, won_back_at, \
         reached_at, preferences, merged_into, rev"
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
        "id, status, client_id, thread, channel, queue, priority, assignee, opened_at, updated_at, routing, \
         clocks, waiting_since, handed_at, snoozed_until, assigned_at, answered_at, last_answer_at, \
         resolved_at, due_at, wake_at, rank, callback, on_line, last_entry_id, last_contact_id, continued_in, rev"
    };
    (message) => {
        "key, client_id, contact_id, conversation_id"
    };
    (claim) => {
        "kind, value, client_id, reason, since"
    };
    (merge) => {
        "id, survivor_id, absorbed_id, decided_by, reason, decided_at, undone_at"
    };
    (relocation) => {
        "id, contact_id, from_client_id, to_client_id"
    };
    (apart) => {
        "lesser_id, greater_id, decided_by, reason, decided_at"
    };
    (chat) => {
        "visitor, source, client_id, conversation_id, seq, read_seq, session, last_at"
    };
    (chat_line) => {
        "visitor, seq, entry_id, message_id, agent, content, written_at"
    };
    (reply) => {
        "id, conversation_id, client_id, source, state, attempts, doubts, due_at, errand, detail, message_id, \
         instead_of, rev, recorded_at"
    };
    (agent) => {
        "id, name, profile, presence, consoles, gone_since, idle_since, missed, rev"
    };
    (reservation) => {
        "id, conversation_id, agent, state, offered_at, until, ended_at, rests_until, rev"
    };
    (feed) => {
        "position, kind, id, rev, notice"
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
    notice: Option<String>,
}

impl TryFrom<FeedRow> for FeedItem {
    type Error = Error;
    fn try_from(row: FeedRow) -> Result<Self, Error> {
        Ok(FeedItem {
            position: row.position,
            kind: row.kind.parse().map_err(unreadable)?,
            id: row.id,
            rev: row.rev,
            notice: json(row.notice)?,
        })
    }
}

/// Rows as nouns.
pub(crate) fn read<Row, Noun: TryFrom<Row, Error = Error>>(rows: Vec<Row>) -> Result<Vec<Noun>, Error> {
    rows.into_iter().map(Noun::try_from).collect()
}
