//! What is to be given to whom, what is held for whom, and what is to be woken for.

use std::collections::{BTreeSet, HashMap, HashSet};

use contact::{ClientId, ConversationId, ReservationId};
use jiff::Timestamp;
use sqlx::Error;
use timeline::{Client, Known, Reservation, ReservationState, Wanted, Work, WorkOf};
use uuid::Uuid;

use super::super::{Connection, ids};
use super::agents::{self, occupies};
use super::lists;
use crate::rows::{AgentRow, ClientRow, ConversationRow, ReservationRow, read as nouns};
use crate::values::{Stamp, has_nul, rows};

// --- for a batch

/// Of the conversations found the pending offers; of those and of the offers asked for, and of whoever has
/// these conversations, the agents.
pub(super) async fn held(
    connection: &mut Connection,
    wanted: &Wanted,
    known: &mut Known,
) -> Result<(), Error> {
    let pending = pending(connection, known.conversations.keys().copied()).await?;
    known.reservations.extend(pending.into_iter().map(|reservation| (reservation.id, reservation)));
    let had = known.conversations.values().filter_map(|conversation| conversation.assignee.as_ref());
    let offered = known.reservations.values().map(|reservation| &reservation.agent);
    let names: BTreeSet<&str> = wanted.agents.iter().chain(had).chain(offered).map(String::as_str).collect();
    let found = agents::by_name(connection, names).await?;
    known.agents = found.into_iter().map(|agent| (agent.name.clone(), agent)).collect();
    Ok(())
}

pub(super) async fn by_id(
    connection: &mut Connection,
    wanted: impl IntoIterator<Item = ReservationId>,
) -> Result<HashMap<ReservationId, Reservation>, Error> {
    let wanted: Vec<Uuid> = wanted.into_iter().map(ReservationId::uuid).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ReservationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(reservation),
        " from reservation where id ",
        in_ids!("$1")
    ))
    .bind(ids(wanted))
    .fetch_all(connection)
    .await?;
    let found: Vec<Reservation> = nouns(found)?;
    Ok(found.into_iter().map(|reservation| (reservation.id, reservation)).collect())
}

/// The first to end first.
pub(super) async fn pending(
    connection: &mut Connection,
    of: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<Reservation>, Error> {
    let of: Vec<Uuid> = of.into_iter().map(ConversationId::uuid).collect();
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<ReservationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(reservation),
        " from reservation where conversation_id ",
        in_ids!("$1"),
        " and state = 'pending' order by until, id"
    ))
    .bind(ids(of))
    .fetch_all(connection)
    .await?;
    nouns(found)
}

/// Of each conversation the one that ends first; there should be no other.
pub(super) fn first_offers(pending: Vec<Reservation>) -> HashMap<ConversationId, Reservation> {
    let mut offers = HashMap::new();
    for reservation in pending {
        offers.entry(reservation.conversation).or_insert(reservation);
    }
    offers
}

// --- what is to be given to whom

pub(super) async fn work(
    connection: &mut Connection,
    of: Option<&WorkOf>,
    now: Timestamp,
) -> Result<Work, Error> {
    let mut work = match of {
        None => everything(connection, now).await?,
        Some(of) => some(connection, of, now).await?,
    };
    let there: HashSet<ConversationId> =
        work.conversations.iter().map(|conversation| conversation.id).collect();
    // Of what is not there any more nobody need rest.
    work.reservations.retain(|reservation| {
        reservation.state == ReservationState::Pending || there.contains(&reservation.conversation)
    });
    work.agents.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    work.conversations.sort_unstable_by_key(|conversation| conversation.id);
    work.reservations.sort_unstable_by_key(|reservation| reservation.id);
    let whose: BTreeSet<Uuid> = work
        .conversations
        .iter()
        .filter_map(|conversation| conversation.client)
        .map(ClientId::uuid)
        .collect();
    work.known_by = known_by(connection, whose).await?;
    Ok(work)
}

async fn everything(connection: &mut Connection, now: Timestamp) -> Result<Work, Error> {
    let agents: Vec<AgentRow> = sqlx::query_as(concat!("select ", columns!(agent), " from agent"))
        .fetch_all(&mut *connection)
        .await?;
    // Whoever is to end an offer must see what it is of, whatever that does by now.
    let conversations: Vec<ConversationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(conversation),
        " from conversation where rank is not null union select ",
        columns!(conversation),
        " from conversation where ",
        occupies!(),
        " union select ",
        columns!(conversation),
        " from conversation where id in (select conversation_id from reservation where state = 'pending')",
    ))
    .fetch_all(&mut *connection)
    .await?;
    let reservations: Vec<ReservationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(reservation),
        " from reservation where state = 'pending' union select ",
        columns!(reservation),
        " from reservation where rests_until is not null and rests_until > $1",
    ))
    .bind(Stamp(now))
    .fetch_all(connection)
    .await?;
    Ok(Work {
        agents: nouns(agents)?,
        conversations: nouns(conversations)?,
        reservations: nouns(reservations)?,
        ..Work::default()
    })
}

