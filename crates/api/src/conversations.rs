//! Conversations: what is open, whose it is, what is owed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contact::{Channel, ClientId, ContactId, ConversationId, Deed, EntryId};
use serde::{Deserialize, Serialize};
use timeline::{ConversationView, FindContacts, FindConversations, Page, ReplyState, Role, Status};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::acts::perform;
use crate::caller::{Agent, Caller};
use crate::extract::{FromParams, Id, Params, Query};
use crate::once::{self, Asked, Done, Write};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::text::{Text, required};
use crate::views::ConversationJson;
use crate::words;

/// How many times a conversation may have become part of another; more would be a circle.
const MOST_STEPS: usize = 32;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(reply))
        .routes(routes!(claim))
        .routes(routes!(assign))
        .routes(routes!(resolve))
        .routes(routes!(reopen))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those in this state.
    #[param(schema_with = words::status)]
    status: Option<Status>,
    /// Only those of this queue.
    queue: Option<String>,
    /// Only those of this agent.
    assignee: Option<String>,
    /// Only those begun on this channel.
    #[param(schema_with = words::channel)]
    channel: Option<Channel>,
    /// Only those of this client.
    #[param(value_type = Option<String>)]
    client: Option<ClientId>,
    #[param(ignore)]
    page: PageOf<ConversationId>,
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self {
            status: params.value("status")?,
            queue: params.word("queue")?,
            assignee: params.word("assignee")?,
            channel: params.value("channel")?,
            client: params.value("client")?,
            page: PageOf::from_params(params)?,
        })
    }
}

/// Conversations, newest first.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", operation_id = "listConversations",
    params(ListQuery, PageParams),
    responses((status = 200, description = "A page of conversations.", body = Items<ConversationJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<ConversationJson>>, Problem> {
    let find = FindConversations {
        status: query.status,
        queue: query.queue,
        assignee: query.assignee,
        channel: query.channel,
        client: query.client,
    };
    let views = app.store.conversations(&find, query.page.wanted()).await?;
    Ok(Json(query.page.of(views, |view| view.conversation.id, ConversationJson::from)))
}

/// One conversation.
///
/// Of one that turned out to be part of another, the other: its `id` is another than the one asked for.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "getConversation",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "The conversation.", body = ConversationJson)))]
async fn get(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
) -> Result<Json<ConversationJson>, Problem> {
    Ok(Json(find(&app, id).await?.into()))
}

/// What to answer.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewReply)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReplyJson {
    /// 1 to 20,000 letters; control characters are left out.
    #[schema(value_type = String, min_length = 1, max_length = 20_000, example = "Yes, we are open on Saturday.")]
    text: Text,
}

/// An answer that is on its way.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedReply)]
pub(crate) struct ReplyJson {
    /// The entry that shows it, and what becomes of it.
    #[schema(value_type = String, example = "ent_019aa5bd3f977000a1b2c3d4e5f60718")]
    entry: EntryId,
    #[schema(schema_with = words::reply_state)]
    state: ReplyState,
}

/// Answers the client, there where they wrote last.
///
/// It is on the timeline and kept until it is brought; its entry says what becomes of it. Whoever answers a
/// conversation that nobody has takes it.
#[utoipa::path(post, path = "/v1/conversations/{id}/replies", tag = "conversations", operation_id = "reply",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")), request_body = NewReplyJson,
    responses((status = 202, description = "It is kept and on its way.", body = ReplyJson),
        (status = 403, description = "The token's role is not enough, or the client does not want to be reached there (`/problems/unwanted-by-client`)."),
        (status = 409, description = "Nothing can be sent there, or a write with this key is being done.")))]
async fn reply(
    Agent(caller): Agent,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
    write: Write<once::Json<NewReplyJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(NewReplyJson { text: Text(text) }), asked| {
            let view = find(&app, id).await?;
            if let Some(contact) = view.conversation.last_contact {
                can_answer(&app, contact).await?;
            }
            let deed = Deed::Reply { conversation: view.conversation.id, text };
            let acted = perform(&app, &caller, asked, deed).await?;
            let accepted = ReplyJson { entry: acted.entry, state: ReplyState::Queued };
            Ok(Done::with(StatusCode::ACCEPTED, &accepted))
        })
        .await
}

