//! What a batch needs to be decided: a fixed number of statements, whatever its size, and none for what
//! is not asked.

use std::collections::{HashMap, HashSet};

use contact::{Channel, ClientId, ContactId, Identifier};
use sqlx::Error;
use timeline::{Client, Contact, ContactState, Conversation, Holder, Known, Logged, Message, Reply, Wanted};
use uuid::Uuid;

use super::super::{Connection, holders, ids};
use super::lists::conversations_by_id;
use super::{chats, ties, work};
use crate::rows::{
    ClientRow, ContactRow, ConversationRow, IdentifierRow, LoggedRow, MessageRow, read as nouns,
};
use crate::values::rows;

/// Open, and no mail that owes no call; word for word as in the index, which would else not be used.
macro_rules! beside_mails {
    () => {
        "case when continued_in is not null or status = 'resolved' then false \
         when channel = 'email' then callback is not null else true end"
    };
}

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
        known.holders = held.into_iter().map(|held| (held.identifier, (held.client, held.level))).collect();
    }
    known.merges = ties::by_id(connection, &wanted.merges).await?;
    known.replies = chats::replies(connection, &wanted.replies).await?;
    known.reservations = work::by_id(connection, wanted.reservations.iter().copied()).await?;
    shown(connection, wanted, &mut known).await?;
    known.chats = chats::by_visitor(connection, &visitors(wanted, &known)).await?;
    let whose = clients(connection, wanted, &mut known).await?;
    known.messages = messages(connection, &wanted.messages, &whose).await?;
    let whole = whole(wanted, &known);
    conversations(connection, &whose, &whole, &mut known).await?;
    work::held(connection, wanted, &mut known).await?;
    if wanted.proofs && !whose.is_empty() {
        known.holdings = holdings(connection, &whose).await?;
        known.aparts = ties::kept_apart(connection, whose).await?;
    }
    Ok(known)
}

