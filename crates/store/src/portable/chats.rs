//! Chats, their lines, and our answers on every channel.

use std::collections::{BTreeSet, HashMap};

use contact::EntryId;
use jiff::Timestamp;
use sqlx::Error;
use timeline::{Chat, ChatLine, ChatView, Reply};

use super::super::{Connection, ids, texts};
use super::changes::json;
use crate::rows::{ChatLineRow, ChatRow, ChatViewRow, ReplyRow, read as nouns};
use crate::values::{Stamp, has_nul, rows};

// --- reading

pub(super) async fn chat(connection: &mut Connection, visitor: &str) -> Result<Option<ChatView>, Error> {
    if has_nul(visitor) {
        return Ok(None);
    }
    let found: Option<ChatViewRow> = sqlx::query_as(concat!(
        "select ",
        columns!(chat),
        ", coalesce((select status = 'resolved' from conversation where id = chat.conversation_id), false) \
         as resolved from chat where visitor = $1",
    ))
    .bind(visitor)
    .fetch_optional(connection)
    .await?;
    found.map(ChatView::try_from).transpose()
}

pub(super) async fn lines(
    connection: &mut Connection,
    visitor: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<ChatLine>, Error> {
    if has_nul(visitor) {
        return Ok(Vec::new());
    }
    let found: Vec<ChatLineRow> = sqlx::query_as(concat!(
        "select ",
        columns!(chat_line),
        " from chat_line where visitor = $1 and seq > $2 order by seq limit $3 + 0",
    ))
    .bind(visitor)
    .bind(after)
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    nouns(found)
}

pub(super) async fn due_replies(
    connection: &mut Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Reply>, Error> {
    let found: Vec<ReplyRow> = sqlx::query_as(concat!(
        "select ",
        columns!(reply),
        " from reply where wake_at is not null and wake_at <= $1 order by wake_at, id limit $2 + 0",
    ))
    .bind(Stamp(now))
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    nouns(found)
}

pub(super) async fn next_due(connection: &mut Connection) -> Result<Option<Timestamp>, Error> {
    let next: Option<Stamp> =
        sqlx::query_scalar("select wake_at from reply where wake_at is not null order by wake_at limit 1")
            .fetch_optional(connection)
            .await?;
    Ok(next.map(|due| due.0))
}

pub(super) async fn by_visitor(
    connection: &mut Connection,
    wanted: &[String],
) -> Result<HashMap<String, Chat>, Error> {
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).filter(|visitor| !has_nul(visitor)).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ChatRow> =
        sqlx::query_as(concat!("select ", columns!(chat), " from chat where visitor ", in_texts!("$1")))
            .bind(texts(&wanted)?)
            .fetch_all(connection)
            .await?;
    let found: Vec<Chat> = nouns(found)?;
    Ok(found.into_iter().map(|chat| (chat.visitor.clone(), chat)).collect())
}

pub(super) async fn replies(
    connection: &mut Connection,
    wanted: &[EntryId],
) -> Result<HashMap<EntryId, Reply>, Error> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ReplyRow> =
        sqlx::query_as(concat!("select ", columns!(reply), " from reply where id ", in_ids!("$1")))
            .bind(ids(wanted.iter().map(|id| id.uuid())))
            .fetch_all(connection)
            .await?;
    let found: Vec<Reply> = nouns(found)?;
    Ok(found.into_iter().map(|reply| (reply.id, reply)).collect())
}

// --- writing

pub(super) async fn write_chats(connection: &mut Connection, chats: &[Chat]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into chat (", columns!(chat), ")"),
        chats,
        |chat| [
            chat.visitor.as_str(),
            chat.source.as_str(),
            chat.client.map(|client| client.uuid()),
            chat.conversation.map(|conversation| conversation.uuid()),
            chat.seq,
            chat.read,
            chat.session.as_str(),
            Stamp(chat.last_at),
        ],
        "on conflict (visitor) do update set source = excluded.source, client_id = excluded.client_id, \
         conversation_id = excluded.conversation_id, seq = excluded.seq, read_seq = excluded.read_seq, \
         session = excluded.session, last_at = excluded.last_at"
    );
    Ok(())
}

pub(super) async fn write_lines(connection: &mut Connection, lines: &[ChatLine]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into chat_line (", columns!(chat_line), ")"),
        lines,
        |line| [
            line.visitor.as_str(),
            line.seq,
            line.entry.uuid(),
            line.message_id.as_str(),
            line.agent.as_deref(),
            line.text.as_str(),
            Stamp(line.at),
        ],
        "on conflict (visitor, seq) do update set entry_id = excluded.entry_id, \
         message_id = excluded.message_id, agent = excluded.agent, content = excluded.content, \
         written_at = excluded.written_at"
    );
    Ok(())
}

pub(super) async fn write_replies(connection: &mut Connection, replies: &[Reply]) -> Result<(), Error> {
    let replies = replies
        .iter()
        .map(|reply| Ok((reply, json(&reply.order)?)))
        .collect::<Result<Vec<(&Reply, String)>, Error>>()?;
    write_rows!(
        connection,
        concat!("insert into reply (", columns!(reply), ", visitor, seq, wake_at)"),
        &replies,
        |row| [
            row.0.id.uuid(),
            row.0.conversation.uuid(),
            row.0.client.map(|client| client.uuid()),
            row.0.source.as_str(),
            row.0.state.as_str(),
            i64::from(row.0.attempts),
            i64::from(row.0.doubts),
            row.0.due_at.map(Stamp),
            row.1.as_str(),
            row.0.detail.as_deref(),
            row.0.message_id.as_deref(),
            row.0.instead_of.map(|entry| entry.uuid()),
            row.0.rev,
            Stamp(row.0.recorded_at),
            row.0.order.seq.map(|_| row.0.order.to.as_str()),
            row.0.order.seq,
            row.0.due_at.map(Stamp),
        ],
        "on conflict (id) do update set conversation_id = excluded.conversation_id, \
         client_id = excluded.client_id, source = excluded.source, state = excluded.state, \
         attempts = excluded.attempts, doubts = excluded.doubts, due_at = excluded.due_at, \
         errand = excluded.errand, detail = excluded.detail, message_id = excluded.message_id, \
         instead_of = excluded.instead_of, rev = excluded.rev, recorded_at = excluded.recorded_at, \
         visitor = excluded.visitor, seq = excluded.seq, wake_at = excluded.wake_at"
    );
    Ok(())
}

/// Nobody wakes for what was sent and read, which would else be passed over again and again for ever.
pub(super) async fn let_read_ones_be(
    connection: &mut Connection,
    chats: &[Chat],
    replies: &[Reply],
) -> Result<(), Error> {
    let answered = replies.iter().filter(|reply| reply.order.seq.is_some()).map(|reply| &reply.order.to);
    let changed: BTreeSet<&str> =
        chats.iter().map(|chat| &chat.visitor).chain(answered).map(String::as_str).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let changed: Vec<&str> = changed.into_iter().collect();
    sqlx::query(concat!(
        "update reply set wake_at = null where wake_at is not null and state = 'sent' and visitor ",
        in_texts!("$1"),
        " and seq <= (select read_seq from chat where chat.visitor = reply.visitor)",
    ))
    .bind(texts(&changed)?)
    .execute(connection)
    .await?;
    Ok(())
}