async fn some(connection: &mut Connection, of: &WorkOf, now: Timestamp) -> Result<Work, Error> {
    let agents = agents::by_id(connection, &of.agents).await?;
    let asked = by_id(connection, of.reservations.iter().copied()).await?;
    let meant = asked.values().map(|reservation| reservation.conversation);
    let meant: HashSet<Uuid> =
        of.conversations.iter().copied().chain(meant).map(ConversationId::uuid).collect();
    if meant.is_empty() {
        return Ok(Work { agents, ..Work::default() });
    }
    let conversations = lists::conversations_by_id(connection, meant.iter().copied()).await?;
    let reservations: Vec<ReservationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(reservation),
        " from reservation where conversation_id ",
        in_ids!("$1"),
        " and (state = 'pending' or rests_until > $2)",
    ))
    .bind(ids(meant))
    .bind(Stamp(now))
    .fetch_all(connection)
    .await?;
    Ok(Work {
        agents,
        conversations: conversations.into_values().collect(),
        reservations: nouns(reservations)?,
        ..Work::default()
    })
}

async fn known_by(
    connection: &mut Connection,
    whose: BTreeSet<Uuid>,
) -> Result<HashMap<ClientId, String>, Error> {
    if whose.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<ClientRow> = sqlx::query_as(concat!(
        "select ",
        columns!(client),
        " from client where (known_by is not null or talks is not null or owner is not null) and id ",
        in_ids!("$1")
    ))
    .bind(ids(whose))
    .fetch_all(&mut *connection)
    .await?;
    let clients: Vec<Client> = nouns(found)?;
    let asked = clients.iter().any(|client| !client.talks.is_empty() || client.owner.is_some());
    let agents = if asked { agents::engaged(connection).await? } else { Vec::new() };
    let known_by = |client: &Client| Some((client.id, client.acquaintance(&agents)?.to_owned()));
    Ok(clients.iter().filter_map(known_by).collect())
}

// --- offers, for people

pub(super) async fn reservations(
    connection: &mut Connection,
    agent: Option<&str>,
) -> Result<Vec<Reservation>, Error> {
    if agent.is_some_and(has_nul) {
        return Ok(Vec::new());
    }
    let found: Vec<ReservationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(reservation),
        " from reservation where state = 'pending' and agent = coalesce($1, agent) order by until, id"
    ))
    .bind(agent)
    .fetch_all(connection)
    .await?;
    nouns(found)
}

pub(super) async fn reservation(
    connection: &mut Connection,
    id: ReservationId,
) -> Result<Option<Reservation>, Error> {
    Ok(by_id(connection, [id]).await?.remove(&id))
}

// --- waking

pub(super) async fn to_wake(
    connection: &mut Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(ConversationId, Timestamp)>, Error> {
    let found: Vec<(Uuid, Stamp)> = sqlx::query_as(
        "select id, wake_at from conversation where wake_at is not null and wake_at <= $1 \
         order by wake_at, id limit $2 + 0",
    )
    .bind(Stamp(now))
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(|(id, wake)| (ConversationId::from_uuid(id), wake.0)).collect())
}

pub(super) async fn next_wake(connection: &mut Connection) -> Result<Option<Timestamp>, Error> {
    let next: Option<Stamp> = sqlx::query_scalar(
        "select wake_at from conversation where wake_at is not null order by wake_at limit 1",
    )
    .fetch_optional(connection)
    .await?;
    Ok(next.map(|wake| wake.0))
}

// --- writing

pub(super) async fn write(connection: &mut Connection, reservations: &[Reservation]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into reservation (", columns!(reservation), ")"),
        reservations,
        |reservation| [
            reservation.id.uuid(),
            reservation.conversation.uuid(),
            reservation.agent.as_str(),
            reservation.state.as_str(),
            Stamp(reservation.offered_at),
            Stamp(reservation.until),
            reservation.ended_at.map(Stamp),
            reservation.rests_until.map(Stamp),
            reservation.rev,
        ],
        "on conflict (id) do update set conversation_id = excluded.conversation_id, agent = excluded.agent, \
         state = excluded.state, offered_at = excluded.offered_at, until = excluded.until, \
         ended_at = excluded.ended_at, rests_until = excluded.rests_until, rev = excluded.rev"
    );
    Ok(())
}
