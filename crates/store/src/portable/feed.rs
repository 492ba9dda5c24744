//! The feed: what changed, in order, and the present state of it by one look-up a table.

use std::collections::{BTreeSet, HashMap};

use contact::{CallState, Channel, ClientId, ConversationId, EntryId, ReservationId};
use serde::Deserialize;
use sqlx::Error;
use timeline::{
    Agent, AgentView, Card, Conversation, Entry, EntryKind, FeedChange, FeedItem, FeedKind, Reservation,
};
use uuid::Uuid;

use super::super::Connection;
use super::{agents, lists, work};
use crate::rows::{FeedRow, read as nouns};
use crate::values::rows;

pub(super) async fn head(connection: &mut Connection) -> Result<i64, Error> {
    sqlx::query_scalar("select coalesce(max(position), 0) from feed").fetch_one(connection).await
}

pub(super) async fn items(
    connection: &mut Connection,
    after: i64,
    limit: usize,
) -> Result<Vec<FeedItem>, Error> {
    let items: Vec<FeedRow> = sqlx::query_as(concat!(
        "select ",
        columns!(feed),
        " from feed where position > $1 order by position limit $2 + 0"
    ))
    .bind(after)
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    nouns(items)
}

pub(super) async fn changes(
    connection: &mut Connection,
    after: i64,
    limit: usize,
) -> Result<Vec<FeedChange>, Error> {
    let items = items(connection, after, limit).await?;
    let present = present(connection, &items).await?;
    Ok(items.into_iter().map(|item| present.change(&item)).collect())
}

/// How everything stands that a page of changes shows.
struct Present {
    entries: HashMap<EntryId, Entry>,
    conversations: HashMap<ConversationId, Conversation>,
    cards: HashMap<ClientId, Card>,
    reservations: HashMap<ReservationId, Reservation>,
    /// The pending ones.
    offers: HashMap<ConversationId, Reservation>,
    agents: HashMap<Uuid, AgentView>,
    rings: HashMap<EntryId, Vec<String>>,
}

async fn present(connection: &mut Connection, items: &[FeedItem]) -> Result<Present, Error> {
    let of = |kinds: &[FeedKind]| -> BTreeSet<Uuid> {
        items.iter().filter(|item| kinds.contains(&item.kind)).map(|item| item.id).collect()
    };
    let changed = of(&[FeedKind::Reservation]).into_iter().map(ReservationId::from_uuid);
    let reservations = work::by_id(connection, changed).await?;
    let mut shown = of(&[FeedKind::Conversation, FeedKind::Deadline]);
    let pending = work::pending(connection, shown.iter().copied().map(ConversationId::from_uuid)).await?;
    shown.extend(reservations.values().map(|reservation| reservation.conversation.uuid()));
    let conversations = lists::conversations_by_id(connection, shown).await?;
    let mut entries = lists::entries_by_id(connection, of(&[FeedKind::Entry])).await?;
    let last = conversations.values().filter_map(|conversation| conversation.last_entry);
    let last: Vec<Uuid> = last.filter(|id| !entries.contains_key(id)).map(EntryId::uuid).collect();
    entries.extend(lists::last_entries(connection, last).await?);
    let mut whose = of(&[FeedKind::Client]);
    whose.extend(entries.values().filter_map(|entry| entry.client).map(ClientId::uuid));
    whose.extend(conversations.values().filter_map(|conversation| conversation.client).map(ClientId::uuid));
    let whose: Vec<Uuid> = whose.into_iter().collect();
    let cards = lists::cards(connection, &whose).await?;
    let changed: Vec<Uuid> = of(&[FeedKind::Agent]).into_iter().collect();
    let agents = agents::views_by_id(connection, &changed).await?;
    let ringing = of(&[FeedKind::Entry]).into_iter().map(EntryId::from_uuid);
    let rings = rings(connection, ringing.filter_map(|id| entries.get(&id))).await?;
    Ok(Present {
        cards: cards.into_iter().map(|card| (card.client.id, card)).collect(),
        offers: work::first_offers(pending),
        entries,
        conversations,
        reservations,
        agents,
        rings,
    })
}

impl Present {
    fn change(&self, item: &FeedItem) -> FeedChange {
        let mut change = FeedChange {
            position: item.position,
            kind: item.kind,
            rev: item.rev,
            entry: None,
            conversation: None,
            client: None,
            reservation: None,
            agent: None,
            rings: Vec::new(),
            notice: item.notice,
        };
        match item.kind {
            FeedKind::Entry => {
                let id = EntryId::from_uuid(item.id);
                change.entry = self.entries.get(&id).cloned();
                change.client = self.card(change.entry.as_ref().and_then(|entry| entry.client));
                change.rings = self.rings.get(&id).cloned().unwrap_or_default();
            }
            FeedKind::Conversation | FeedKind::Deadline => {
                let id = ConversationId::from_uuid(item.id);
                self.show(&mut change, id);
                change.reservation = self.offers.get(&id).cloned();
            }
            FeedKind::Reservation => {
                change.reservation = self.reservations.get(&ReservationId::from_uuid(item.id)).cloned();
                if let Some(reservation) = &change.reservation {
                    let id = reservation.conversation;
                    self.show(&mut change, id);
                }
            }
            FeedKind::Client => change.client = self.card(Some(ClientId::from_uuid(item.id))),
            FeedKind::Agent => change.agent = self.agents.get(&item.id).cloned(),
        }
        change
    }

    /// A conversation with its last entry and its client.
    fn show(&self, change: &mut FeedChange, id: ConversationId) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let last = conversation.last_entry.and_then(|id| self.entries.get(&id));
        change.entry = last.cloned().map(Entry::in_brief);
        change.client = self.card(conversation.client);
        change.conversation = Some(conversation.clone());
    }

    fn card(&self, client: Option<ClientId>) -> Option<Card> {
        client.and_then(|id| self.cards.get(&id)).cloned()
    }
}

/// Of a call's content what tells where it rings.
#[derive(Deserialize)]
struct Ringing {
    state: CallState,
    #[serde(default)]
    extensions: BTreeSet<String>,
}

/// Whose telephones ring.
async fn rings(
    connection: &mut Connection,
    entries: impl Iterator<Item = &Entry>,
) -> Result<HashMap<EntryId, Vec<String>>, Error> {
    let ringing: HashMap<EntryId, BTreeSet<String>> = entries
        .filter(|entry| entry.kind == EntryKind::Contact && entry.channel == Channel::Phone)
        .filter_map(|entry| Some((entry.id, serde_json::from_str::<Ringing>(&entry.content).ok()?)))
        .filter(|(_, call)| call.state == CallState::Ringing && !call.extensions.is_empty())
        .map(|(entry, call)| (entry, call.extensions))
        .collect();
    if ringing.is_empty() {
        return Ok(HashMap::new());
    }
    let agents = agents::engaged(connection).await?;
    let at = |agent: &Agent, extensions: &BTreeSet<String>| {
        agent.profile.as_ref().is_some_and(|profile| !profile.extensions.is_disjoint(extensions))
    };
    let whose = |(entry, extensions): (EntryId, BTreeSet<String>)| {
        let names = agents.iter().filter(|agent| at(agent, &extensions)).map(|agent| agent.name.clone());
        (entry, names.collect())
    };
    Ok(ringing.into_iter().map(whose).collect())
}
