//! Whose a conversation is, and whether anything is owed.

use axum::extract::State;
use axum::response::Response;
use contact::{Channel, Content, ConversationId, Deed, Event, micros};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use timeline::{AgentView, Conversation, ConversationView, Page, Reservation, Role};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::acts::perform;
use crate::agents::{hired, myself};
use crate::caller::{Agent, Caller};
use crate::conversations::find;
use crate::extract::On;
use crate::once::{self, Asked, Done, Write};
use crate::problem::Problem;
use crate::text::{Reason, required};
use crate::views::ConversationJson;

/// So many of those that wait are looked at for the one who asks what is next.
const LOOKED_AT: usize = 5_000;
/// Read at a time.
const PAGE: usize = 200;
/// So often another process may have been faster before whoever asks what is next is told to ask again.
const MOST_TRIES: usize = 32;
/// Nothing rests for longer.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(24 * 366);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(claim))
        .routes(routes!(next))
        .routes(routes!(assign))
        .routes(routes!(snooze))
        .routes(routes!(owe_call))
        .routes(routes!(call_done))
        .routes(routes!(resolve))
        .routes(routes!(reopen))
}

/// Takes a conversation that nobody has.
///
/// Of several who try at once one wins; the others are told who. Who has it already keeps it.
#[utoipa::path(post, path = "/v1/conversations/{id}/claim", tag = "conversations", operation_id = "claim",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "It is the caller's.", body = ConversationJson),
        (status = 409, description = "Somebody has it: `owner`. Or a write with this key is being done.")))]
async fn claim(on: On<Agent, ConversationId>) -> Result<Response, Problem> {
    at_once(on, |conversation| Deed::Claim { conversation }).await
}

/// What came next.
#[derive(Serialize, ToSchema)]
#[schema(as = Next)]
pub(crate) struct NextJson {
    /// It is the caller's; null when nothing waits that suits them.
    conversation: Option<ConversationJson>,
}

/// Takes the first of those that wait.
///
/// The first of the list that suits the caller: of a queue they serve, asking for no skill they have not, on a
/// channel on which they have room. A caller without a profile takes the first of all. What somebody else is
/// being offered at the moment is left to them.
#[utoipa::path(post, path = "/v1/me/next", tag = "agents", operation_id = "takeNext",
    responses((status = 200, description = "What is the caller's now.", body = NextJson)))]
async fn next(Agent(caller): Agent, State(app): State<App>, write: Write<()>) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |(), asked| {
            let taken = take_next(&app, &caller, &asked).await?;
            let now = (app.clock)();
            let conversation = taken.map(|view| ConversationJson::of(view, now));
            Ok(Done::ok(&NextJson { conversation }))
        })
        .await
}

async fn take_next(app: &App, caller: &Caller, asked: &Asked) -> Result<Option<ConversationView>, Problem> {
    // A shift that begins together would try for the same one together: in turn each finds its own at once.
    let _turn = app.next.lock().await;
    let mut tried = Vec::new();
    for _ in 0..MOST_TRIES {
        // Asked for once more, what was taken then is the answer, however little room it left.
        if let Some(conversation) = taken(app, asked).await? {
            return find(app, conversation).await.map(Some);
        }
        let Some(conversation) = first_for(app, caller, &tried).await? else { return Ok(None) };
        let deed = Deed::Claim { conversation };
        match perform(app, caller, asked.clone(), deed).await {
            // By another process, meanwhile.
            Ok(acted) if acted.repeated => {}
            Ok(_) => return find(app, conversation).await.map(Some),
            Err(problem) if problem.is_conflict() => tried.push(conversation),
            Err(problem) => return Err(problem),
        }
    }
    Err(Problem::conflict("others were faster every time; ask again"))
}

/// What was taken under this key already.
async fn taken(app: &App, asked: &Asked) -> Result<Option<ConversationId>, Problem> {
    let Some(logged) = app.store.logged(&asked.key()?).await? else { return Ok(None) };
    let event = Event::from_json(logged.payload.as_bytes()).ok();
    Ok(event.and_then(|event| match event.content {
        Content::Act(act) => match act.deed {
            Deed::Claim { conversation } => Some(conversation),
            _ => None,
        },
        _ => None,
    }))
}

