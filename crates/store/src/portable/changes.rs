//! What was decided, written set by set.
//!
//! What an id can never change (a contact's key, an entry's channel) is not set again, so that its
//! index is not touched.

use sqlx::{Error, raw_sql};
use timeline::{Changes, Client, Contact, Conversation, Entry, FeedItem, Holder, Message, Preferences};
use uuid::Uuid;

use super::super::{BEGIN_LONG, Connection};
use super::{absorb, agents, chats, shelves, ties, work};
use crate::values::Stamp;

pub(super) async fn write(connection: &mut Connection, changes: &Changes) -> Result<(), Error> {
    absorb::absorb(connection, &changes.absorbed).await?;
    log(connection, changes).await?;
    clients(connection, &changes.clients).await?;
    holders(connection, &changes.holders).await?;
    contacts(connection, &changes.contacts).await?;
    entries(connection, &changes.entries).await?;
    conversations(connection, &changes.conversations).await?;
    messages(connection, &changes.messages).await?;
    ties::write_claims(connection, &changes.claims).await?;
    ties::write_merges(connection, &changes.merges).await?;
    ties::write_relocations(connection, &changes.relocations).await?;
    ties::write_aparts(connection, &changes.aparts).await?;
    chats::write_chats(connection, &changes.chats).await?;
    chats::write_lines(connection, &changes.chat_lines).await?;
    chats::write_replies(connection, &changes.replies).await?;
    chats::let_read_ones_be(connection, &changes.chats, &changes.replies).await?;
    agents::write(connection, &changes.agents).await?;
    work::write(connection, &changes.reservations).await?;
    feed(connection, changes).await?;
    shelves::bury(connection, &changes.letters).await
}

/// How much is written, in rows and pages' worth of text, for those who look after the files.
pub(super) fn amount(changes: &Changes) -> u64 {
    const PAGE: usize = 4096;
    let rows = 2 * changes.log.len()
        + changes.clients.len()
        + changes.holders.len()
        + changes.contacts.len()
        + changes.entries.len()
        + changes.conversations.len()
        + changes.messages.len()
        + changes.claims.len()
        + changes.merges.len()
        + changes.relocations.len()
        + changes.aparts.len()
        + changes.chats.len()
        + changes.chat_lines.len()
        + changes.replies.len()
        + changes.agents.len()
        + changes.reservations.len()
        + changes.feed.len()
        + changes.letters.len();
    let text = changes.log.iter().map(|(_, arrival)| arrival.payload.len()).sum::<usize>()
        + changes.entries.iter().map(|entry| entry.content.len()).sum::<usize>();
    u64::try_from(rows + text / PAGE).unwrap_or(u64::MAX)
}

/// The unique key is what "once" means: a second event of the same key fails the whole transaction.
async fn log(connection: &mut Connection, changes: &Changes) -> Result<(), Error> {
    write_rows!(
        connection,
        "insert into contact_event \
         (position, key, subject, source, id, type, time, received_at, recorded_at)",
        &changes.log,
        |logged| [
            logged.0,
            Uuid::from_bytes(logged.1.event.key.digest()),
            Uuid::from_bytes(logged.1.event.contact.digest()),
            logged.1.event.key.source.as_str(),
            logged.1.event.key.id.as_str(),
            logged.1.event.content.type_name(),
            Stamp(logged.1.event.occurred_at),
            Stamp(logged.1.event.received_at),
            Stamp(logged.1.recorded_at),
        ],
        ""
    );
    write_rows!(
        connection,
        "insert into event_payload (position, payload)",
        &changes.log,
        |logged| [logged.0, logged.1.payload.as_str()],
        ""
    );
    Ok(())
}

