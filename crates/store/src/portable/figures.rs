//! What figures are made of: a row for each conversation or call of a span of time, and the desk at a glance.
//!
//! Spans are cut where an index is in order of time: conversations by when they were opened, calls by their id,
//! which begins with the moment we heard of them.

use std::collections::BTreeMap;

use contact::{Channel, Direction, Outcome, PromiseKind};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Error, FromRow};
use timeline::clock::Clock;
use timeline::figures::{
    About, Board, CallFacts, CallbackFacts, ConversationFacts, Facts, FiguresQuery, Owed, Place, PromiseFacts,
};
use timeline::{Callback, ContactState};
use uuid::Uuid;

use super::super::Connection;
use crate::values::{Stamp, json, rows, unreadable};

/// How far what a channel says of a call's time may be from when we heard of it.
const APART: SignedDuration = SignedDuration::from_hours(24);

/// A conversation with what tells it apart.
macro_rules! conversations {
    () => {
        "select c.queue, c.channel, c.assignee, client.segment, c.opened_at, c.waiting_since, c.assigned_at, \
         c.answered_at, c.resolved_at, c.clocks from conversation as c \
         left join client on client.id = c.client_id "
    };
}

/// Calls of clients heard of between $1 and $2 that happened between $3 and $4. The channel is asked for in a
/// way that no index answers: the one by source knows no time.
macro_rules! calls_in_span {
    () => {
        "from contact as k where k.id >= $1 and k.id < $2 and k.occurred_at >= $3 and k.occurred_at < $4 \
         and k.direction = 'inbound' and substr(k.source, 1, 6) = 'phone/'"
    };
}

pub(super) async fn facts(connection: &mut Connection, query: &FiguresQuery) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    match query.about {
        About::Waiting => facts.conversations = waiting(connection, query).await?,
        About::Conversations => facts.conversations = opened(connection, query).await?,
        About::Calls => {
            facts.calls = calls(connection, query).await?;
            facts.callbacks = callbacks(connection, query).await?;
        }
    }
    let largest = facts.conversations.len().max(facts.calls.len()).max(facts.callbacks.len());
    facts.more = largest > query.most;
    Ok(facts)
}

#[derive(FromRow)]
struct PlacedRow {
    queue: String,
    channel: String,
    assignee: Option<String>,
    segment: Option<String>,
    opened_at: Stamp,
    waiting_since: Option<Stamp>,
    assigned_at: Option<Stamp>,
    answered_at: Option<Stamp>,
    resolved_at: Option<Stamp>,
    clocks: Option<String>,
}

async fn opened(connection: &mut Connection, query: &FiguresQuery) -> Result<Vec<ConversationFacts>, Error> {
    let found = sqlx::query_as::<_, PlacedRow>(concat!(
        conversations!(),
        "where c.opened_at >= $1 and c.opened_at < $2 and c.continued_in is null \
         order by c.opened_at limit $3 + 0",
    ))
    .bind(Stamp(query.from))
    .bind(Stamp(query.to))
    .bind(rows(query.most.saturating_add(1)))
    .fetch(connection);
    found.and_then(|row| std::future::ready(placed(row, query.now))).try_collect().await
}

async fn waiting(connection: &mut Connection, query: &FiguresQuery) -> Result<Vec<ConversationFacts>, Error> {
    let found = sqlx::query_as::<_, PlacedRow>(concat!(
        conversations!(),
        "where c.rank is not null and coalesce(c.waiting_since, c.opened_at) >= $1 \
         and coalesce(c.waiting_since, c.opened_at) < $2 order by c.rank, c.id limit $3 + 0",
    ))
    .bind(Stamp(query.from))
    .bind(Stamp(query.to))
    .bind(rows(query.most.saturating_add(1)))
    .fetch(connection);
    found.and_then(|row| std::future::ready(placed(row, query.now))).try_collect().await
}

fn placed(row: PlacedRow, now: Timestamp) -> Result<ConversationFacts, Error> {
    let clocks: BTreeMap<PromiseKind, Clock> = json(row.clocks)?.unwrap_or_default();
    let promise = |(kind, clock): (&PromiseKind, &Clock)| PromiseFacts {
        kind: *kind,
        state: clock.state(now),
        began_at: clock.began_at(),
        due_at: clock.due_at(),
        ended_at: clock.ended().map(|(at, _)| at),
        past: clock.past(),
    };
    Ok(ConversationFacts {
        place: Place {
            queue: Some(row.queue),
            channel: Some(row.channel.parse().map_err(unreadable)?),
            agent: row.assignee,
            segment: row.segment,
        },
        opened_at: row.opened_at.0,
        waiting_since: row.waiting_since.map(|at| at.0),
        assigned_at: row.assigned_at.map(|at| at.0),
        answered_at: row.answered_at.map(|at| at.0),
        resolved_at: row.resolved_at.map(|at| at.0),
        promises: clocks.iter().map(promise).collect(),
    })
}

#[derive(FromRow)]
struct CallRow {
    queue: Option<String>,
    assignee: Option<String>,
    segment: Option<String>,
    occurred_at: Stamp,
    state: String,
}

