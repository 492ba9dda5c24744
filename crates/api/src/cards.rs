//! The card of a client: everything one must know to serve them, in one answer.
//!
//! The same shape is what a ringing telephone shows (`rings` of `/v1/events`).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use contact::{Channel, ClientId, ConversationId, PromiseKind};
use jiff::Timestamp;
use serde::Serialize;
use timeline::stage::stage;
use timeline::{Conversation, Dossier, Stage};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::clients;
use crate::extract::Id;
use crate::problem::Problem;
use crate::views::{ClientJson, ConversationJson, EntryJson};
use crate::wishes::PreferencesJson;
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(card))
}

/// What one must know to serve a client.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientCard)]
pub(crate) struct CardJson {
    client: ClientJson,
    /// Those that are open, the latest changed first; up to 50.
    conversations: Vec<ConversationJson>,
    /// By channel (`email`, `phone`, `chat`), the latest contact there; a channel without one is not named.
    #[schema(value_type = BTreeMap<String, EntryJson>)]
    last_contacts: BTreeMap<Channel, EntryJson>,
    /// What is promised to them next; null while nothing runs.
    promise: Option<NextPromiseJson>,
    preferences: PreferencesJson,
    /// How many others they may be; see `/v1/clients/{id}/candidates`.
    candidates: u32,
    /// The agent whose client they are.
    #[schema(example = "Mia")]
    owner: Option<String>,
    /// How the relation stands, by when they were first and last in touch.
    #[schema(schema_with = words::stage)]
    stage: Stage,
}

/// The soonest deadline of a promise that runs.
#[derive(Serialize, ToSchema)]
#[schema(as = NextPromise)]
pub(crate) struct NextPromiseJson {
    /// Of this conversation.
    #[schema(value_type = String, example = "cnv_019aa5bd3f977000c1b2c3d4e5f60718")]
    conversation: ConversationId,
    #[schema(schema_with = words::promise_kind)]
    kind: PromiseKind,
    began_at: Option<Timestamp>,
    warn_at: Option<Timestamp>,
    due_at: Timestamp,
    #[schema(schema_with = words::promise_state)]
    state: timeline::clock::State,
}

/// What one must know to serve a client.
///
/// Of one who turned out to be another client, the card of the client they are.
#[utoipa::path(get, path = "/v1/clients/{id}/card", tag = "clients", operation_id = "getCard",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")),
    responses((status = 200, description = "The card.", body = CardJson)))]
async fn card(_: Caller, State(app): State<App>, Id(id): Id<ClientId>) -> Result<Json<CardJson>, Problem> {
    let today = clients::card(&app, id).await?.client.id;
    let dossier = app.store.dossier(today).await?;
    let dossier = dossier.ok_or_else(|| Problem::missing(format!("there is no client {id}")))?;
    Ok(Json(CardJson::new(dossier, (app.clock)())))
}

impl CardJson {
    /// As it stands at a moment.
    pub(crate) fn new(dossier: Dossier, now: Timestamp) -> Self {
        let Dossier { card, conversations, last_contacts, candidates } = dossier;
        let mut latest = BTreeMap::new();
        for entry in last_contacts {
            latest.entry(entry.channel).or_insert_with(|| EntryJson::from(entry));
        }
        let rows = conversations.iter().map(|view| &view.conversation);
        Self {
            promise: rows.filter_map(|row| next_promise(row, now)).min_by_key(|next| next.due_at),
            preferences: PreferencesJson::from(card.client.preferences.clone()),
            candidates,
            owner: card.client.owner.clone(),
            stage: stage(&card.client, now),
            client: ClientJson::from(card),
            conversations: conversations.into_iter().map(|view| ConversationJson::of(view, now)).collect(),
            last_contacts: latest,
        }
    }
}

fn next_promise(row: &Conversation, now: Timestamp) -> Option<NextPromiseJson> {
    let running = row.clocks.iter().filter_map(|(kind, clock)| Some((clock.runs_until()?, kind, clock)));
    let (due_at, kind, clock) = running.min_by_key(|(due_at, kind, _)| (*due_at, **kind))?;
    Some(NextPromiseJson {
        conversation: row.id,
        kind: *kind,
        began_at: clock.began_at(),
        warn_at: clock.warn_at(),
        due_at,
        state: clock.state(now),
    })
}