async fn clients(connection: &mut Connection, clients: &[Client]) -> Result<(), Error> {
    let clients = clients
        .iter()
        .map(|client| {
            let talks = (!client.talks.is_empty()).then(|| json(&client.talks)).transpose()?;
            Ok((client, preferences(&client.preferences)?, talks))
        })
        .collect::<Result<Vec<(&Client, String, Option<String>)>, Error>>()?;
    write_rows!(
        connection,
        concat!("insert into client (", columns!(client), ", search)"),
        &clients,
        |row| [
            row.0.id.uuid(),
            row.0.name.as_deref(),
            row.0.segment.as_deref(),
            row.0.value,
            row.0.owner.as_deref(),
            row.0.known_by.as_deref(),
            row.0.wrote_at.map(Stamp),
            row.2.as_deref(),
            Stamp(row.0.created_at),
            Stamp(row.0.last_contact_at),
            row.0.won_back_at.map(Stamp),
            row.0.reached_at.map(Stamp),
            row.1.as_str(),
            row.0.merged_into.map(|client| client.uuid()),
            row.0.rev,
            // Lower case as Rust sees it: the databases differ beyond ASCII.
            row.0.name.as_deref().unwrap_or_default().to_lowercase(),
        ],
        "on conflict (id) do update set name = excluded.name, segment = excluded.segment, \
         value = excluded.value, owner = excluded.owner, known_by = excluded.known_by, \
         wrote_at = excluded.wrote_at, talks = excluded.talks, \
         created_at = excluded.created_at, last_contact_at = excluded.last_contact_at, \
         won_back_at = excluded.won_back_at, reached_at = excluded.reached_at, \
         preferences = excluded.preferences, merged_into = excluded.merged_into, rev = excluded.rev, \
         search = excluded.search"
    );
    Ok(())
}

/// Most people say nothing.
fn preferences(said: &Preferences) -> Result<String, Error> {
    if *said == Preferences::default() { Ok("{}".to_owned()) } else { json(said) }
}

async fn holders(connection: &mut Connection, holders: &[Holder]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into identifier (", columns!(identifier), ")"),
        holders,
        |holder| [
            holder.identifier.kind.as_str(),
            holder.identifier.value.as_str(),
            holder.client.uuid(),
            holder.level.as_str(),
            Stamp(holder.since),
        ],
        "on conflict (kind, value) do update set client_id = excluded.client_id, \
         level = excluded.level, since = excluded.since"
    );
    Ok(())
}

async fn contacts(connection: &mut Connection, contacts: &[Contact]) -> Result<(), Error> {
    let contacts = contacts
        .iter()
        .map(|contact| Ok((contact, json(&contact.state)?)))
        .collect::<Result<Vec<(&Contact, String)>, Error>>()?;
    write_rows!(
        connection,
        concat!("insert into contact (", columns!(contact), ")"),
        &contacts,
        |row| [
            row.0.id.uuid(),
            Uuid::from_bytes(row.0.key.digest()),
            row.0.key.0.as_str(),
            row.0.source.as_str(),
            row.0.direction.as_str(),
            row.0.trust.as_str(),
            row.0.client.map(|client| client.uuid()),
            row.0.conversation.map(|conversation| conversation.uuid()),
            row.0.entry.uuid(),
            row.0.rev,
            row.1.as_str(),
            Stamp(row.0.occurred_at),
            Stamp(row.0.recorded_at),
        ],
        "on conflict (id) do update set direction = excluded.direction, trust = excluded.trust, \
         client_id = excluded.client_id, conversation_id = excluded.conversation_id, \
         entry_id = excluded.entry_id, rev = excluded.rev, state = excluded.state, \
         occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at"
    );
    Ok(())
}

async fn entries(connection: &mut Connection, entries: &[Entry]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into entry (", columns!(entry), ")"),
        entries,
        |entry| [
            entry.id.uuid(),
            entry.kind.as_str(),
            entry.channel.as_str(),
            entry.direction.as_str(),
            entry.source.as_str(),
            entry.trust.as_str(),
            entry.rev,
            Stamp(entry.occurred_at),
            Stamp(entry.recorded_at),
            entry.client.map(|client| client.uuid()),
            entry.contact.map(|contact| contact.uuid()),
            entry.conversation.map(|conversation| conversation.uuid()),
            entry.agent.as_deref(),
            entry.summary.as_str(),
            entry.content.as_str(),
        ],
        "on conflict (id) do update set direction = excluded.direction, trust = excluded.trust, \
         rev = excluded.rev, occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at, \
         client_id = excluded.client_id, conversation_id = excluded.conversation_id, \
         agent = excluded.agent, summary = excluded.summary, content = excluded.content"
    );
    Ok(())
}

/// A conversation, and what of it is kept as JSON.
struct ConversationTexts<'a> {
    conversation: &'a Conversation,
    routing: Option<String>,
    clocks: Option<String>,
    callback: Option<String>,
    on_line: Option<String>,
}

