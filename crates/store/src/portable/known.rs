//! What a batch needs to be decided: seven statements, whatever its size.

use std::collections::{HashMap, HashSet};

use contact::ClientId;
use sqlx::Error;
use timeline::{Client, Contact, Conversation, Holder, Known, Logged, Message, Wanted};
use uuid::Uuid;

use super::super::{Connection, holders, ids};
use crate::rows::{ClientRow, ContactRow, ConversationRow, LoggedRow, MessageRow, read as nouns};
use crate::values::rows;

pub(super) async fn read(connection: &mut Connection, wanted: &Wanted) -> Result<Known, Error> {
    let (log_position, feed_position): (i64, i64) = sqlx::query_as(
        "select (select coalesce(max(position), 0) from contact_event), \
                (select coalesce(max(position), 0) from feed)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut known = Known { log_position, feed_position, ..Known::default() };
    known.events = events(connection, &wanted.events).await?;
    known.contacts = contacts(connection, &wanted.contacts).await?;
    if !wanted.identifiers.is_empty() {
        let held: Vec<Holder> = nouns(holders(connection, &wanted.identifiers).await?)?;
        known.holders = held.into_iter().map(|held| (held.identifier, held.client)).collect();
    }
    let whose: HashSet<Uuid> = known
        .contacts
        .values()
        .filter_map(|contact| contact.client)
        .chain(known.holders.values().copied())
        .map(|client| client.uuid())
        .collect();
    known.messages = messages(connection, &wanted.messages, &whose).await?;
    let placed: HashSet<Uuid> = known
        .contacts
        .values()
        .filter_map(|contact| contact.conversation)
        .chain(known.messages.values().map(|message| message.conversation))
        .map(|conversation| conversation.uuid())
        .collect();
    if !whose.is_empty() {
        let found: Vec<ClientRow> =
            sqlx::query_as(concat!("select ", columns!(client), " from client where id ", in_ids!("$1")))
                .bind(ids(whose.iter().copied()))
                .fetch_all(&mut *connection)
                .await?;
        let found: Vec<Client> = nouns(found)?;
        known.clients = found.into_iter().map(|client| (client.id, client)).collect();
    }
    if !whose.is_empty() || !placed.is_empty() {
        // Two searches, each by its index; `or` would read the table.
        let found: Vec<ConversationRow> = sqlx::query_as(concat!(
            "select ",
            columns!(conversation),
            " from conversation where client_id ",
            in_ids!("$1"),
            " and status in ('open', 'pending', 'snoozed') union select ",
            columns!(conversation),
            " from conversation where id ",
            in_ids!("$2"),
        ))
        .bind(ids(whose))
        .bind(ids(placed))
        .fetch_all(&mut *connection)
        .await?;
        let found: Vec<Conversation> = nouns(found)?;
        known.conversations = found.into_iter().map(|conversation| (conversation.id, conversation)).collect();
    }
    Ok(known)
}

async fn events(connection: &mut Connection, wanted: &[[u8; 16]]) -> Result<HashSet<[u8; 16]>, Error> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<Uuid> =
        sqlx::query_scalar(concat!("select key from contact_event where key ", in_ids!("$1")))
            .bind(ids(wanted.iter().copied().map(Uuid::from_bytes)))
            .fetch_all(connection)
            .await?;
    Ok(found.into_iter().map(Uuid::into_bytes).collect())
}

async fn contacts(
    connection: &mut Connection,
    wanted: &[[u8; 16]],
) -> Result<HashMap<[u8; 16], Contact>, Error> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ContactRow> =
        sqlx::query_as(concat!("select ", columns!(contact), " from contact where key ", in_ids!("$1")))
            .bind(ids(wanted.iter().copied().map(Uuid::from_bytes)))
            .fetch_all(connection)
            .await?;
    found.into_iter().map(|row| Ok((row.key.into_bytes(), Contact::try_from(row)?))).collect()
}

/// Of what strangers also sent under such an id nothing is read.
async fn messages(
    connection: &mut Connection,
    wanted: &[[u8; 16]],
    whose: &HashSet<Uuid>,
) -> Result<HashMap<([u8; 16], ClientId), Message>, Error> {
    if wanted.is_empty() || whose.is_empty() {
        return Ok(HashMap::new());
    }
    // The search is by key; `coalesce` keeps SQLite from trying every key with every client.
    let found: Vec<MessageRow> = sqlx::query_as(concat!(
        "select ",
        columns!(message),
        " from message where key ",
        in_ids!("$1"),
        " and coalesce(client_id, client_id) ",
        in_ids!("$2"),
    ))
    .bind(ids(wanted.iter().copied().map(Uuid::from_bytes)))
    .bind(ids(whose.iter().copied()))
    .fetch_all(connection)
    .await?;
    let found: Vec<Message> = nouns(found)?;
    Ok(found.into_iter().map(|message| ((message.key, message.client), message)).collect())
}

/// What was erased has no payload and is passed over.
pub(super) async fn log(connection: &mut Connection, after: i64, limit: usize) -> Result<Vec<Logged>, Error> {
    let page: Vec<LoggedRow> = sqlx::query_as(
        "select e.position as position, e.recorded_at as recorded_at, p.payload as payload \
         from contact_event as e join event_payload as p on p.position = e.position \
         where e.position > $1 order by e.position limit $2 + 0",
    )
    .bind(after)
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    nouns(page)
}