/// Takes a conversation that nobody has.
///
/// Of several who try at once one wins; the others are told who. Who has it already keeps it.
#[utoipa::path(post, path = "/v1/conversations/{id}/claim", tag = "conversations", operation_id = "claim",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "It is the caller's.", body = ConversationJson),
        (status = 409, description = "Somebody has it: `owner`. Or a write with this key is being done.")))]
async fn claim(
    Agent(caller): Agent,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
    write: Write<()>,
) -> Result<Response, Problem> {
    let claim = |conversation| Deed::Claim { conversation };
    write.act(&app, &caller, async |(), asked| settle(&app, &caller, asked, id, claim).await).await
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
    Agent(caller): Agent,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
    write: Write<once::Json<AssignmentJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(AssignmentJson { to }), asked| {
            let owner = find(&app, id).await?.conversation.assignee;
            if owner.as_ref() != Some(&caller.token.name) && caller.needs(Role::Supervisor).is_err() {
                let sentence = "an agent gives away only what is theirs; this needs the role supervisor";
                return Err(Problem::forbidden(sentence));
            }
            if let Some(name) = &to {
                is_an_agent(&app, name).await?;
            }
            settle(&app, &caller, asked, id, |conversation| Deed::Assign { conversation, to }).await
        })
        .await
}

/// Says that nothing is owed any more.
///
/// The callback, where one is owed, is done with it. The client's next contact begins anew.
#[utoipa::path(post, path = "/v1/conversations/{id}/resolve", tag = "conversations", operation_id = "resolve",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "It is resolved.", body = ConversationJson)))]
async fn resolve(
    Agent(caller): Agent,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
    write: Write<()>,
) -> Result<Response, Problem> {
    let resolve = |conversation| Deed::Resolve { conversation };
    write.act(&app, &caller, async |(), asked| settle(&app, &caller, asked, id, resolve).await).await
}

/// Says that something is owed after all.
#[utoipa::path(post, path = "/v1/conversations/{id}/reopen", tag = "conversations", operation_id = "reopen",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "It is open.", body = ConversationJson)))]
async fn reopen(
    Agent(caller): Agent,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
    write: Write<()>,
) -> Result<Response, Problem> {
    let reopen = |conversation| Deed::Reopen { conversation };
    write.act(&app, &caller, async |(), asked| settle(&app, &caller, asked, id, reopen).await).await
}

/// Does it with the conversation that this one is today, and shows what became of it.
async fn settle(
    app: &App,
    caller: &Caller,
    asked: Asked,
    id: ConversationId,
    deed: impl FnOnce(ConversationId) -> Deed + Send,
) -> Result<Done, Problem> {
    let today = find(app, id).await?.conversation.id;
    perform(app, caller, asked, deed(today)).await?;
    Ok(Done::with(StatusCode::OK, &ConversationJson::from(find(app, today).await?)))
}

/// The conversation as it is today: of one that is part of another, the other.
async fn find(app: &App, id: ConversationId) -> Result<ConversationView, Problem> {
    let mut next = id;
    for _ in 0..MOST_STEPS {
        let Some(view) = app.store.conversation(next).await? else { break };
        match view.conversation.continued_in {
            Some(other) => next = other,
            None => return Ok(view),
        }
    }
    Err(Problem::missing(format!("there is no conversation {id}")))
}

/// 409 where what this contact came by has no way out.
async fn can_answer(app: &App, contact: ContactId) -> Result<(), Problem> {
    // A page of one that begins right above it.
    let above = ContactId::from_uuid(Uuid::from_u128(contact.uuid().as_u128().saturating_add(1)));
    let page = Page { after: Some(above), limit: 1 };
    let entry = app.store.contacts(&FindContacts::default(), page).await?.pop();
    match entry.filter(|entry| entry.contact == Some(contact)) {
        Some(entry) => app.desk.can_answer(&entry.source).map_err(Problem::conflict),
        None => Ok(()),
    }
}

/// A mistyped name must not quietly put a conversation where nobody looks.
async fn is_an_agent(app: &App, name: &str) -> Result<(), Problem> {
    let tokens = app.store.tokens().await?;
    let valid = tokens
        .iter()
        .any(|token| token.name == name && token.revoked_at.is_none() && token.role >= Role::Agent);
    if valid {
        return Ok(());
    }
    Err(Problem::field("to", format!("no agent has a token of the name `{name}`")))
}