async fn conversations(connection: &mut Connection, conversations: &[Conversation]) -> Result<(), Error> {
    let conversations = conversations
        .iter()
        .map(|conversation| {
            let clocks = Some(&conversation.clocks).filter(|clocks| !clocks.is_empty());
            Ok(ConversationTexts {
                conversation,
                routing: conversation.routing.as_ref().map(json).transpose()?,
                clocks: clocks.map(json).transpose()?,
                callback: conversation.callback.as_ref().map(json).transpose()?,
                on_line: (!conversation.on_line.is_empty())
                    .then(|| json(&conversation.on_line))
                    .transpose()?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    write_rows!(
        connection,
        concat!("insert into conversation (", columns!(conversation), ")"),
        &conversations,
        |row| [
            row.conversation.id.uuid(),
            row.conversation.status.as_str(),
            row.conversation.client.map(|client| client.uuid()),
            row.conversation.thread.as_str(),
            row.conversation.channel.as_str(),
            row.conversation.queue.as_str(),
            row.conversation.priority,
            row.conversation.assignee.as_deref(),
            Stamp(row.conversation.opened_at),
            Stamp(row.conversation.updated_at),
            row.routing.as_deref(),
            row.clocks.as_deref(),
            row.conversation.waiting_since.map(Stamp),
            Stamp(row.conversation.handed_at),
            row.conversation.snoozed_until.map(Stamp),
            row.conversation.assigned_at.map(Stamp),
            row.conversation.answered_at.map(Stamp),
            row.conversation.last_answer_at.map(Stamp),
            row.conversation.resolved_at.map(Stamp),
            row.conversation.due_at.map(Stamp),
            row.conversation.wake_at.map(Stamp),
            row.conversation.rank,
            row.callback.as_deref(),
            row.on_line.as_deref(),
            row.conversation.last_entry.map(|entry| entry.uuid()),
            row.conversation.last_contact.map(|contact| contact.uuid()),
            row.conversation.continued_in.map(|conversation| conversation.uuid()),
            row.conversation.rev,
        ],
        "on conflict (id) do update set status = excluded.status, client_id = excluded.client_id, \
         thread = excluded.thread, channel = excluded.channel, queue = excluded.queue, \
         priority = excluded.priority, assignee = excluded.assignee, opened_at = excluded.opened_at, \
         updated_at = excluded.updated_at, routing = excluded.routing, clocks = excluded.clocks, \
         waiting_since = excluded.waiting_since, handed_at = excluded.handed_at, \
         snoozed_until = excluded.snoozed_until, assigned_at = excluded.assigned_at, \
         answered_at = excluded.answered_at, last_answer_at = excluded.last_answer_at, \
         resolved_at = excluded.resolved_at, due_at = excluded.due_at, wake_at = excluded.wake_at, \
         rank = excluded.rank, callback = excluded.callback, on_line = excluded.on_line, \
         last_entry_id = excluded.last_entry_id, \
         last_contact_id = excluded.last_contact_id, continued_in = excluded.continued_in, \
         rev = excluded.rev"
    );
    Ok(())
}

async fn messages(connection: &mut Connection, messages: &[Message]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into message (", columns!(message), ")"),
        messages,
        |message| [
            Uuid::from_bytes(message.key),
            message.client.uuid(),
            message.contact.map(|contact| contact.uuid()),
            message.conversation.uuid(),
        ],
        "on conflict (key, client_id) do update set contact_id = excluded.contact_id, \
         conversation_id = excluded.conversation_id"
    );
    Ok(())
}

async fn feed(connection: &mut Connection, changes: &Changes) -> Result<(), Error> {
    let items = changes
        .feed
        .iter()
        .map(|item| Ok((item, item.notice.as_ref().map(json).transpose()?)))
        .collect::<Result<Vec<(&FeedItem, Option<String>)>, Error>>()?;
    write_rows!(
        connection,
        concat!("insert into feed (", columns!(feed), ")"),
        &items,
        |row| [row.0.position, row.0.kind.as_str(), row.0.id, row.0.rev, row.1.as_deref()],
        ""
    );
    Ok(())
}

/// Deleted row by row, so that readers see the old ones until the commit.
pub(super) async fn clear_projections(connection: &mut Connection) -> Result<(), Error> {
    raw_sql(BEGIN_LONG).execute(&mut *connection).await?;
    for table in [
        "delete from client",
        "delete from identifier",
        "delete from contact",
        "delete from entry",
        "delete from conversation",
        "delete from message",
        "delete from claim",
        "delete from merge",
        "delete from relocation",
        "delete from apart",
        "delete from chat",
        "delete from chat_line",
        "delete from reply",
        "delete from agent",
        "delete from reservation",
    ] {
        raw_sql(table).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Encode(error.into()))
}
