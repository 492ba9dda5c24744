//! Everything of some clients, how it came to be, and its removal.

use std::collections::BTreeSet;

use contact::{ClientId, ContactId, ContactKey};
use sqlx::Error;
use timeline::{Changes, Contact, Conversation, Entry, EntryKind, History, Logged, Reply, Ties};
use uuid::Uuid;

use super::super::{Connection, ids};
use super::ties::{ties, with_merged};
use crate::rows::{
    ApartRow, ChatLineRow, ChatRow, ClaimRow, ClientRow, ContactRow, ConversationRow, EntryRow,
    IdentifierRow, LoggedRow, MessageRow, ReplyRow, read as nouns,
};

/// Subjects looked up by one statement.
const SUBJECTS: usize = 4096;

/// The nouns of a table for which a condition over lists of ids holds.
macro_rules! found {
    ($connection:ident, $table:ident: $Row:ty, [$($list:expr),+], $($condition:tt)+) => {{
        let rows: Vec<$Row> = sqlx::query_as(concat!(
            "select ",
            columns!($table),
            " from ",
            stringify!($table),
            " where ",
            $($condition)+
        ))
        $(.bind($list))+
        .fetch_all(&mut *$connection)
        .await?;
        nouns(rows)?
    }};
    ($connection:ident, $table:ident: $Row:ty, $list:expr, $($condition:tt)+) => {
        found!($connection, $table: $Row, [$list], $($condition)+)
    };
}

/// Whoever was merged into one of them is theirs too. Of the contacts asked for only nobody's are taken in,
/// each with the entry that shows it and the conversation it is in.
pub(super) async fn history(
    connection: &mut Connection,
    clients: &[ClientId],
    nobodys: &[ContactId],
) -> Result<History, Error> {
    let clients = with_merged(connection, clients.iter().map(|client| client.uuid())).await?;
    let whose = || ids(clients.iter().copied());
    let nobodys: BTreeSet<Uuid> = nobodys.iter().map(|contact| contact.uuid()).collect();
    let contacts: BTreeSet<Uuid> =
        contacts_of(connection, clients.iter().copied()).await?.into_iter().chain(nobodys.clone()).collect();
    let mut contacts: Vec<Contact> =
        found!(connection, contact: ContactRow, ids(contacts), "id ", in_ids!("$1"), " order by id");
    contacts.retain(|contact| match contact.client {
        Some(client) => clients.contains(&client.uuid()),
        None => nobodys.contains(&contact.id.uuid()),
    });
    let of_nobody = |contact: &&Contact| contact.client.is_none();
    let entries = ids(contacts.iter().filter(of_nobody).map(|contact| contact.entry.uuid()));
    let placed = contacts.iter().filter(of_nobody).filter_map(|contact| contact.conversation);
    let placed = ids(placed.map(|conversation| conversation.uuid()));
    let Ties { merges, relocations } = ties(connection, clients.iter().copied()).await?;
    let rows = Changes {
        clients: found!(connection, client: ClientRow, whose(), "id ", in_ids!("$1"), " order by id"),
        holders: found!(connection, identifier: IdentifierRow, whose(),
            "client_id ", in_ids!("$1"), " order by kind, value"),
        contacts,
        entries: found!(connection, entry: EntryRow, [whose(), entries], "client_id ", in_ids!("$1"),
            " union select ", columns!(entry), " from entry where id ", in_ids!("$2"), " order by id"),
        conversations: found!(connection, conversation: ConversationRow, [whose(), placed],
            "client_id ", in_ids!("$1"), " union select ", columns!(conversation),
            " from conversation where id ", in_ids!("$2"), " order by id"),
        messages: found!(connection, message: MessageRow, whose(),
            "client_id ", in_ids!("$1"), " order by key, client_id"),
        claims: found!(connection, claim: ClaimRow, whose(),
            "client_id ", in_ids!("$1"), " order by kind, value, client_id"),
        merges,
        relocations,
        aparts: found!(connection, apart: ApartRow, whose(), "lesser_id ", in_ids!("$1"),
            " union select ", columns!(apart), " from apart where greater_id ", in_ids!("$1"),
            " order by lesser_id, greater_id"),
        chats: found!(connection, chat: ChatRow, whose(), "client_id ", in_ids!("$1"), " order by visitor"),
        chat_lines: found!(connection, chat_line: ChatLineRow, whose(),
            "visitor in (select visitor from chat where client_id ", in_ids!("$1"), ") order by visitor, seq"),
        replies: found!(connection, reply: ReplyRow, whose(), "client_id ", in_ids!("$1"), " order by id"),
        ..Changes::default()
    };
    let events = events(connection, &subjects(&clients, &rows)).await?;
    Ok(History { rows, events })
}