/// The first that waits and suits, without those that were tried in vain.
async fn first_for(
    app: &App,
    caller: &Caller,
    tried: &[ConversationId],
) -> Result<Option<ConversationId>, Problem> {
    let (me, now) = (myself(app, caller).await?, (app.clock)());
    if is_full(&me) && app.store.reservations(Some(&me.agent.name)).await?.is_empty() {
        return Ok(None);
    }
    let mut after = None;
    for _ in 0..LOOKED_AT.div_ceil(PAGE) {
        let page = app.store.standing(Page { after, limit: PAGE }).await?;
        let full = page.len() >= PAGE;
        after = page.last().and_then(|(row, _)| Some((row.rank?, row.id)));
        let mut good = page.iter().filter(|(row, offer)| suits(&me, row, offer.as_ref(), now));
        if let Some((row, _)) = good.find(|(row, _)| !tried.contains(&row.id)) {
            return Ok(Some(row.id));
        }
        if !full || after.is_none() {
            break;
        }
    }
    Ok(None)
}

/// They have no room on any channel.
fn is_full(me: &AgentView) -> bool {
    let load = |channel: &Channel| me.load.get(channel).copied().unwrap_or(0);
    let mut rooms = me.agent.profile.iter().flat_map(|profile| &profile.capacity);
    me.agent.profile.is_some() && rooms.all(|(channel, room)| load(channel) >= u32::from(*room))
}

fn suits(me: &AgentView, row: &Conversation, offer: Option<&Reservation>, now: Timestamp) -> bool {
    let offer = offer.filter(|offer| offer.until > now);
    let mine = offer.is_some_and(|offer| offer.agent == me.agent.name);
    if offer.is_some() && !mine {
        return false;
    }
    let Some(profile) = &me.agent.profile else { return true };
    let room = |channel: Channel| {
        let capacity = profile.capacity.get(&channel).copied().map_or(0, u32::from);
        // What they are offered counts already.
        let load = me.load.get(&channel).copied().unwrap_or(0).saturating_sub(u32::from(mine));
        load < capacity
    };
    let skilled = row.routing.as_ref().is_none_or(|routing| routing.skills.is_subset(&profile.skills));
    profile.queues.contains(&row.queue) && skilled && room(row.channel)
}

/// Whose it shall be.
#[derive(Deserialize, ToSchema)]
#[schema(as = Assignment)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignmentJson {
    /// The name of an agent's token; null takes it from whoever has it.
    #[serde(deserialize_with = "required")]
    #[schema(required, example = "Mia")]
    to: Option<String>,
}

/// Gives a conversation to somebody, or to nobody.
///
/// A supervisor gives any, an agent only what is theirs.
#[utoipa::path(post, path = "/v1/conversations/{id}/assign", tag = "conversations", operation_id = "assign",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")), request_body = AssignmentJson,
    responses((status = 200, description = "The conversation as it is now.", body = ConversationJson)))]
async fn assign(
    On(Agent(caller), app, id, write): On<Agent, ConversationId, once::Json<AssignmentJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(AssignmentJson { to }), asked| {
            // Whose it is counts when it is done, not a moment before: somebody may have been given it meanwhile.
            let from = caller.needs(Role::Supervisor).is_err().then(|| caller.token.name.clone());
            // A mistyped name must not quietly put a conversation where nobody looks.
            if let Some(name) = &to
                && !hired(&app).await?.contains(name)
            {
                let sentence = format!("no agent has a token of the name `{name}`");
                return Err(Problem::field("to", sentence));
            }
            settle(&app, &caller, asked, id, |conversation| Deed::Assign { conversation, from, to }).await
        })
        .await
}

/// How long.
#[derive(Deserialize, ToSchema)]
#[schema(as = Snooze)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnoozeJson {
    /// Not passed, and within a year or so.
    #[schema(value_type = String, format = "date-time", example = "2026-11-23T07:00:00Z")]
    until: Timestamp,
}

/// Lets a conversation rest.
///
/// Until then, or until the client acts, it is nobody's turn, and what was promised waits with it. Whose it is,
/// it stays.
#[utoipa::path(post, path = "/v1/conversations/{id}/snooze", tag = "conversations", operation_id = "snooze",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")), request_body = SnoozeJson,
    responses((status = 200, description = "It rests.", body = ConversationJson)))]