async fn calls(connection: &mut Connection, query: &FiguresQuery) -> Result<Vec<CallFacts>, Error> {
    let (from, to) = heard_of(query);
    let found = sqlx::query_as::<_, CallRow>(concat!(
        "select c.queue, c.assignee, client.segment, call.occurred_at, call.state from (\
         select k.client_id, k.conversation_id, k.occurred_at, k.state ",
        calls_in_span!(),
        " order by k.id limit $5 + 0) as call left join conversation as c on c.id = call.conversation_id \
         left join client on client.id = call.client_id",
    ))
    .bind(from)
    .bind(to)
    .bind(Stamp(query.from))
    .bind(Stamp(query.to))
    .bind(rows(query.most.saturating_add(1)))
    .fetch(connection);
    found.and_then(|row| std::future::ready(call(row))).try_collect().await
}

fn call(row: CallRow) -> Result<CallFacts, Error> {
    let state: ContactState = serde_json::from_str(&row.state).map_err(unreadable)?;
    let outcome: Option<Outcome> = match &state {
        ContactState::Call(call) if call.direction() == Direction::Inbound => call.outcome(),
        _ => None,
    };
    let place =
        Place { queue: row.queue, channel: Some(Channel::Phone), agent: row.assignee, segment: row.segment };
    Ok(CallFacts { place, occurred_at: row.occurred_at.0, outcome })
}

#[derive(FromRow)]
struct CallbackRow {
    queue: String,
    channel: String,
    assignee: Option<String>,
    segment: Option<String>,
    callback: String,
}

/// Those that came to be owed in the span, whenever their conversation was opened: it was changed then at the earliest.
async fn callbacks(connection: &mut Connection, query: &FiguresQuery) -> Result<Vec<CallbackFacts>, Error> {
    let found = sqlx::query_as::<_, CallbackRow>(
        "select c.queue, c.channel, c.assignee, client.segment, c.callback from conversation as c \
         left join client on client.id = c.client_id where c.callback is not null and c.continued_in is null \
         and c.updated_at >= $1 and c.opened_at < $2",
    )
    .bind(Stamp(query.from.checked_sub(APART).unwrap_or(Timestamp::MIN)))
    .bind(Stamp(query.to.checked_add(APART).unwrap_or(Timestamp::MAX)))
    .fetch(connection);
    let in_span = |row: &CallbackFacts| (query.from..query.to).contains(&row.since);
    let found = found.and_then(|row| std::future::ready(owed(row)));
    let found = found.try_filter(|row| std::future::ready(in_span(row)));
    found.take(query.most.saturating_add(1)).try_collect().await
}

fn owed(row: CallbackRow) -> Result<CallbackFacts, Error> {
    let callback: Callback = serde_json::from_str(&row.callback).map_err(unreadable)?;
    let place = Place {
        queue: Some(row.queue),
        channel: Some(row.channel.parse().map_err(unreadable)?),
        agent: row.assignee,
        segment: row.segment,
    };
    let state = match callback.done_at {
        None => Owed::Still,
        Some(_) if callback.given_up => Owed::GivenUp,
        Some(_) => Owed::Done,
    };
    Ok(CallbackFacts { place, since: callback.since, state })
}

/// The least ids of what we heard of at both ends of a span, with room for what was told late.
fn heard_of(query: &FiguresQuery) -> (Uuid, Uuid) {
    let least = |at: Timestamp| {
        let millis = u128::try_from(at.as_millisecond()).unwrap_or(0);
        Uuid::from_u128(millis << 80)
    };
    let from = query.from.checked_sub(APART).unwrap_or(Timestamp::MIN);
    let to = query.to.checked_add(APART).unwrap_or(Timestamp::MAX);
    (least(from), least(to))
}

// --- the desk at a glance

pub(super) async fn board(connection: &mut Connection, now: Timestamp) -> Result<Board, Error> {
    let mut board = Board::default();
    let waiting: Vec<(String, i64, Stamp)> = sqlx::query_as(
        "select queue || '', count(*), min(coalesce(waiting_since, opened_at)) from conversation \
         where rank is not null group by 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (queue, count, since) in waiting {
        let row = board.queues.entry(queue).or_default();
        (row.waiting, row.oldest_since) = (counted(count)?, Some(since.0));
    }
    let promised: Vec<(String, i64, i64)> = sqlx::query_as(
        "select queue || '', count(*), count(case when due_at <= $1 then 1 end) from conversation \
         where status in ('open', 'pending', 'snoozed') and due_at is not null and continued_in is null \
         group by 1",
    )
    .bind(Stamp(now))
    .fetch_all(&mut *connection)
    .await?;
    for (queue, count, breached) in promised {
        let row = board.queues.entry(queue).or_default();
        (row.promised, row.breached) = (counted(count)?, counted(breached)?);
    }
    let offers: i64 = sqlx::query_scalar("select count(*) from reservation where state = 'pending'")
        .fetch_one(&mut *connection)
        .await?;
    board.offers = counted(offers)?;
    let agents: Vec<(String, i64)> = sqlx::query_as(
        "select case when consoles = '[]' then 'offline' else presence end as here, count(*) from agent \
         where profile is not null group by here",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (presence, count) in agents {
        board.agents.insert(presence, counted(count)?);
    }
    Ok(board)
}

fn counted(count: i64) -> Result<u64, Error> {
    u64::try_from(count).map_err(unreadable)
}
