//! Taking clients apart, and giving a contact to another client.
//!
//! Neither is done by turning rows back. Everything of the clients concerned is taken again from the log, as
//! if the merge had never been or the contact had always been the other's ([`crate::attach`]'s pure
//! decisions, with a few facts changed); then what differs from what stands is written, in the transaction
//! of the act. So a contact that came after the merge goes to whom it would have gone to. Rules are asked about
//! open conversations that are new thereby, and their answers follow in the log. At a replay the same is done at
//! the same place of the log, and gives the same.

use std::collections::{BTreeSet, HashSet};

use contact::{
    Channel, ClientId, ContactId, Content, ConversationId, Deed, Event, EventKey, MergeId, SourceName,
};

use crate::act;
use crate::attach::{Mode, attach, attach_again, founders, wanted, way};
use crate::model::{Arrival, Client, Conversation, FeedItem, Logged, Merge, Relocation};
use crate::policy::Policy;
use crate::port::{Changes, History, Known, StoreError, Tx, Wanted};
use crate::settled::{Standing, settled};

/// Whether this deed is done by taking everything of its clients again.
pub(crate) fn takes_again(deed: &Deed) -> bool {
    matches!(deed, Deed::Unmerge { .. } | Deed::Move { .. })
}

/// Does such a deed, which has this position in the log, and gives what was written. The clients concerned
/// are all who are tied to each other by merges, undone ones too, and by contacts that were moved: no
/// decision about one of them can have depended on anybody else.
pub(crate) async fn take_again(
    tx: &mut dyn Tx,
    known: &Known,
    arrival: Arrival,
    position: i64,
    mode: Mode<'_>,
) -> Result<Changes, StoreError> {
    let Some(Concern { mut clients, contacts, merge, relocation }) = concern(known, &arrival) else {
        return Ok(Changes::default());
    };
    let cause = arrival.clone();
    let (events, present, made, found) = loop {
        close(tx, &mut clients).await?;
        let whose: Vec<ClientId> = clients.iter().copied().collect();
        let History { rows: present, events } = tx.history(&whose, &contacts).await?;
        let mut events = read_log(events.into_iter().filter(|logged| logged.position < position))?;
        events.push(arrival.clone());
        let made = attach_again(events.clone(), &present);
        let beside = known_conversations(&present);
        let wanted = Wanted {
            identifiers: made.holders.iter().map(|row| row.identifier.clone()).collect(),
            conversations: made
                .conversations
                .iter()
                .map(|row| row.id)
                .filter(|id| !beside.contains(id))
                .collect(),
            ..Wanted::default()
        };
        let found = tx.read(&wanted).await?;
        let count = clients.len();
        clients.extend(present.clients.iter().flat_map(|row| [Some(row.id), row.merged_into]).flatten());
        // An identifier that is one of theirs this time: whoever holds it now is concerned too.
        clients.extend(found.holders.values().map(|(client, _)| *client));
        if clients.len() == count {
            break (events, present, made, found);
        }
    };
    let founders = founders(&events);
    let standing = Standing { present: &present, beside: &found.conversations, founders: &founders };
    let (mut changes, told) = settled(made, &standing, arrival.recorded_at);
    changes.merges.extend(merge);
    changes.relocations.extend(relocation);
    if matches!(mode, Mode::Live(_)) {
        let numbers = known.feed_position + 1..;
        changes.feed = numbers
            .zip(told)
            .map(|(position, (kind, id, rev))| FeedItem { position, kind, id, rev, notice: None })
            .collect();
        changes.log = vec![(position, arrival)];
    }
    let whose: Vec<ClientId> = clients.into_iter().collect();
    tx.clear_clients(&whose).await?;
    tx.write(&changes).await?;
    if let Mode::Live(policy) = mode {
        let stood = |id: &ConversationId| {
            found.conversations.contains_key(id) || present.conversations.iter().any(|row| row.id == *id)
        };
        let begun = changes.conversations.iter().filter(|row| !stood(&row.id));
        let ways = ways(policy, begun, &changes.clients, &events, &cause);
        if !ways.is_empty() {
            let known = tx.read(&wanted(&ways)).await?;
            let routed = attach(known, ways, mode);
            tx.write(&routed).await?;
            changes.feed.extend(routed.feed);
        }
    }
    Ok(changes)
}

