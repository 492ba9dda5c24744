//! One change of the feed as a message of the event stream.

use contact::{Notice, PromiseKind};
use jiff::Timestamp;
use serde::Serialize;
use timeline::{Announcement, Conversation, Dossier, FeedChange, FeedKind};

use crate::agents::AgentJson;
use crate::cards::CardJson;
use crate::reservations::ReservationJson;
use crate::views::{ClientJson, ClientSummaryJson, ConversationJson, EntryJson};

/// Appends `id:`, `event:` and `data:` of one change as it stands at a moment. `dossier` is of its client, where
/// the change is that their call rings at somebody's telephone.
pub(crate) fn render(out: &mut Vec<u8>, change: FeedChange, dossier: Option<Dossier>, now: Timestamp) {
    let FeedChange { position, kind, rev: _, entry, conversation, client, reservation, agent, rings, notice } =
        change;
    let summary = client.as_ref().map(ClientSummaryJson::from);
    let data = match kind {
        FeedKind::Entry => {
            let whole = dossier.map(|dossier| Who::Whole(Box::new(CardJson::new(dossier, now))));
            let client = whole.or_else(|| client.map(|card| Who::Card(Box::new(card.into()))));
            json(&EntryData { entry: entry.map(EntryJson::from), rings, client })
        }
        FeedKind::Conversation => {
            let shown = conversation.map(|row| ConversationJson::new(row, summary, entry, reservation, now));
            json(&ConversationData { conversation: shown, client: client.map(ClientJson::from) })
        }
        FeedKind::Client => json(&ClientData { client: client.map(ClientJson::from) }),
        FeedKind::Deadline => {
            let told = notice.or_else(|| conversation.as_ref().and_then(last_told));
            let shown = conversation.map(|row| ConversationJson::new(row, summary, entry, reservation, now));
            json(&DeadlineData {
                conversation: shown,
                promise: told.as_ref().map(|told| told.promise),
                notice: told.as_ref().map(|told| told.notice),
                due_at: told.and_then(|told| told.due_at),
                client: client.map(ClientJson::from),
            })
        }
        FeedKind::Reservation => {
            let offer = reservation.clone().filter(|row| row.state == timeline::ReservationState::Pending);
            let shown = conversation.map(|row| ConversationJson::new(row, summary, entry, offer, now));
            json(&ReservationData {
                reservation: reservation.map(|row| ReservationJson::new(row, shown)),
                client: client.map(ClientJson::from),
            })
        }
        FeedKind::Agent => json(&AgentData { agent: agent.map(AgentJson::from) }),
    };
    out.extend_from_slice(format!("id: {position}\nevent: {kind}\ndata: ").as_bytes());
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\n\n");
}

fn json(data: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(data).expect("no shape has a map with keys that are not text")
}

/// What a promise said last, for changes that do not keep what they told; of several that were told at one
/// moment, the worst.
fn last_told(row: &Conversation) -> Option<Announcement> {
    let all = row.clocks.iter().flat_map(|(promise, clock)| {
        let told = |(notice, at): (&Notice, &Timestamp)| {
            (*at, Announcement { promise: *promise, notice: *notice, due_at: clock.due_at() })
        };
        clock.told().iter().map(told)
    });
    all.max_by_key(|(at, told)| (*at, told.notice, told.promise)).map(|(_, told)| told)
}

/// `event: entry`
#[derive(Serialize)]
struct EntryData {
    entry: Option<EntryJson>,
    /// The agents at whose telephones the call rings; empty of everything else.
    rings: Vec<String>,
    client: Option<Who>,
}

/// Of a call that rings everything one must know, so that it can be answered without asking for more.
#[derive(Serialize)]
#[serde(untagged)]
enum Who {
    Whole(Box<CardJson>),
    Card(Box<ClientJson>),
}

/// `event: conversation`
#[derive(Serialize)]
struct ConversationData {
    conversation: Option<ConversationJson>,
    client: Option<ClientJson>,
}

/// `event: client`
#[derive(Serialize)]
struct ClientData {
    client: Option<ClientJson>,
}

/// `event: deadline`
#[derive(Serialize)]
struct DeadlineData {
    conversation: Option<ConversationJson>,
    promise: Option<PromiseKind>,
    notice: Option<Notice>,
    due_at: Option<Timestamp>,
    client: Option<ClientJson>,
}

/// `event: reservation`
#[derive(Serialize)]
struct ReservationData {
    reservation: Option<ReservationJson>,
    client: Option<ClientJson>,
}

/// `event: agent`
#[derive(Serialize)]
struct AgentData {
    agent: Option<AgentJson>,
}