/// Those asked for, those whose lines the answers are, and those the conversations asked for are about.
fn visitors(wanted: &Wanted, known: &Known) -> Vec<String> {
    let in_a_chat = |reply: &&Reply| reply.source.channel() == Channel::Chat;
    let of_answers = known.replies.values().filter(in_a_chat).map(|reply| &reply.order.to);
    let chats = known.conversations.values().filter(|conversation| conversation.channel == Channel::Chat);
    let of_chats = chats.filter_map(|conversation| conversation.thread.strip_prefix("chat/"));
    let all: HashSet<&str> =
        wanted.chats.iter().chain(of_answers).map(String::as_str).chain(of_chats).collect();
    all.into_iter().map(str::to_owned).collect()
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

/// The conversations asked for and those of the answers and offers, and by their ids the contacts asked for
/// and the latest of those conversations.
async fn shown(connection: &mut Connection, wanted: &Wanted, known: &mut Known) -> Result<(), Error> {
    let answered = known.replies.values().map(|reply| reply.conversation);
    let offered = known.reservations.values().map(|reservation| reservation.conversation);
    let asked: HashSet<Uuid> =
        wanted.conversations.iter().copied().chain(answered).chain(offered).map(|id| id.uuid()).collect();
    if !asked.is_empty() {
        by_id(connection, asked, known).await?;
        continued(connection, known).await?;
    }
    let latest = known.conversations.values().filter_map(|conversation| conversation.last_contact);
    let asked: HashSet<ContactId> = wanted.contact_ids.iter().copied().chain(latest).collect();
    if !asked.is_empty() {
        let found: Vec<ContactRow> =
            sqlx::query_as(concat!("select ", columns!(contact), " from contact where id ", in_ids!("$1")))
                .bind(ids(asked.into_iter().map(ContactId::uuid)))
                .fetch_all(connection)
                .await?;
        for row in found {
            known.contacts.insert(row.key.into_bytes(), row.try_into()?);
        }
    }
    Ok(())
}

/// Everybody found so far, those asked for, and who they were merged into; gives who that is.
async fn clients(
    connection: &mut Connection,
    wanted: &Wanted,
    known: &mut Known,
) -> Result<HashSet<Uuid>, Error> {
    let mut whose: HashSet<Uuid> = known
        .contacts
        .values()
        .filter_map(|contact| contact.client)
        .chain(known.holders.values().map(|(client, _)| *client))
        .chain(known.conversations.values().filter_map(|conversation| conversation.client))
        .chain(known.replies.values().filter_map(|reply| reply.client))
        .chain(known.chats.values().filter_map(|chat| chat.client))
        .chain(wanted.clients.iter().copied())
        .map(ClientId::uuid)
        .collect();
    let mut asked: Vec<Uuid> = whose.iter().copied().collect();
    while !asked.is_empty() {
        let found: Vec<ClientRow> =
            sqlx::query_as(concat!("select ", columns!(client), " from client where id ", in_ids!("$1")))
                .bind(ids(asked.drain(..)))
                .fetch_all(&mut *connection)
                .await?;
        for client in nouns::<_, Client>(found)? {
            // Whoever was merged was merged into one who is not, so this is asked twice at most.
            asked.extend(client.merged_into.map(ClientId::uuid).filter(|survivor| whose.insert(*survivor)));
            known.clients.insert(client.id, client);
        }
    }
    Ok(whose)
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

/// Who is wanted with everything that is open.
fn whole(wanted: &Wanted, known: &Known) -> HashSet<Uuid> {
    let meant = wanted.whole.iter().filter_map(|identifier| Some(known.holders.get(identifier)?.0));
    let no_mails = known.contacts.values().filter(|row| !matches!(row.state, ContactState::Email(_)));
    let meant = meant.chain(wanted.clients.iter().copied()).chain(no_mails.filter_map(|row| row.client));
    let today = |id: ClientId| known.clients.get(&id).and_then(|row| row.merged_into);
    meant.flat_map(|id| [Some(id), today(id)]).flatten().map(ClientId::uuid).collect()
}

/// The open ones of these clients, mails only of those who are wanted whole, and those in which the contacts,
/// messages and chats have their place.
async fn conversations(
    connection: &mut Connection,
    whose: &HashSet<Uuid>,
    whole: &HashSet<Uuid>,
    known: &mut Known,
) -> Result<(), Error> {
    let placed: HashSet<Uuid> = known
        .contacts
        .values()
        .filter_map(|contact| contact.conversation)
        .chain(known.messages.values().map(|message| message.conversation))
        .chain(known.chats.values().filter_map(|chat| chat.conversation))
        .filter(|conversation| !known.conversations.contains_key(conversation))
        .map(|conversation| conversation.uuid())
        .collect();
    if whose.is_empty() && placed.is_empty() {
        return Ok(());
    }
    // Three searches, each by its index; `or` would read the table.
    let found: Vec<ConversationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(conversation),
        " from conversation where client_id ",
        in_ids!("$1"),
        " and status in ('open', 'pending', 'snoozed') and continued_in is null union select ",
        columns!(conversation),
        " from conversation where client_id ",
        in_ids!("$2"),
        " and ",
        beside_mails!(),
        " union select ",
        columns!(conversation),
        " from conversation where id ",
        in_ids!("$3"),
    ))
    .bind(ids(whole.iter().copied()))
    .bind(ids(whose.difference(whole).copied()))
    .bind(ids(placed))
    .fetch_all(&mut *connection)
    .await?;
    let found: Vec<Conversation> = nouns(found)?;
    known.conversations.extend(found.into_iter().map(|conversation| (conversation.id, conversation)));
    continued(connection, known).await
}

/// Where those go on that go on elsewhere, as often as it takes.
async fn continued(connection: &mut Connection, known: &mut Known) -> Result<(), Error> {
    loop {
        let targets = known.conversations.values().filter_map(|conversation| conversation.continued_in);
        let unknown = targets.filter(|target| !known.conversations.contains_key(target));
        let asked: HashSet<Uuid> = unknown.map(|conversation| conversation.uuid()).collect();
        if asked.is_empty() || by_id(connection, asked, known).await? == 0 {
            return Ok(());
        }
    }
}

/// Gives how many were found.
async fn by_id(connection: &mut Connection, asked: HashSet<Uuid>, known: &mut Known) -> Result<usize, Error> {
    let found = conversations_by_id(connection, asked).await?;
    let count = found.len();
    known.conversations.extend(found);
    Ok(count)
}

async fn holdings(
    connection: &mut Connection,
    whose: &HashSet<Uuid>,
) -> Result<HashMap<ClientId, Vec<Identifier>>, Error> {
    let found: Vec<IdentifierRow> = sqlx::query_as(concat!(
        "select ",
        columns!(identifier),
        " from identifier where client_id ",
        in_ids!("$1"),
        " order by kind, value"
    ))
    .bind(ids(whose.iter().copied()))
    .fetch_all(connection)
    .await?;
    let mut holdings: HashMap<ClientId, Vec<Identifier>> = HashMap::new();
    for held in nouns::<_, Holder>(found)? {
        holdings.entry(held.client).or_default().push(held.identifier);
    }
    Ok(holdings)
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