/// The rules are asked about conversations that stand for the first time, as if they had begun now: each answer
/// is a decision of its own in the log, after the deed, where a replay finds it. Of what is over nobody asks: its
/// promises would be told as broken, of which nobody knew.
fn ways<'a>(
    policy: &Policy,
    begun: impl Iterator<Item = &'a Conversation>,
    clients: &[Client],
    events: &[Arrival],
    cause: &Arrival,
) -> Vec<Arrival> {
    let Ok(source) = SourceName::new(Channel::Desk, "policy") else { return Vec::new() };
    let now = cause.recorded_at;
    let open = begun.filter(|row| row.is_open() && row.continued_in.is_none() && row.routing.is_none());
    let way = |row: &Conversation| {
        let began = |event: &&Event| ConversationId::derived(&event.key, event.received_at) == row.id;
        let event = events.iter().map(|arrival| &arrival.event).find(began)?;
        let client = clients.iter().find(|client| row.client == Some(client.id));
        let act = way(policy, row, event, client, now)?;
        let id = format!("{}:route:{}", hex::encode(cause.event.key.digest()), row.id);
        let key = EventKey { source: source.clone(), id };
        let traceparent = cause.event.traceparent.clone();
        let decided = Event { occurred_at: event.occurred_at, traceparent, ..act::event(key, act, now) };
        Some(Arrival::new(decided, now))
    };
    open.filter_map(way).collect()
}

/// Whom a deed is about, and what is to be kept of it.
struct Concern {
    clients: BTreeSet<ClientId>,
    contacts: Vec<ContactId>,
    merge: Option<Merge>,
    relocation: Option<Relocation>,
}

/// `None` of what is not there; a deed that was refused is not in the log.
fn concern(known: &Known, arrival: &Arrival) -> Option<Concern> {
    let Arrival { event, recorded_at, .. } = arrival;
    let Content::Act(act) = &event.content else { return None };
    match &act.deed {
        Deed::Unmerge { merge, .. } => {
            let row = known.merges.get(merge)?;
            let merge = Merge { undone_at: Some(*recorded_at), ..row.clone() };
            Some(Concern {
                clients: BTreeSet::from([row.survivor, row.absorbed]),
                contacts: Vec::new(),
                merge: Some(merge),
                relocation: None,
            })
        }
        Deed::Move { contact, client, .. } => {
            let row = known.contacts.values().find(|row| row.id == *contact)?;
            let to = client.unwrap_or_else(|| ClientId::derived(&event.key, event.received_at));
            let id = MergeId::derived(&event.key, event.received_at);
            Some(Concern {
                clients: row.client.into_iter().chain(*client).collect(),
                contacts: vec![*contact],
                merge: None,
                relocation: Some(Relocation { id, contact: *contact, from: row.client, to }),
            })
        }
        _ => None,
    }
}

/// Adds everybody who is tied to them, until there is nobody more.
async fn close(tx: &mut dyn Tx, clients: &mut BTreeSet<ClientId>) -> Result<(), StoreError> {
    loop {
        let count = clients.len();
        let whose: Vec<ClientId> = clients.iter().copied().collect();
        let ties = tx.ties(&whose).await?;
        clients.extend(ties.merges.iter().flat_map(|row| [row.survivor, row.absorbed]));
        clients.extend(ties.relocations.iter().flat_map(|row| row.from.into_iter().chain([row.to])));
        if clients.len() == count {
            return Ok(());
        }
    }
}

fn known_conversations(present: &Changes) -> HashSet<ConversationId> {
    present.conversations.iter().map(|row| row.id).collect()
}

/// Events of the log, as they were taken.
pub(crate) fn read_log(page: impl IntoIterator<Item = Logged>) -> Result<Vec<Arrival>, StoreError> {
    page.into_iter()
        .map(|logged| {
            let event = Event::from_json(logged.payload.as_bytes()).map_err(|error| StoreError::Refused {
                doing: "read an event of its own log",
                cause: format!("at position {}: {error}", logged.position).into(),
            })?;
            Ok(Arrival { event, payload: logged.payload, recorded_at: logged.recorded_at })
        })
        .collect()
}