/// The digests of every subject under which something may have happened to these rows: their contacts', and
/// of what we did ourselves the thing it was done to.
fn subjects(clients: &BTreeSet<Uuid>, rows: &Changes) -> BTreeSet<Uuid> {
    let clients = clients.iter().map(|client| ClientId::from_uuid(*client).to_string());
    let conversations = rows.conversations.iter().map(|Conversation { id, .. }| id.to_string());
    let contacts = rows.contacts.iter().map(|Contact { id, .. }| id.to_string());
    let shown = rows.entries.iter().filter(|entry| entry.kind == EntryKind::Reply);
    let answers = shown.map(|Entry { id, .. }| id.to_string());
    let replies = rows.replies.iter().map(|Reply { id, .. }| id.to_string());
    let merges = rows.merges.iter().map(|merge| merge.id);
    let merges =
        merges.chain(rows.relocations.iter().map(|relocation| relocation.id)).map(|id| id.to_string());
    clients
        .chain(conversations)
        .chain(contacts)
        .chain(answers)
        .chain(replies)
        .chain(merges)
        .map(|id| ContactKey(format!("desk/{id}")).digest())
        .chain(rows.contacts.iter().map(|contact| contact.key.digest()))
        .map(Uuid::from_bytes)
        .collect()
}

/// What was erased has no payload and is passed over.
async fn events(connection: &mut Connection, subjects: &BTreeSet<Uuid>) -> Result<Vec<Logged>, Error> {
    let subjects: Vec<Uuid> = subjects.iter().copied().collect();
    let mut events: Vec<Logged> = Vec::new();
    for some in subjects.chunks(SUBJECTS) {
        let found: Vec<LoggedRow> = sqlx::query_as(concat!(
            "select e.position as position, e.recorded_at as recorded_at, p.payload as payload \
             from contact_event as e join event_payload as p on p.position = e.position where e.subject ",
            in_ids!("$1"),
        ))
        .bind(ids(some.iter().copied()))
        .fetch_all(&mut *connection)
        .await?;
        events.append(&mut nouns(found)?);
    }
    events.sort_unstable_by_key(|event| event.position);
    Ok(events)
}

/// By their entries, which have the same client: a call and a mail have one each. Only a session of a chat may
/// have none yet, so only sessions are in an index by client, and the telephone pays nothing for it.
pub(super) async fn contacts_of(
    connection: &mut Connection,
    clients: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Uuid>, Error> {
    sqlx::query_scalar(concat!(
        "select contact_id from entry where contact_id is not null and client_id ",
        in_ids!("$1"),
        // `0` is the letter after `/`.
        " union select id from contact where source >= 'chat/' and source < 'chat0' and client_id ",
        in_ids!("$1"),
    ))
    .bind(ids(clients))
    .fetch_all(connection)
    .await
}

/// What ties them together, to each other or to somebody else, stays.
pub(super) async fn clear(connection: &mut Connection, clients: &[ClientId]) -> Result<(), Error> {
    let clients = with_merged(connection, clients.iter().map(|client| client.uuid())).await?;
    let contacts = contacts_of(connection, clients.iter().copied()).await?;
    let whose = ids(clients);
    sqlx::query(concat!("delete from contact where client_id ", in_ids!("$1"), " and id ", in_ids!("$2")))
        .bind(whose.clone())
        .bind(ids(contacts))
        .execute(&mut *connection)
        .await?;
    for statement in [
        concat!(
            "delete from chat_line where visitor in (select visitor from chat where client_id ",
            in_ids!("$1"),
            ")"
        ),
        concat!("delete from chat where client_id ", in_ids!("$1")),
        concat!("delete from reply where client_id ", in_ids!("$1")),
        concat!("delete from claim where client_id ", in_ids!("$1")),
        concat!("delete from message where client_id ", in_ids!("$1")),
        concat!("delete from conversation where client_id ", in_ids!("$1")),
        concat!("delete from entry where client_id ", in_ids!("$1")),
        concat!("delete from identifier where client_id ", in_ids!("$1")),
        concat!("delete from client where id ", in_ids!("$1")),
    ] {
        sqlx::query(statement).bind(whose.clone()).execute(&mut *connection).await?;
    }
    Ok(())
}