async fn snooze(
    On(Agent(caller), app, id, write): On<Agent, ConversationId, once::Json<SnoozeJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(SnoozeJson { until }), asked| {
            let until = micros(until);
            if until <= asked.at {
                return Err(Problem::field("until", "this has passed already"));
            }
            if until.duration_since(asked.at) > LONGEST_REST {
                return Err(Problem::field("until", "nothing rests for more than 366 days"));
            }
            settle(&app, &caller, asked, id, |conversation| Deed::Snooze { conversation, until }).await
        })
        .await
}

/// Why a call is owed.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = NewCallback)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCallbackJson {
    /// For whoever calls: 1 to 500 letters on one line. It is put on the client's timeline.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500, example = "Wants a price for two.")]
    note: Option<Reason>,
}

/// Says that we owe the client a call.
///
/// It is due by what the conversation's rule promises of callbacks, and open until the client was talked to,
/// until somebody says that it is done, or until the conversation is resolved. The body may be left out.
#[utoipa::path(post, path = "/v1/conversations/{id}/callback", tag = "conversations", operation_id = "oweCall",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")), request_body = NewCallbackJson,
    responses((status = 200, description = "It is owed, now or already.", body = ConversationJson)))]
async fn owe_call(
    On(Agent(caller), app, id, write): On<Agent, ConversationId, once::MaybeJson<NewCallbackJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::MaybeJson(NewCallbackJson { note }), asked| {
            let note = note.map(|Reason(note)| note);
            let view = find(&app, id).await?;
            let conversation = view.conversation.id;
            let deed = Deed::OweCall { conversation, note: note.clone() };
            perform(&app, &caller, asked.clone(), deed).await?;
            // An act of its own, and once as the first is: whoever asks again after a failure gets both.
            if let (Some(text), Some(client)) = (note, view.conversation.client) {
                let asked = Asked { id: format!("{}:note", asked.id), at: asked.at };
                let deed = Deed::Note { client, conversation: Some(conversation), text };
                perform(&app, &caller, asked, deed).await?;
            }
            shown(&app, conversation).await
        })
        .await
}

/// Says that the call we owed is done.
///
/// A call that reaches the client says so by itself. A conversation of calls is resolved with it, unless the client
/// is on the line.
#[utoipa::path(post, path = "/v1/conversations/{id}/callback/done", tag = "conversations", operation_id = "callDone",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "Nothing is owed by telephone.", body = ConversationJson),
        (status = 409, description = "No call is owed there, or a write with this key is being done.")))]
async fn call_done(on: On<Agent, ConversationId>) -> Result<Response, Problem> {
    at_once(on, |conversation| Deed::CallDone { conversation }).await
}

/// Says that nothing is owed any more.
///
/// The callback, where one is owed, is done with it. The client's next contact begins anew.
#[utoipa::path(post, path = "/v1/conversations/{id}/resolve", tag = "conversations", operation_id = "resolve",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "It is resolved.", body = ConversationJson)))]
async fn resolve(on: On<Agent, ConversationId>) -> Result<Response, Problem> {
    at_once(on, |conversation| Deed::Resolve { conversation }).await
}

/// Says that something is owed after all.
#[utoipa::path(post, path = "/v1/conversations/{id}/reopen", tag = "conversations", operation_id = "reopen",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "It is open.", body = ConversationJson)))]
async fn reopen(on: On<Agent, ConversationId>) -> Result<Response, Problem> {
    at_once(on, |conversation| Deed::Reopen { conversation }).await
}

/// Does what needs no more than the conversation.
async fn at_once(
    On(Agent(caller), app, id, write): On<Agent, ConversationId>,
    deed: impl FnOnce(ConversationId) -> Deed + Send,
) -> Result<Response, Problem> {
    write.act(&app, &caller, async |(), asked| settle(&app, &caller, asked, id, deed).await).await
}

/// Does it with the conversation that this one is today, and shows what became of it.
pub(crate) async fn settle(
    app: &App,
    caller: &Caller,
    asked: Asked,
    id: ConversationId,
    deed: impl FnOnce(ConversationId) -> Deed + Send,
) -> Result<Done, Problem> {
    let today = find(app, id).await?.conversation.id;
    perform(app, caller, asked, deed(today)).await?;
    shown(app, today).await
}

async fn shown(app: &App, id: ConversationId) -> Result<Done, Problem> {
    let view = find(app, id).await?;
    Ok(Done::ok(&ConversationJson::of(view, (app.clock)())))
}
