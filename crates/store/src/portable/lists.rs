//! What the API reads: pages by keyset, and what belongs to the rows of a page by one look-up a table.

use std::collections::{BTreeSet, HashMap};

use contact::{Channel, ClientId, ContactId, ConversationId, EntryId, EventKey};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Arguments as _, Database, Error, QueryBuilder};
use timeline::{
    Card, Client, Conversation, ConversationView, Entry, FindClients, FindContacts, FindConversations,
    Holder, Logged, Page, Reservation,
};
use uuid::Uuid;

use super::super::{Connection, Db, ENTRIES, IN_BRIEF, entries, entries_in_brief, ids};
use super::work;
use crate::rows::{ClientRow, ConversationRow, IdentifierRow, LoggedRow, read as nouns};
use crate::values::{Stamp, containing, has_nul, rows};

// --- by id

async fn clients_by_id(
    connection: &mut Connection,
    wanted: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<ClientId, Client>, Error> {
    let wanted: Vec<Uuid> = wanted.into_iter().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ClientRow> =
        sqlx::query_as(concat!("select ", columns!(client), " from client where id ", in_ids!("$1")))
            .bind(ids(wanted))
            .fetch_all(connection)
            .await?;
    let found: Vec<Client> = nouns(found)?;
    Ok(found.into_iter().map(|client| (client.id, client)).collect())
}

pub(super) async fn entries_by_id(
    connection: &mut Connection,
    wanted: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<EntryId, Entry>, Error> {
    let Some(query) = by_id(ENTRIES, wanted)? else { return Ok(HashMap::new()) };
    let found: Vec<Entry> = nouns(entries(connection, query).await?)?;
    Ok(found.into_iter().map(|entry| (entry.id, entry)).collect())
}

/// The same in brief.
pub(super) async fn last_entries(
    connection: &mut Connection,
    wanted: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<EntryId, Entry>, Error> {
    let Some(query) = by_id(IN_BRIEF, wanted)? else { return Ok(HashMap::new()) };
    let found: Vec<Entry> = nouns(entries_in_brief(connection, query).await?)?;
    Ok(found.into_iter().map(|entry| (entry.id, entry)).collect())
}

/// `None` where nothing is wanted.
fn by_id(
    entries: &'static str,
    wanted: impl IntoIterator<Item = Uuid>,
) -> Result<Option<QueryBuilder<Db>>, Error> {
    let wanted: Vec<Uuid> = wanted.into_iter().collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut list = <Db as Database>::Arguments::default();
    list.add(ids(wanted)).map_err(Error::Encode)?;
    let mut query = QueryBuilder::<Db>::with_arguments(entries, list);
    query.push("from entry where id ").push(in_ids!("$1"));
    Ok(Some(query))
}

pub(super) async fn conversations_by_id(
    connection: &mut Connection,
    wanted: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<ConversationId, Conversation>, Error> {
    let wanted: Vec<Uuid> = wanted.into_iter().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ConversationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(conversation),
        " from conversation where id ",
        in_ids!("$1")
    ))
    .bind(ids(wanted))
    .fetch_all(connection)
    .await?;
    let found: Vec<Conversation> = nouns(found)?;
    Ok(found.into_iter().map(|conversation| (conversation.id, conversation)).collect())
}

/// In the order of asking; who is not there is left out.
pub(super) async fn cards(connection: &mut Connection, wanted: &[Uuid]) -> Result<Vec<Card>, Error> {
    let mut clients = clients_by_id(connection, wanted.iter().copied()).await?;
    if clients.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<IdentifierRow> = sqlx::query_as(concat!(
        "select ",
        columns!(identifier),
        " from identifier where client_id ",
        in_ids!("$1"),
        " order by kind, value"
    ))
    .bind(ids(clients.keys().map(|id| id.uuid())))
    .fetch_all(connection)
    .await?;
    let mut identifiers: HashMap<ClientId, Vec<Holder>> = HashMap::new();
    for row in found {
        let holder = Holder::try_from(row)?;
        identifiers.entry(holder.client).or_default().push(holder);
    }
    let card = |id: &Uuid| {
        let client = clients.remove(&ClientId::from_uuid(*id))?;
        let identifiers = identifiers.remove(&client.id).unwrap_or_default();
        Some(Card { client, identifiers })
    };
    Ok(wanted.iter().filter_map(card).collect())
}

// --- pages

pub(super) async fn find_clients(
    connection: &mut Connection,
    find: &FindClients,
    page: Page<ClientId>,
) -> Result<Vec<Card>, Error> {
    let asked = find.identifier.iter().map(|identifier| &identifier.value).chain(&find.q);
    if asked.into_iter().any(|text| has_nul(text)) {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new("select id from client where merged_into is null");
    if let Some(identifier) = &find.identifier {
        query.push(" and id in (select client_id from identifier where kind = ");
        query.push_bind(identifier.kind.as_str()).push(" and value = ");
        query.push_bind(identifier.value.as_str()).push(" and level <> 'claimed')");
    }
    if let Some(q) = find.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        let q = q.to_lowercase();
        query.push(" and (search like ").push_bind(containing(&q)).push(r" escape '\'");
        query.push(
            " or id in (select client_id from identifier where level <> 'claimed' and lower(value) like ",
        );
        query.push_bind(containing(&as_dialled(&q))).push(r" escape '\'))");
    }
    if let Some(after) = page.after {
        query.push(" and id < ").push_bind(after.uuid());
    }
    query.push(" order by id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    let found: Vec<Uuid> = query.build_query_scalar().fetch_all(&mut *connection).await?;
    cards(connection, &found).await
}

/// A number as people write it, `+380 (44) 123-45-67`, without what is only for the eye; anything else
/// as it is.
fn as_dialled(q: &str) -> String {
    let written =
        |letter: char| letter.is_ascii_digit() || matches!(letter, '+' | ' ' | '(' | ')' | '-' | '.' | '/');
    if q.chars().all(written) && q.chars().any(|letter| letter.is_ascii_digit()) {
        q.chars().filter(|letter| letter.is_ascii_digit() || *letter == '+').collect()
    } else {
        q.to_owned()
    }
}

pub(super) async fn timeline(
    connection: &mut Connection,
    client: ClientId,
    channel: Option<Channel>,
    page: Page<(Timestamp, EntryId)>,
) -> Result<Vec<Entry>, Error> {
    let mut query = QueryBuilder::<Db>::new(ENTRIES);
    query.push("from entry where client_id = ").push_bind(client.uuid());
    if let Some((at, id)) = page.after {
        query
            .push(" and (occurred_at, id) < (")
            .push_bind(Stamp(at))
            .push(", ")
            .push_bind(id.uuid())
            .push(")");
    }
    if let Some(channel) = channel {
        query.push(" and channel = ").push_bind(channel.as_str());
    }
    query.push(" order by occurred_at desc, id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    nouns(entries(connection, query).await?)
}

/// There is no index by conversation, which every entry would pay for: they are among their client's, none
/// later than the conversation last changed. An imported mail may be years older than its conversation, so a
/// client's go back to the first; those of nobody are many and are not imported.
pub(super) async fn conversation_entries(
    connection: &mut Connection,
    id: ConversationId,
    page: Page<(Timestamp, EntryId)>,
) -> Result<Vec<Entry>, Error> {
    let found = conversations_by_id(&mut *connection, [id.uuid()]).await?.remove(&id);
    let Some(conversation) = found else { return Ok(Vec::new()) };
    let day = SignedDuration::from_hours(24);
    let earliest = conversation.opened_at.checked_sub(day).unwrap_or(conversation.opened_at);
    let latest = conversation.updated_at.checked_add(day).unwrap_or(conversation.updated_at);
    let mut query = QueryBuilder::<Db>::new(ENTRIES);
    match conversation.client {
        Some(client) => query.push("from entry where client_id = ").push_bind(client.uuid()),
        None => {
            query.push("from entry where client_id is null and occurred_at >= ").push_bind(Stamp(earliest))
        }
    };
    query.push(" and occurred_at <= ").push_bind(Stamp(latest));
    query.push(
        " and conversation_id in (with recursive part (id) as (select id from conversation where id = ",
    );
    query.push_bind(id.uuid());
    // What was said before it turned out to be part of this one.
    query.push(" union select c.id from conversation as c join part on c.continued_in = part.id");
    if let Some(client) = conversation.client {
        query.push(" where c.client_id = ").push_bind(client.uuid());
    }
    query.push(") select id from part)");
    if let Some((at, id)) = page.after {
        query
            .push(" and (occurred_at, id) < (")
            .push_bind(Stamp(at))
            .push(", ")
            .push_bind(id.uuid())
            .push(")");
    }
    query.push(" order by occurred_at desc, id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    nouns(entries(connection, query).await?)
}

pub(super) async fn contacts(
    connection: &mut Connection,
    find: &FindContacts,
    page: Page<ContactId>,
) -> Result<Vec<Entry>, Error> {
    let mut query = QueryBuilder::<Db>::new(ENTRIES);
    // A session of a chat in which nobody wrote anything has nothing to show.
    query.push(
        "from (select id as listed, entry_id as shown from contact \
         where exists (select 1 from entry where entry.id = contact.entry_id)",
    );
    if let Some(source) = &find.source {
        query.push(" and source = ").push_bind(source.as_str());
    }
    if let Some(channel) = find.channel {
        // A source is `channel/name`, and `0` is the letter after `/`.
        query.push(" and source >= ").push_bind(format!("{channel}/"));
        query.push(" and source < ").push_bind(format!("{channel}0"));
    }
    if find.nobodys {
        query.push(" and client_id is null");
    }
    if let Some(after) = page.after {
        query.push(" and id < ").push_bind(after.uuid());
    }
    query.push(" order by id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    query.push(") as page join entry on entry.id = page.shown order by page.listed desc");
    nouns(entries(connection, query).await?)
}

pub(super) async fn logged(connection: &mut Connection, key: &EventKey) -> Result<Option<Logged>, Error> {
    let found: Option<LoggedRow> = sqlx::query_as(
        "select e.position as position, e.recorded_at as recorded_at, p.payload as payload \
         from contact_event as e join event_payload as p on p.position = e.position where e.key = $1",
    )
    .bind(Uuid::from_bytes(key.digest()))
    .fetch_optional(connection)
    .await?;
    found.map(Logged::try_from).transpose()
}

pub(super) async fn contact(
    connection: &mut Connection,
    id: ContactId,
) -> Result<Option<(Entry, Vec<Logged>)>, Error> {
    let found: Option<(Uuid, Uuid)> = sqlx::query_as("select entry_id, key from contact where id = $1")
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some((entry, key)) = found else { return Ok(None) };
    let Some(entry) = entries_by_id(connection, [entry]).await?.into_values().next() else { return Ok(None) };
    let events: Vec<LoggedRow> = sqlx::query_as(
        "select e.position as position, e.recorded_at as recorded_at, p.payload as payload \
         from contact_event as e join event_payload as p on p.position = e.position \
         where e.subject = $1 order by e.position",
    )
    .bind(key)
    .fetch_all(connection)
    .await?;
    Ok(Some((entry, nouns(events)?)))
}

pub(super) async fn conversations(
    connection: &mut Connection,
    find: &FindConversations,
    page: Page<ConversationId>,
) -> Result<Vec<ConversationView>, Error> {
    if find.queue.iter().chain(&find.assignee).any(|text| has_nul(text)) {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new(concat!(
        "select ",
        columns!(conversation),
        " from conversation where continued_in is null"
    ));
    if let Some(client) = find.client {
        query.push(" and client_id = ").push_bind(client.uuid());
    }
    if let Some(status) = find.status {
        query.push(" and status = ").push_bind(status.as_str());
    }
    if let Some(queue) = &find.queue {
        // Not by its index where another finds fewer.
        let alone = find.client.is_none() && find.status.is_none() && find.assignee.is_none();
        query.push(if alone { " and queue = " } else { " and queue || '' = " }).push_bind(queue.as_str());
    }
    if let Some(assignee) = &find.assignee {
        query.push(" and assignee = ").push_bind(assignee.as_str());
    }
    if let Some(channel) = find.channel {
        query.push(" and channel = ").push_bind(channel.as_str());
    }
    if let Some(after) = page.after {
        query.push(" and id < ").push_bind(after.uuid());
    }
    query.push(" order by id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    let found = nouns(query.build_query_as::<ConversationRow>().fetch_all(&mut *connection).await?)?;
    views(connection, found).await
}

/// In the order of the list.
pub(super) async fn waiting(
    connection: &mut Connection,
    queue: Option<&str>,
    page: Page<(i64, ConversationId)>,
) -> Result<Vec<ConversationView>, Error> {
    let found = in_line(&mut *connection, queue, page).await?;
    views(connection, found).await
}

/// The same without clients and entries.
pub(super) async fn standing(
    connection: &mut Connection,
    page: Page<(i64, ConversationId)>,
) -> Result<Vec<(Conversation, Option<Reservation>)>, Error> {
    let found = in_line(&mut *connection, None, page).await?;
    let pending = work::pending(connection, found.iter().map(|row| row.id)).await?;
    let mut offers = work::first_offers(pending);
    Ok(found.into_iter().map(|row| (offers.remove(&row.id), row)).map(|(offer, row)| (row, offer)).collect())
}

async fn in_line(
    connection: &mut Connection,
    queue: Option<&str>,
    page: Page<(i64, ConversationId)>,
) -> Result<Vec<Conversation>, Error> {
    if queue.is_some_and(has_nul) {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new(concat!(
        "select ",
        columns!(conversation),
        " from conversation where rank is not null"
    ));
    if let Some((rank, id)) = page.after {
        query.push(" and (rank, id) > (").push_bind(rank).push(", ").push_bind(id.uuid()).push(")");
    }
    if let Some(queue) = queue {
        query.push(" and queue || '' = ").push_bind(queue);
    }
    query.push(" order by rank, id limit ").push_bind(rows(page.limit)).push(" + 0");
    nouns(query.build_query_as::<ConversationRow>().fetch_all(connection).await?)
}

pub(super) async fn conversation(
    connection: &mut Connection,
    id: ConversationId,
) -> Result<Option<ConversationView>, Error> {
    let found = conversations_by_id(connection, [id.uuid()]).await?.into_values().collect();
    Ok(views(connection, found).await?.pop())
}

pub(super) async fn views(
    connection: &mut Connection,
    conversations: Vec<Conversation>,
) -> Result<Vec<ConversationView>, Error> {
    let whose: BTreeSet<Uuid> =
        conversations.iter().filter_map(|row| row.client).map(|id| id.uuid()).collect();
    let clients = cards(connection, &whose.into_iter().collect::<Vec<_>>()).await?;
    let clients: HashMap<ClientId, Card> = clients.into_iter().map(|card| (card.client.id, card)).collect();
    let last = conversations.iter().filter_map(|conversation| conversation.last_entry).map(|id| id.uuid());
    let entries = last_entries(connection, last).await?;
    let pending = work::pending(connection, conversations.iter().map(|conversation| conversation.id)).await?;
    let offers = work::first_offers(pending);
    let view = |conversation: Conversation| ConversationView {
        offer: offers.get(&conversation.id).cloned(),
        client: conversation.client.and_then(|id| clients.get(&id)).cloned(),
        last_entry: conversation.last_entry.and_then(|id| entries.get(&id)).cloned(),
        conversation,
    };
    Ok(conversations.into_iter().map(view).collect())
}
